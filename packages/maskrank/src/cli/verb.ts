// The shape of a verb: one file in verbs/, one line in registry.ts, and the frame does the rest (flags from the
// configuration's schema, run folder and lock, log, progress, Ctrl-C, exit codes, `--json`, the next command).
// A verb's file imports only types and light modules at the top; everything heavy is imported inside `run`, so
// that `maskrank --help` stays quick. A verb is a named export: tsc 6.0 leaves the `import('./x.ts')` inside a default
// export as it is, and Node then finds no such file. Not here: parsing (program.ts) and running (execute.ts).

import type { Config, ConfigPart } from '../run/config.ts';
import type { Origins } from '../run/resolve.ts';
import type { RunFolder, RunMode, Versions } from '../run/run-folder.ts';
import type { Log } from './log.ts';
import type { Progress } from './progress.ts';

/** A positional argument. `variadic` takes all that remain. */
export type ArgumentSpec = {
  readonly name: string;
  readonly describe: string;
  readonly optional?: true;
  readonly variadic?: true;
};

/** A flag of this verb alone; configuration keys are not listed here but by `sections`. */
export type OptionSpec = {
  readonly describe: string;
  /** Name of the value in the help, `DIR`; without it the flag is a switch. */
  readonly value?: string;
  readonly required?: true;
  /** The words that are allowed; makes `value` unnecessary. */
  readonly choices?: readonly string[];
  /** Turns the text into the value; throws UsageError. */
  // biome-ignore lint/suspicious/noExplicitAny: the result is inferred by OptionValue
  readonly parse?: (text: string) => any;
};

type ArgumentValue<A> = A extends { variadic: true }
  ? readonly string[]
  : A extends { optional: true }
    ? string | undefined
    : string;
/** Type of the value when it is given. */
type OptionText<O> = O extends { parse: (text: string) => infer V }
  ? V
  : O extends { choices: readonly (infer C)[] }
    ? C
    : string;
type OptionValue<O> = O extends { value: string } | { choices: readonly string[] }
  ? OptionText<O> | (O extends { required: true } ? never : undefined)
  : boolean;

type Arguments = Readonly<Record<string, ArgumentSpec>>;
type Options = Readonly<Record<string, OptionSpec>>;

/** What `run` gets. */
export type VerbContext<
  A extends Arguments = Arguments,
  O extends Options = Options,
  R = RunFolder | undefined,
> = {
  /** Positional arguments by the verb's own names. */
  readonly args: { readonly [K in keyof A]: ArgumentValue<A[K]> };
  /** Flags of the verb by its own names. */
  readonly options: { readonly [K in keyof O]: OptionValue<O[K]> };
  readonly config: Config;
  readonly origins: Origins;
  /** The folder of --run, opened and locked as the verb asked. */
  readonly runFolder: R;
  /** The command that was typed, quoted for a shell. */
  readonly command: string;
  readonly progress: Progress;
  /** Writes RUN/log.jsonl; silent without a run. */
  readonly log: Log;
  /** Result text for a person, on stdout; nothing under --json. */
  readonly out: (text: string) => void;
  /** `warning: …` on stderr and in the log. */
  readonly warn: (text: string) => void;
  /** Aborted by Ctrl-C: `await safePoint(signal)` (run/interrupt.ts) at every point where stopping loses nothing. */
  readonly signal: AbortSignal;
  readonly versions: Versions;
};

/** What `run` gives back. */
export type VerbResult = {
  /** The document of --json (any JSON value). */
  readonly result: unknown;
  /** Commands that sensibly come next; printed last. */
  readonly next?: string | readonly string[];
  /** The work was done but what it found is bad (a damaged dataset): printed as error, exit code by its class. */
  readonly failure?: Error;
};

/** How a verb uses --run. */
export type RunUse = {
  readonly mode: RunMode;
  readonly optional?: true;
  /** A flag of the verb with which several of its commands work in the run at once (mode `share`, no log.jsonl). */
  readonly sharedWith?: string;
};

type RunOf<R> = R extends { optional: true }
  ? RunFolder | undefined
  : R extends RunUse
    ? RunFolder
    : undefined;

export type VerbSpec<A extends Arguments, O extends Options, R extends RunUse | undefined> = {
  /** `finetune`, or two words for a group: `dataset verify`. */
  readonly name: string;
  /** One line for the list of verbs; no full stop. */
  readonly summary: string;
  /** Further text for the verb's own help. */
  readonly details?: string;
  /** Whole commands with a few words each. */
  readonly examples: readonly (readonly [command: string, words: string])[];
  readonly args?: A;
  readonly options?: O;
  /** Sections of the configuration that the verb uses, or parts of them: their keys become flags. */
  readonly sections?: readonly ConfigPart[];
  /** Short flags for configuration keys: `{ model: 'model.name' }` is `--model`. */
  readonly shortcuts?: Readonly<Record<string, string>>;
  /** Adds --run; without it the verb has none. */
  readonly runFolder?: R;
  readonly run: (context: VerbContext<A, O, RunOf<R>>) => Promise<VerbResult> | VerbResult;
};

/** A verb with its types forgotten, as the registry holds it. */
export type Verb = Omit<VerbSpec<Arguments, Options, RunUse | undefined>, 'run'> & {
  // biome-ignore lint/suspicious/noExplicitAny: the frame builds the context that defineVerb checked
  readonly run: (context: VerbContext<any, any, any>) => Promise<VerbResult> | VerbResult;
};

/** Defines a verb; argument, option and run types follow from the specification. */
export function defineVerb<
  const A extends Arguments = Record<never, ArgumentSpec>,
  const O extends Options = Record<never, OptionSpec>,
  const R extends RunUse | undefined = undefined,
>(spec: VerbSpec<A, O, R>): Verb {
  return spec as unknown as Verb;
}
