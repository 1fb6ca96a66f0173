// Safe HTML by construction: a tagged template that escapes every value it is given. Text reaches the report only through it,
// so a case id or a class name cannot become markup. Not here: a parser, a sanitiser, URLs (the report has none but data: images).

/** Markup that is already safe. Made by `html` and `trusted` only. */
export class Html {
  readonly markup: string;
  constructor(markup: string) {
    this.markup = markup;
  }
  toString(): string {
    return this.markup;
  }
}

/** What a template hole takes. `undefined`, `null` and `false` write nothing, so `cond && html`...`` works. */
export type HtmlValue = Html | string | number | null | undefined | false | readonly HtmlValue[];

// Characters that have no place in text: C0/C1 controls but tab, newline and return; lone surrogates; the marks that turn
// the reading direction of what follows (a file name must not be able to reorder the number beside it); non-characters.
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to remove
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufffe\uffff]|\p{Surrogate}/gu;

const ENTITY: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for element content and for quoted attribute values; unprintable characters become U+FFFD. */
export function escapeText(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd').replace(/[&<>"']/g, (character) => ENTITY[character]!);
}

/** Marks a constant of this folder (style sheet, script) as markup. Never call it with a value from outside. */
export function trusted(markup: string): Html {
  return new Html(markup);
}

/** Tagged template: `html`<td title="${id}">${id}</td>`` escapes both. Attribute values must stand in double quotes. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let markup = strings[0]!;
  for (let i = 0; i < values.length; i++) markup += write(values[i]) + strings[i + 1]!;
  return new Html(markup);
}

/** Joins pieces without a separator, or with one (escaped like any text unless it is Html). */
export function join(pieces: readonly HtmlValue[], separator: HtmlValue = ''): Html {
  const parts = pieces.map(write).filter((part) => part !== '');
  return new Html(parts.join(write(separator)));
}

/** A coordinate for SVG: two decimals, never NaN in the output (that would be a defect of the chart, so it throws). */
export function coordinate(value: number): string {
  if (!Number.isFinite(value))
    throw new RangeError(`report chart: coordinate is ${value}; the chart must filter it out`);
  const rounded = Math.round(value * 100) / 100;
  return String(Object.is(rounded, -0) ? 0 : rounded);
}

function write(value: HtmlValue): string {
  if (value === null || value === undefined || value === false) return '';
  if (value instanceof Html) return value.markup;
  if (typeof value === 'number') return escapeText(String(value));
  if (typeof value === 'string') return escapeText(value);
  return value.map(write).join('');
}
