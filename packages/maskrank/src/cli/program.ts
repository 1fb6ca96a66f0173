// Turns the verbs into a command-line parser (commander): arguments, flags, flags made of the configuration's schema,
// help with examples. The outcome is an Invocation; nothing is run here. Not here: running it (execute.ts).

import { UsageError } from '@maskrank/torch/errors';
import { Command, CommanderError, Help, Option } from 'commander';
import { isWithin } from '../run/config-part.ts';
import { flagName } from '../run/flag-name.ts';
import type { Leaf } from '../run/leaves.ts';
import type { OptionSpec, Verb } from './verb.ts';

/** Flags that every verb has. */
export type GlobalFlags = {
  readonly json: boolean;
  readonly debug: boolean;
  readonly quiet: boolean;
  readonly printConfig: boolean;
  /** Path of the configuration file. */
  readonly config: string | undefined;
};

/** What was asked for. */
export type Invocation = {
  readonly verb: Verb;
  /** By the verb's own names; missing ones are undefined, execute.ts says so. */
  readonly args: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  /** Configuration values as text, by key path. */
  readonly flags: Readonly<Record<string, string>>;
  /** The flag as typed, where it is a shortcut, by key path. */
  readonly flagNames: Readonly<Record<string, string>>;
  /** Value of --run. */
  readonly run: string | undefined;
  readonly global: GlobalFlags;
};

/** Help or version was asked for and printed. */
export type Printed = { readonly printed: true; readonly exitCode: number };

export type ParseOptions = {
  readonly verbs: readonly Verb[];
  readonly version: string;
  /** The configuration's table, when a verb of `argv` has sections; loading it costs time that `--help` need not spend. */
  readonly leaves: readonly Leaf[];
  readonly sectionDescriptions: ReadonlyMap<string, string>;
  readonly write: (text: string) => void;
  readonly columns: number;
};

const ABOUT = `Label a tenth of your medical images, rank proposals for the rest, get an excellent
segmentation model. The verbs in the order of the work; each prints the next:
`;

/** Configuration keys that every verb has as flags. */
const COMMON_KEYS = {
  seed: ['integer', 'of every random stream'],
  device: ['auto|cpu|cuda', 'where to compute'],
  threads: ['integer', 'CPU threads; 0 leaves the choice to the engine'],
} as const;

/** Whether a value of the configuration is a flag of the verb. */
const isUsed = (leaf: Leaf, { sections = [] }: Verb): boolean => isWithin(leaf.path, sections);

/** Parses the arguments. Throws UsageError with the nearest known name for what is unknown. */
export function parseArguments(argv: readonly string[], options: ParseOptions): Invocation | Printed {
  let invocation: Invocation | undefined;
  const program = createProgram(options);
  const groups = new Map<string, Command>();
  for (const verb of options.verbs) {
    const [first, second] = verb.name.split(' ') as [string, string?];
    const parent = second === undefined ? program : groupCommand(program, groups, first, options.verbs);
    const command = parent.command(second ?? first).summary(verb.summary);
    const readInvocation = describeVerb(command, verb, options);
    command.action(() => {
      invocation = readInvocation(program);
    });
  }
  try {
    program.parse(argv.length === 0 ? ['--help'] : argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { printed: true, exitCode: 0 };
    if (error.code === 'commander.help') return { printed: true, exitCode: 2 };
    throw asUsageError(error, argv, options);
  }
  if (invocation === undefined) throw new Error('no verb was reached');
  return invocation;
}

function createProgram({ verbs, version, write, columns }: ParseOptions): Command {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  const list = verbs.map(({ name, summary }) => `  ${name.padEnd(width)}   ${summary}`).join('\n');
  const program = new Command('maskrank')
    .usage('VERB [arguments] [options]')
    .description(`${ABOUT}\n${list}`)
    .version(`maskrank ${version}`, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help, or the help of a verb')
    .exitOverride()
    .configureOutput({
      writeOut: write,
      writeErr: write,
      outputError: () => {},
      getOutHelpWidth: () => columns,
    })
    .configureHelp({ showGlobalOptions: true, subcommandTerm: (command) => command.name(), formatHelp })
    .option('--json', 'print one JSON document on stdout; progress and messages go to stderr')
    .option('--config <FILE>', 'configuration file (JSON); flags win over it')
    .option(
      '--print-config',
      'print the resolved configuration with the origin of each value, and do nothing',
    )
    .option('--quiet', 'no progress and no next command')
    .option('--debug', 'print the stack of an error; log more');
  for (const [key, [value, words]] of Object.entries(COMMON_KEYS))
    program.option(`--${key} <${value}>`, words);
  return program;
}

/** Help without commander's list of commands at the top: the description lists the verbs, those of groups too. */
function formatHelp(command: Command, helper: Help): string {
  const plain: Help =
    command.parent === null ? Object.create(helper, { visibleCommands: { value: () => [] } }) : helper;
  return Help.prototype.formatHelp.call(plain, command, plain);
}

function groupCommand(
  program: Command,
  groups: Map<string, Command>,
  name: string,
  verbs: readonly Verb[],
): Command {
  const known = groups.get(name);
  if (known) return known;
  const members = verbs
    .filter((verb) => verb.name.startsWith(`${name} `))
    .map((verb) => verb.name.split(' ')[1]!);
  const group = program.command(name).summary(members.join(', ')).helpCommand(false);
  groups.set(name, group);
  return group;
}

/** Adds everything of a verb to its command; the returned function reads what was typed. */
function describeVerb(command: Command, verb: Verb, options: ParseOptions): (program: Command) => Invocation {
  const args = Object.entries(verb.args ?? {});
  // Every argument is optional to commander: `--print-config` needs none, and execute.ts has the better message.
  for (const [, { name, describe, variadic }] of args)
    command.argument(`[${name}${variadic ? '...' : ''}]`, describe);
  const shownArgs = args.map(([, { name, optional, variadic }]) => {
    const shown = `${name}${variadic ? '...' : ''}`;
    return optional ? `[${shown}]` : shown;
  });
  command.usage([...shownArgs, ...(verb.runFolder ? ['--run RUN'] : []), '[options]'].join(' '));
  command.description(verb.details ? `${verb.summary}.\n\n${verb.details}` : `${verb.summary}.`);

  if (verb.runFolder)
    command.option(
      '--run <RUN>',
      `folder of the run${verb.runFolder.mode === 'create' ? '; made when missing' : ''}`,
    );
  const own = Object.entries(verb.options ?? {}).map(([key, spec]) => [key, ownOption(key, spec)] as const);
  for (const [, option] of own) command.addOption(option);
  const shortcuts = Object.entries(verb.shortcuts ?? {}).map(([name, path]) => {
    const leaf = options.leaves.find((candidate) => candidate.path === path);
    const flag = `${flagName(name)} <${leaf ? valueName(leaf) : 'value'}>`;
    return [new Option(flag, `short for ${flagName(path)}`), path] as const;
  });
  for (const [option] of shortcuts) command.addOption(option);
  const leaves = options.leaves.filter((leaf) => isUsed(leaf, verb));
  for (const leaf of leaves) command.addOption(leafOption(leaf, options.sectionDescriptions));
  command.addHelpText('after', examplesText(verb));

  return (program) => {
    const typed = command.opts<Record<string, unknown>>();
    const shared = program.opts<Record<string, unknown>>();
    const flags: Record<string, string> = {};
    const flagNames: Record<string, string> = {};
    for (const key of Object.keys(COMMON_KEYS))
      if (shared[key] !== undefined) flags[key] = String(shared[key]);
    for (const leaf of leaves)
      if (typed[leaf.path] !== undefined) flags[leaf.path] = String(typed[leaf.path]);
    for (const [option, path] of shortcuts) {
      const value = typed[option.attributeName()];
      if (value === undefined) continue;
      if (flags[path] !== undefined && flags[path] !== value)
        throw new UsageError(
          `${option.long} = ${value} and ${flagName(path)} = ${flags[path]}: the same key twice; give one.`,
        );
      flags[path] = String(value);
      flagNames[path] = option.long!;
    }
    return {
      verb,
      args: Object.fromEntries(args.map(([key], i) => [key, command.processedArgs[i]])),
      options: Object.fromEntries(
        own.map(([key, option]) => {
          const value = typed[option.attributeName()] as string | boolean | undefined;
          return [key, option.negate ? value === false : value];
        }),
      ),
      flags,
      flagNames,
      run: typed.run as string | undefined,
      global: {
        json: shared.json === true,
        debug: shared.debug === true,
        quiet: shared.quiet === true,
        printConfig: shared.printConfig === true,
        config: shared.config as string | undefined,
      },
    };
  };
}

function ownOption(key: string, spec: OptionSpec): Option {
  const value = optionValueName(spec);
  const flag = value === undefined ? flagName(key) : `${flagName(key)} <${value}>`;
  return new Option(flag, spec.required ? `${spec.describe} (required)` : spec.describe);
}

/** What stands behind the flag in the help; undefined for switches. */
export const optionValueName = ({ value, choices }: OptionSpec): string | undefined =>
  value ?? choices?.join('|');

function leafOption(leaf: Leaf, sectionDescriptions: ReadonlyMap<string, string>): Option {
  const name = valueName(leaf);
  const value = leaf.kind === 'boolean' ? `[${name}]` : `<${name}>`;
  const byDefault =
    leaf.default === null
      ? 'none'
      : Array.isArray(leaf.default)
        ? leaf.default.join(',')
        : String(leaf.default);
  const option = new Option(`${leaf.flag} ${value}`, `${leaf.description} (default: ${byDefault})`);
  return option.helpGroup(`${sectionDescriptions.get(leaf.section) ?? leaf.section}:`);
}

const valueNames: Record<Leaf['kind'], (leaf: Leaf) => string> = {
  boolean: () => 'true|false',
  choice: (leaf) => leaf.choices.join('|'),
  integer: () => 'integer',
  number: () => 'number',
  text: () => 'text',
  choices: (leaf) => leaf.choices.join(','),
  integers: () => 'list',
  numbers: () => 'list',
};
const valueName = (leaf: Leaf) => valueNames[leaf.kind](leaf);

function examplesText({ examples }: Verb): string {
  const width = Math.max(0, ...examples.map(([command]) => command.length));
  const lines = examples.map(([command, words]) =>
    width + words.length > 90 ? `  ${command}\n      ${words}` : `  ${command.padEnd(width)}   ${words}`,
  );
  return `\nExamples:\n${lines.join('\n')}`;
}

/** Commander's own errors in this project's words; flags of unused sections are told apart from unknown ones. */
function asUsageError(
  error: CommanderError,
  argv: readonly string[],
  { leaves, verbs }: ParseOptions,
): UsageError {
  const unknownFlag =
    error.code === 'commander.unknownOption' ? /'(--[^'=]+)/.exec(error.message)?.[1] : undefined;
  const leaf = leaves.find((candidate) => candidate.flag === unknownFlag);
  if (leaf) {
    const users = verbs.filter((verb) => isUsed(leaf, verb));
    const names = users.map((verb) => verb.name).join(', ') || 'no verb yet';
    return new UsageError(
      `${leaf.flag}: this verb does not use ${leaf.path}; ${names} does. Remove the flag.`,
    );
  }
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = rest
    .join(' ')
    .replace(/^\((.*)\)$/, '$1')
    .trim();
  return new UsageError(`${first}${first.endsWith('.') ? '' : '.'}${suggestion ? ` ${suggestion}` : ''}`, {
    cause: argv,
  });
}
