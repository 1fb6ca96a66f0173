// The two pages of docs/reference that are made from the code: every verb out of the registry, every configuration key
// out of its schema. Pure: objects in, Markdown out, so that a test can compare with the sources as they stand.

const MADE = '<!-- Made by `node scripts/docs-reference.mjs`. Edit the code, not this page. -->';

/** Text for a table's cell. */
const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const code = (text) => `\`${text}\``;
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');

const flagName = (key) => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
const valueText = (value) =>
  value === null ? 'none' : Array.isArray(value) ? value.join(',') || '(empty)' : String(value);

const RUN_WORDS = {
  create: 'made when missing; locked while the verb runs',
  write: 'must be there; locked while the verb runs',
  read: 'must be there; not locked, never changed',
};

/**
 * docs/reference/cli.md
 *
 * @param {{verbs: readonly object[], help: string}} source `help`: what `maskrank --help` prints
 */
export function cliPage({ verbs, help }) {
  return `${[
    '# The command line',
    MADE,
    `\`maskrank VERB [arguments] [options]\`. Every verb prints the command that sensibly comes next. Results go to stdout,
progress and messages to stderr. Exit codes and messages: [errors.md](errors.md). Files: [files.md](files.md).`,
    `From a checkout the command is \`node packages/maskrank/dist/cli/main.js\`; these pages write \`maskrank\` for it.`,
    `\`\`\`text\n${help.trimEnd()}\n\`\`\``,
    '## Verbs',
    verbs.map(({ name, summary }) => `- [${code(name)}](#${anchor(name)}): ${summary}`).join('\n'),
    ...verbs.map(verbPart),
  ].join('\n\n')}\n`;
}

const anchor = (name) => name.replaceAll(' ', '-');

function verbPart(verb) {
  const args = Object.values(verb.args ?? {});
  const usage = [
    'maskrank',
    verb.name,
    ...args.map(({ name, optional, variadic }) => {
      const shown = `${name}${variadic ? '...' : ''}`;
      return optional ? `[${shown}]` : shown;
    }),
    ...(verb.runFolder ? [verb.runFolder.optional ? '[--run RUN]' : '--run RUN'] : []),
    '[options]',
  ].join(' ');
  const parts = [`## ${verb.name}`, `${sentence(verb.summary)}`, `\`\`\`text\n${usage}\n\`\`\``];
  if (verb.details) parts.push(details(verb.details));
  const rows = [
    ...args.map(({ name, describe, optional }) => [code(name), describe + (optional ? ' (optional)' : '')]),
    ...(verb.runFolder ? [[code('--run RUN'), `folder of the run; ${RUN_WORDS[verb.runFolder.mode]}`]] : []),
    ...Object.entries(verb.options ?? {}).map(([key, { describe, value, choices, required }]) => {
      const shown = value ?? choices?.join('|');
      const words = choices && value ? `${describe} (${choices.join(', ')})` : describe;
      return [
        code(shown === undefined ? flagName(key) : `${flagName(key)} ${shown}`),
        words + (required ? ' (required)' : ''),
      ];
    }),
    ...Object.entries(verb.shortcuts ?? {}).map(([name, path]) => [
      code(`${flagName(name)} …`),
      `short for ${code(flagName(path))}`,
    ]),
  ];
  if (rows.length > 0) parts.push(table(['argument or flag', 'what it is'], rows));
  if (verb.sections?.length > 0) {
    const links = verb.sections
      .map((section) => `[${section}](configuration.md#${section.split('.')[0].toLowerCase()})`)
      .join(', ');
    parts.push(`Configuration keys as flags: ${links}.`);
  }
  parts.push(
    `\`\`\`bash\n${verb.examples.map(([command, words]) => `# ${words}\n${command}`).join('\n')}\n\`\`\``,
  );
  return parts.join('\n\n');
}

/** Text with indented lists keeps its lines; other text is running text. */
const details = (text) => (/\n {2}\S/.test(text) ? `\`\`\`text\n${text}\n\`\`\`` : text);

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

/**
 * docs/reference/configuration.md
 *
 * @param {{leaves: readonly object[], descriptions: ReadonlyMap<string, string>, presets: object}} source
 */
export function configurationPage({ leaves, descriptions, presets }) {
  const rows = (section) =>
    table(
      ['key', 'default', 'allowed', 'what it is'],
      leaves
        .filter((leaf) => leaf.section === section)
        .map((leaf) => [code(leaf.path), code(valueText(leaf.default)), leaf.allowed, leaf.description]),
    );
  const presetParts = Object.entries(presets)
    .filter(([, values]) => Object.keys(values).length > 0)
    .map(([name, values]) =>
      [
        `### Preset ${code(name)}`,
        table(
          ['key', 'value'],
          Object.entries(values).map(([path, value]) => [code(path), code(valueText(value))]),
        ),
      ].join('\n\n'),
    );
  return `${[
    '# The configuration',
    MADE,
    `One configuration serves the whole chain. A key is spelled alike everywhere: \`training.batchSize\` in files and in
the library, \`--training.batch-size\` as a flag. Lists are written \`1,2,3\`, the empty value \`none\`, switches \`true\` and
\`false\`. An unknown key or flag is an error that names the nearest known one.`,
    `A value comes from the last of these that gives it: the default, the preset (\`alignment.preset\`), what the run was
started with (\`RUN/run.json\`), the file of \`--config\`, a flag. \`--print-config\` prints every value with its origin and does
nothing else. The resolved configuration is kept in \`RUN/run.json\`; a stage that goes on with other values is refused, with
every difference, unless \`--restart\` is given.`,
    `A file holds only what differs from the defaults:`,
    `\`\`\`json\n${JSON.stringify({ seed: 7, training: { steps: 600, schedule: 'cosine' }, prompts: { points: 0 } }, null, 2)}\n\`\`\``,
    '## General',
    rows(''),
    ...[...descriptions].map(([section, words]) => `## ${section}\n\n${words}.\n\n${rows(section)}`),
    '## Presets of stage 2',
    `\`--preset NAME\` (\`alignment.preset\`) lays values over the defaults; files and flags win over it. The defaults are the
preset \`recommended\`.`,
    ...presetParts,
  ].join('\n\n')}\n`;
}
