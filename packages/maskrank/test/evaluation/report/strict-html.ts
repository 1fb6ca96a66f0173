// A strict reader of the HTML that the report writes, for tests: every tag closed in order, every attribute in double quotes, every
// `<` and `&` of the text escaped. It refuses what a browser would mend in silence.

export type Element = {
  readonly tag: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: (Element | string)[];
};

const VOID = new Set(['meta', 'br', 'img']);
const RAW = new Set(['script', 'style']);
const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};

/** The `html` element. Throws with the place where the text is not strict HTML. */
export function parseStrict(source: string): Element {
  const doctype = '<!doctype html>\n';
  if (!source.startsWith(doctype)) throw new Error('no doctype');
  return parseFragment(source.slice(doctype.length).trimEnd());
}

/** A single element, as a chart function returns it. */
export function parseFragment(source: string): Element {
  const root: Element = { tag: '', attributes: new Map(), children: [] };
  const open: Element[] = [root];
  const token = /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9:-]*="[^"<]*")*)\s*(\/?)>/y;
  let at = 0;
  while (at < source.length) {
    const here = open[open.length - 1]!;
    if (RAW.has(here.tag)) {
      const end = source.indexOf(`</${here.tag}>`, at);
      here.children.push(source.slice(at, end));
      at = end;
    }
    if (source[at] !== '<') {
      const end = source.indexOf('<', at);
      here.children.push(decode(source.slice(at, end < 0 ? undefined : end)));
      at = end < 0 ? source.length : end;
      continue;
    }
    token.lastIndex = at;
    const match = token.exec(source);
    if (match === null) throw new Error(`not a tag: ${source.slice(at, at + 80)}`);
    at = token.lastIndex;
    const [, closing, tag, attributes, selfClosing] = match as unknown as [
      string,
      string,
      string,
      string,
      string,
    ];
    if (closing !== '') {
      if (here.tag !== tag)
        throw new Error(`</${tag}> closes <${here.tag}> near ${source.slice(at - 80, at)}`);
      open.pop();
      continue;
    }
    const element: Element = { tag, attributes: attributesOf(attributes), children: [] };
    here.children.push(element);
    if (selfClosing === '' && VOID.has(tag)) throw new Error(`<${tag}> is void: write <${tag}/>`);
    if (selfClosing === '') open.push(element);
  }
  if (open.length !== 1) throw new Error(`<${open[open.length - 1]!.tag}> is never closed`);
  const elements = root.children.filter((child) => typeof child !== 'string');
  if (elements.length !== 1) throw new Error(`${elements.length} elements at the top, want 1`);
  return elements[0]!;
}

function attributesOf(source: string): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const [, name, value] of source.matchAll(/([a-zA-Z][a-zA-Z0-9:-]*)="([^"]*)"/g)) {
    if (attributes.has(name!)) throw new Error(`attribute ${name} twice in ${source}`);
    attributes.set(name!, decode(value!));
  }
  return attributes;
}

function decode(text: string): string {
  if (text.includes('>')) throw new Error(`unescaped > in ${text}`);
  return text.replace(/&[^;\s]*;?/g, (entity) => {
    const character = ENTITIES[entity];
    if (character === undefined) throw new Error(`unknown entity ${entity}`);
    return character;
  });
}

export function* elements(from: Element): Generator<Element> {
  yield from;
  for (const child of from.children) if (typeof child !== 'string') yield* elements(child);
}

export function all(from: Element, tag: string, className?: string): Element[] {
  return [...elements(from)].filter(
    (one) => one.tag === tag && (className === undefined || classes(one).includes(className)),
  );
}

export function byId(from: Element, id: string): Element {
  const found = [...elements(from)].filter((one) => one.attributes.get('id') === id);
  if (found.length !== 1) throw new Error(`${found.length} elements with id ${id}, want 1`);
  return found[0]!;
}

export function classes(element: Element): string[] {
  return (element.attributes.get('class') ?? '').split(' ');
}

/** Text without markup, spaces joined. */
export function textOf(element: Element): string {
  return rawText(element).replace(/\s+/g, ' ').trim();
}

function rawText(element: Element): string {
  return element.children.map((child) => (typeof child === 'string' ? child : rawText(child))).join('');
}

/** Tags with the names of their attributes and their classes, in order: what text from outside must never change. */
export function skeleton(root: Element): string[] {
  return [...elements(root)].map(
    (one) => `${one.tag} ${[...one.attributes.keys()].join(',')} ${one.attributes.get('class') ?? ''}`,
  );
}

/** Body rows of a table: cells with their shown text and the value they sort by. */
export function tableRows(table: Element): { text: string; sort: string | undefined }[][] {
  const body = all(table, 'tbody')[0]!;
  return all(body, 'tr').map((row) =>
    row.children
      .filter((cell) => typeof cell !== 'string')
      .map((cell) => ({ text: textOf(cell), sort: cell.attributes.get('data-sort') })),
  );
}
