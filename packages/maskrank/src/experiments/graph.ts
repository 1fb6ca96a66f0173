// From the rows of an experiment, its data sets and seeds to jobs: division -> prompts -> stage 1 -> stage 2 -> evaluation; a baseline
// is one job. A job's key is a hash of everything that shapes its result (values of the configuration, contents of files, the data
// set, the jobs before it), so equal jobs of different rows and experiments are one. Not here: doing them (schedule.ts).

import { createHash } from 'node:crypto';
import { DataError, UsageError } from '@maskrank/torch/errors';
import type { Dataset } from '../datasets/schema.ts';
import type { PromptKind } from '../run/config/inputs.ts';
import { PROMPT_KINDS } from '../run/config/inputs.ts';
import type { Config, ConfigPart } from '../run/config.ts';
import { isWithin } from '../run/config-part.ts';
import { leaves } from '../run/leaves.ts';
import { canonicalJson, valueAt } from '../run/resolve.ts';
import type { Definition } from './definition.ts';
import { type Row, shareOf } from './rows.ts';
import { contentsOf, type Overrides, resolveSettings, type Settings, valuesOf } from './settings.ts';

/** Version of what jobs do: raised when the same settings would give another result. */
export const JOB_VERSION = 1;

export type JobKind = 'split' | 'prompts' | 'stage1' | 'stage2' | 'evaluation' | 'baseline';

/** A data set as the experiment knows it. */
export type ExperimentData = {
  /** As the command line calls it. */
  readonly name: string;
  /** Absolute path. */
  readonly dir: string;
  readonly hash: string;
  /** Left out: no method is asked whether it can be done there. */
  readonly dataset?: Dataset;
};

/** How cases are divided. */
export type Division = { readonly labelled: number; readonly unlabelled?: number };

export type Job = {
  /** SHA-256, hexadecimal. */
  readonly key: string;
  /** Its folder in the store. */
  readonly folder: string;
  readonly kind: JobKind;
  /** For people. */
  readonly title: string;
  /** Jobs whose results it needs. */
  readonly needs: readonly string[];
  /** The job whose run it goes on with. */
  readonly from?: string;
  /** The job that made its division. */
  readonly splits?: string;
  readonly data: ExperimentData;
  readonly seed: number;
  readonly config: Config;
  /** What its configuration file holds: values that this job or one before it was given. */
  readonly given: Overrides;
  readonly division?: Division & Definition['split'];
  /** Name of the baseline. */
  readonly method?: string;
  readonly controls: readonly string[];
  /** What the key covers, for the record. */
  readonly covers: unknown;
};

/** A number of the table: which row of which evaluation. */
export type Cell = {
  readonly row: Row;
  readonly data: ExperimentData;
  readonly seed: number;
  /** Key of the job with the evaluation. */
  readonly job: string;
};

/** A method that every-baseline means and that cannot be done on a data set. */
export type LeftOut = { readonly method: string; readonly data: string; readonly why: string };

export type Graph = {
  /** By key; a job stands behind those that it needs. */
  readonly jobs: ReadonlyMap<string, Job>;
  readonly cells: readonly Cell[];
  readonly leftOut: readonly LeftOut[];
};

export type GraphOptions = {
  readonly definition: Definition;
  readonly rows: readonly Row[];
  readonly data: readonly ExperimentData[];
  readonly seeds: readonly number[];
  /** What a person gave over the definition's configuration. */
  readonly person: Overrides;
  /** Cases that prompts are made for; default all. */
  readonly prompted?: Division;
};

/** Values that depend on where things lie, or that a job does not look at. */
const SPLITS = 'data.splits';
const SOURCES = ['prompts.unlabelled', 'prompts.test'];
const LIMITS = ['data.maxLabelled', 'data.maxUnlabelled'];
const OF_TRAINING = leaves.map(({ path }) => path).filter((path) => isWithin(path, ['prompts.jitter']));

const PROMPTING: readonly ConfigPart[] = ['data', 'prompts', 'clip', 'saliency', 'crf', 'regions', 'text'];
const STAGE1: readonly ConfigPart[] = ['data', 'model', 'prompts', 'training'];
const STAGE2: readonly ConfigPart[] = ['data', 'prompts', 'alignment', 'scoring'];
const EVALUATION: readonly ConfigPart[] = ['data', 'prompts', 'evaluation'];

/** Prompts are made once a data set, whatever the seed of a division. */
export const PROMPT_SEED = 0;

export async function buildGraph(options: GraphOptions): Promise<Graph> {
  const { definition, rows, data, seeds, person } = options;
  const builder = new Builder(definition, options.prompted ?? { labelled: 1 });
  const cells: Cell[] = [];
  const leftOut: LeftOut[] = [];
  const settingsOf = (row: Row, item: ExperimentData): Settings =>
    resolveSettings(
      [definition.config, definition.data[item.name]?.set ?? {}, person, row.set],
      `${definition.name}, ${row.id}`,
    );
  for (const item of data) {
    const all: { readonly row: Row; readonly settings: Settings }[] = [];
    for (const row of rows) {
      const settings = settingsOf(row, item);
      const why = await obstacle(row, settings, item);
      if (why === undefined) all.push({ row, settings });
      else if (!leftOut.some(({ method, data: name }) => method === row.method.name && name === item.name))
        leftOut.push({ method: row.method.name, data: item.name, why });
    }
    const union = PROMPT_KINDS.filter((kind) =>
      all.some(({ row, settings }) => promptsOf(row, settings.config).includes(kind)),
    );
    for (const seed of seeds)
      for (const { row, settings } of all)
        cells.push({ row, data: item, seed, job: await builder.add(row, item, seed, settings, union) });
  }
  return { jobs: builder.jobs, cells, leftOut };
}

/** Why a row cannot be done on a data set, if every-baseline means it; throws where it was asked for by name. */
async function obstacle(
  { id, method, optional }: Row,
  { config }: Settings,
  { name, dataset }: ExperimentData,
): Promise<string | undefined> {
  if (method.baseline?.check === undefined || dataset === undefined) return undefined;
  try {
    await method.baseline.check(config, dataset);
    return undefined;
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof DataError)) throw error;
    if (optional) return error.message;
    const Kind = error instanceof DataError ? DataError : UsageError;
    throw new Kind(`row ${id} on ${name}: ${error.message} Or leave the arm out with --arms.`);
  }
}

/** Kinds of what `maskrank prompt` makes that a row takes. */
const promptsOf = ({ method: { baseline } }: Row, config: Config): readonly PromptKind[] => {
  if (baseline !== undefined) return baseline.storedPrompts?.(config) ?? [];
  return usesPrompting(config) ? config.prompts.use : [];
};

/** Whether stages need anything of `maskrank prompt`. */
export function usesPrompting({ prompts }: Config): boolean {
  const { use, labelled, unlabelled, test } = prompts;
  const hasText = use.includes('vqa') || use.includes('knowledge');
  return use.length > 0 && (hasText || [labelled, unlabelled, test].includes('saliency'));
}

/** What a job is made of, before it has a key. */
type Draft = Omit<Job, 'key' | 'folder' | 'needs' | 'given' | 'controls' | 'covers'> & {
  readonly controls?: readonly string[];
  /** Values that shape the result. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Values that were given and that its verb reads. */
  readonly own: Overrides;
};

class Builder {
  readonly jobs = new Map<string, Job>();
  readonly #definition: Definition;
  readonly #prompted: Division;

  constructor(definition: Definition, prompted: Division) {
    this.#definition = definition;
    this.#prompted = prompted;
  }

  /** The key of the job with the row's evaluation. */
  async add(
    row: Row,
    data: ExperimentData,
    seed: number,
    settings: Settings,
    promptUse: readonly PromptKind[],
  ): Promise<string> {
    const { config, given } = settings;
    const base = { data, seed, config };
    const words = `${data.name}, seed ${seed}, ${Math.round(1000 * shareOf(row)) / 10} %`;
    const splits = await this.#split(base, { labelled: row.labelled, unlabelled: row.unlabelled });
    if (row.method.baseline !== undefined) {
      const parts: ConfigPart[] = [...row.method.baseline.sections, 'model.name', 'evaluation'];
      const isPrompted = promptsOf(row, config).length > 0;
      const prompts = isPrompted ? await this.#prompts(base, given, promptUse) : undefined;
      const key = await this.#job({
        ...base,
        kind: 'baseline',
        title: `${row.method.name}, ${words}`,
        splits,
        ...(prompts === undefined ? {} : { from: prompts }),
        method: row.method.name,
        values: valuesOf(config, parts, [SPLITS]),
        own: within(given, parts),
      });
      return key;
    }
    if (Object.values(config.prompts).includes('file'))
      throw new UsageError(
        `${this.#definition.name}, ${row.id}: prompts from a file belong to one run; an experiment takes saliency, oracle-box, self or none.`,
      );
    // Stage 1 looks at the labelled cases alone, which are the same whatever share follows without masks.
    const labelledOnly = await this.#split(base, { labelled: row.labelled, unlabelled: 0 });
    const prompts = usesPrompting(config) ? await this.#prompts(base, given, promptUse) : undefined;
    const stage1 = await this.#job({
      ...base,
      kind: 'stage1',
      title: `stage 1, ${data.name}, seed ${seed}, ${Math.round(1000 * row.labelled) / 10} %`,
      splits: labelledOnly,
      ...(prompts === undefined ? {} : { from: prompts }),
      values: valuesOf(config, STAGE1, [SPLITS, ...SOURCES, 'prompts.selfPasses', 'data.maxUnlabelled']),
      own: within(given, STAGE1),
    });
    const trained =
      row.method.name === 'stage1' ? stage1 : await this.#stage2(row, base, given, { stage1, splits }, words);
    return this.#job({
      ...base,
      kind: 'evaluation',
      title: `evaluation of ${row.method.name === 'stage1' ? 'stage 1' : row.id}, ${words}`,
      splits,
      from: trained,
      values: valuesOf(config, EVALUATION, [SPLITS, ...LIMITS, 'prompts.unlabelled']),
      own: within(given, EVALUATION),
    });
  }

  #stage2(
    row: Row,
    base: Base,
    given: Overrides,
    { stage1, splits }: { readonly stage1: string; readonly splits: string },
    words: string,
  ): Promise<string> {
    return this.#job({
      ...base,
      kind: 'stage2',
      title: `stage 2 of ${row.id}, ${words}`,
      from: stage1,
      splits,
      controls: row.controls,
      values: valuesOf(base.config, STAGE2, [SPLITS, 'prompts.test', 'data.maxLabelled']),
      own: within(given, STAGE2),
    });
  }

  #split(base: Base, division: Division): Promise<string> {
    const { split } = this.#definition;
    const share = `${Math.round(1000 * (division.labelled + (division.unlabelled ?? 0))) / 10} %`;
    return this.#job({
      ...base,
      kind: 'split',
      title: `division, ${base.data.name}, seed ${base.seed}, ${share}`,
      division: { ...split, ...division },
      values: {},
      own: {},
    });
  }

  /** Prompts of every case of the data set, with every text that a row asks for. */
  async #prompts(base: Base, given: Overrides, use: readonly PromptKind[]): Promise<string> {
    const { config } = base;
    const whole = { ...base, seed: PROMPT_SEED };
    const without = [SPLITS, ...SOURCES, ...LIMITS, ...OF_TRAINING];
    const indifferent = ['prompts.labelled', 'prompts.use', 'prompts.selfPasses', 'prompts.textTokens'];
    const own = Object.entries(within(given, PROMPTING)).filter(([path]) => !LIMITS.includes(path));
    return this.#job({
      ...whole,
      kind: 'prompts',
      title: `prompts, ${base.data.name}`,
      splits: await this.#split(whole, this.#prompted),
      values: {
        ...valuesOf(config, PROMPTING, [...without, ...indifferent]),
        'prompts.use': use,
        ...wordsOf(base.data),
      },
      own: { ...Object.fromEntries(own), 'prompts.use': use },
    });
  }

  async #job({ values, own, controls = [], ...draft }: Draft): Promise<string> {
    const needs = [draft.splits, draft.from].filter((key) => key !== undefined);
    const covers = {
      version: JOB_VERSION,
      kind: draft.kind,
      data: draft.data.hash,
      seed: draft.seed,
      needs,
      values,
      contents: await contentsOf(values),
      ...(draft.division === undefined ? {} : { division: draft.division }),
      ...(draft.method === undefined ? {} : { method: draft.method }),
      ...(controls.length === 0 ? {} : { controls }),
    };
    const key = createHash('sha256').update(canonicalJson(covers)).digest('hex');
    if (this.jobs.has(key)) return key;
    const before = draft.from === undefined ? {} : (this.jobs.get(draft.from)?.given ?? {});
    // What an earlier job was given and this one was not must be said, or its run would keep it.
    const inherited = Object.keys(before).map((path) => [path, valueAt(draft.config, path)] as const);
    const given = { ...Object.fromEntries(inherited), ...own };
    const folder = `${draft.kind}-${key.slice(0, 16)}`;
    this.jobs.set(key, { ...draft, key, folder, needs, given, controls, covers });
    return key;
  }
}

/** Words of the classes that prompts are made from, which a dataset's hash leaves out; nothing where no class has any. */
function wordsOf({ dataset }: ExperimentData): Record<string, unknown> {
  const words = (dataset?.classes ?? [])
    .filter(({ prompts, question }) => prompts !== undefined || question !== undefined)
    .map(({ id, prompts = [], question = null }) => ({ id, prompts, question }));
  return words.length === 0 ? {} : { 'dataset.words': words };
}

type Base = Pick<Job, 'data' | 'seed' | 'config'>;

const within = (given: Overrides, parts: readonly ConfigPart[]): Overrides =>
  Object.fromEntries(Object.entries(given).filter(([path]) => isWithin(path, parts)));

/** A job with everything that it stands on, itself last. */
export function chainOf({ jobs }: Pick<Graph, 'jobs'>, key: string): readonly Job[] {
  const job = jobs.get(key) as Job;
  return [...job.needs.flatMap((need) => chainOf({ jobs }, need)), job];
}

/** Keys of the jobs of part `index` (from 1) of `count`: neighbouring numbers of the table with all that they need, which others may need as well. */
export function shardOf(
  graph: Graph,
  { index, count }: { index: number; count: number },
): ReadonlySet<string> {
  const ends = [...new Set(graph.cells.map(({ job }) => job))];
  const mine = ends.filter((_, i) => Math.floor((i * count) / ends.length) === index - 1);
  return new Set(mine.flatMap((end) => chainOf(graph, end).map(({ key }) => key)));
}
