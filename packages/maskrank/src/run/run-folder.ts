// RUN: the folder of one experiment. run.json says with what it was made: resolved configuration with the origin of
// each value, versions, dataset, every command line, and the configuration each stage was begun with. One writer at a time,
// or several that share the work, each with files of its own, and the lock only while one of them writes run.json.
// Not here: the artefacts' content; this file only knows where they lie.

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { removeAbandonedTemporaries } from '@maskrank/torch/io';
import * as z from 'zod';
import { parseArtefact } from '../datasets/artefact.ts';
import type { Config } from './config.ts';
import { readJson, systemReason, writeJson } from './files.ts';
import type { ArtefactHeader } from './header.ts';
import { Lock, type LockHolder } from './lock.ts';
import {
  canonicalJson,
  configHash,
  type HashedSections,
  hashedValues,
  type Origins,
  type ResolvedConfig,
  valueText,
} from './resolve.ts';

const SCHEMA_VERSION = 1;

/** Versions that may change a result. */
export type Versions = {
  readonly maskrank: string;
  readonly node: string;
  /** libtorch's version and device, `null` while no verb has loaded it. */
  readonly engine: string | null;
};

const versionsSchema = z.strictObject({
  maskrank: z.string(),
  node: z.string(),
  engine: z.string().nullable(),
});

const recordSchema = z.strictObject({
  schemaVersion: z.literal(SCHEMA_VERSION),
  createdAt: z.string(),
  versions: versionsSchema,
  /** Absolute path and content hash of the dataset; null until a verb names one. */
  dataset: z.strictObject({ path: z.string(), hash: z.string() }).nullable(),
  /**
   * As resolved for the latest command that began a stage or ended well: what a refused command wanted is not kept, or
   * the next one would inherit it. Null before the first. Checked by the configuration's own schema when it is used.
   */
  config: z.record(z.string(), z.unknown()).nullable(),
  origins: z.record(z.string(), z.string()),
  /** What each stage was begun with; a resumed stage must agree. */
  stages: z.record(
    z.string(),
    z.strictObject({
      configHash: z.string(),
      values: z.record(z.string(), z.unknown()),
      madeFrom: z.record(z.string(), z.string()),
      startedAt: z.string(),
      finishedAt: z.string().nullable(),
    }),
  ),
  /** Every command that wrote into the run, oldest first. */
  history: z.array(
    z.strictObject({
      at: z.string(),
      command: z.string(),
      versions: versionsSchema,
      /** Null while it runs, and for ever when it was killed. */
      elapsedMs: z.number().nullable(),
      exitCode: z.int().nullable(),
      /** What the command sent to other machines and where to, as a sentence; absent where it could send nothing. */
      privacy: z.string().exactOptional(),
    }),
  ),
});

type RunRecord = z.output<typeof recordSchema>;
type HistoryEntry = RunRecord['history'][number];

/** Where things lie in a run. */
export type RunPaths = {
  readonly record: string;
  readonly lock: string;
  readonly log: string;
  readonly prompts: string;
  readonly metrics: string;
  readonly checkpoints: string;
  readonly stage1: string;
  readonly stage2: string;
  readonly proposals: string;
  /** Image embeddings and reference logits; may be deleted at any time. */
  readonly cache: string;
  readonly ratings: string;
  readonly evaluation: string;
  readonly report: string;
};

/** Paths of the artefacts of the run at `dir`. */
export function runPaths(dir: string): RunPaths {
  const at = (...parts: string[]) => join(dir, ...parts);
  return {
    record: at('run.json'),
    lock: at('run.lock'),
    log: at('log.jsonl'),
    prompts: at('prompts.jsonl'),
    metrics: at('metrics.jsonl'),
    checkpoints: at('checkpoints'),
    stage1: at('checkpoints', 'stage1.safetensors'),
    stage2: at('checkpoints', 'stage2.safetensors'),
    proposals: at('proposals'),
    cache: at('cache'),
    ratings: at('ratings.jsonl'),
    evaluation: at('evaluation.json'),
    report: at('report.html'),
  };
}

/**
 * `create`: made when missing, locked. `write`: must exist, locked. `read`: must exist, not locked, never changed. `share`: made
 * when missing; several commands at a time, which take the lock in turn for each change of run.json, and see `exclusively`.
 */
export type RunMode = 'create' | 'write' | 'read' | 'share';

/** How long a sharing command waits for its turn, ms: a turn takes a few. */
const TURN_MS = 60_000;

export type OpenRunOptions = {
  readonly mode: RunMode;
  /** Command line for the history, the lock and messages. */
  readonly command: string;
  readonly versions: Versions;
  /** Configuration for this command, resolved with `readRunConfig`'s values as a layer. */
  readonly resolved: ResolvedConfig;
};

/** What a stage that can be resumed is told when it begins. */
export type StageEntry = {
  /** The header of everything the stage writes. */
  readonly header: ArtefactHeader;
  /** It was begun before with the same configuration and inputs. */
  readonly resumed: boolean;
  readonly finished: boolean;
};

/** The configuration that the run goes on with; undefined when there is no run at `dir`, or nothing was done in it. */
export function readRunConfig(dir: string): ResolvedConfig | undefined {
  if (!existsSync(runPaths(dir).record)) return undefined;
  const { config, origins } = readRecord(dir);
  return config === null ? undefined : { config: config as unknown as Config, origins };
}

export class RunFolder {
  /** Absolute. */
  readonly dir: string;
  readonly paths: RunPaths;
  readonly mode: RunMode;
  /** Holder of a stale lock that was taken over: the command before was killed. */
  readonly takenFrom: LockHolder | 'unreadable' | undefined;
  readonly #lock: Lock | undefined;
  readonly #command: string;
  readonly #resolved: ResolvedConfig;
  /** This command's own line of the history. */
  readonly #entry: HistoryEntry | undefined;
  #record: RunRecord;

  private constructor(
    dir: string,
    { mode, resolved, command }: OpenRunOptions,
    { record, entry }: { readonly record: RunRecord; readonly entry: HistoryEntry | undefined },
    lock: Lock | undefined,
  ) {
    this.dir = dir;
    this.paths = runPaths(dir);
    this.mode = mode;
    this.takenFrom = lock?.takenFrom;
    this.#resolved = resolved;
    this.#command = command;
    this.#record = record;
    this.#entry = entry;
    this.#lock = lock;
  }

  static async open(path: string, options: OpenRunOptions): Promise<RunFolder> {
    const dir = resolve(path);
    const paths = runPaths(dir);
    const exists = existsSync(paths.record);
    if (!exists && (options.mode === 'write' || options.mode === 'read'))
      throw new DataError(
        `${path}: is not a run (no run.json). Name the folder that \`maskrank finetune DATASET --run RUN\` made.`,
      );
    if (options.mode === 'read')
      return new RunFolder(dir, options, { record: readRecord(dir), entry: undefined }, undefined);
    const isShared = options.mode === 'share';
    if (!exists) prepareFolder(path, dir, isShared);
    const lock = isShared
      ? await Lock.wait(paths.lock, { command: options.command, waitMs: TURN_MS })
      : Lock.acquire(paths.lock, { command: options.command });
    try {
      const now = new Date().toISOString();
      const before = existsSync(paths.record) ? readRecord(dir) : undefined;
      const versions = {
        ...options.versions,
        engine: options.versions.engine ?? before?.versions.engine ?? null,
      };
      const record: RunRecord = {
        schemaVersion: SCHEMA_VERSION,
        createdAt: before?.createdAt ?? now,
        versions,
        dataset: before?.dataset ?? null,
        config: before?.config ?? null,
        origins: before?.origins ?? {},
        stages: before?.stages ?? {},
        history: [
          ...(before?.history ?? []),
          { at: now, command: options.command, versions, elapsedMs: null, exitCode: null },
        ],
      };
      mkdirSync(paths.checkpoints, { recursive: true });
      await removeAbandonedTemporaries(dir);
      await removeAbandonedTemporaries(paths.checkpoints);
      await writeJson(paths.record, record);
      const entry = record.history.at(-1)!;
      if (isShared) lock.release();
      return new RunFolder(dir, options, { record, entry }, isShared ? undefined : lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Dataset of the run: absolute path and content hash. */
  get dataset(): { readonly path: string; readonly hash: string } | undefined {
    return this.#record.dataset ?? undefined;
  }

  /** The dataset, or DataError saying which command names one. */
  requireDataset(): { readonly path: string; readonly hash: string } {
    if (this.#record.dataset) return this.#record.dataset;
    throw new DataError(
      `${this.paths.record}: no dataset is recorded yet. Begin with: maskrank finetune DATASET --run ${this.dir}`,
    );
  }

  /**
   * Binds the run to a dataset. Once a stage has begun, another content is refused; another path with equal content is
   * taken.
   */
  async setDataset(path: string, hash: string): Promise<void> {
    await this.#update(({ dataset: bound, stages }) => {
      if (bound && bound.hash !== hash && Object.keys(stages).length > 0)
        throw new DataError(
          `${this.dir}: the run belongs to dataset ${bound.hash.slice(0, 12)} (${bound.path}); ${path} is ${hash.slice(0, 12)}. Use a new --run folder for it.`,
        );
      return { dataset: { path: resolve(path), hash } };
    });
  }

  /** Notes the engine once it is loaded. */
  async setEngine(engine: string): Promise<void> {
    await this.#update(({ versions }) => ({ versions: { ...versions, engine } }));
  }

  /** Notes in this command's line of the history what leaves the machine. */
  async setPrivacy(privacy: string): Promise<void> {
    await this.#update(({ history }) => ({ history: this.#withOwn(history, { privacy }) }));
  }

  /**
   * Begins or resumes a stage. `sections` are those that shape its result, `madeFrom` the hashes of its inputs.
   * Begun before with other values, it is refused with every difference, unless `restart`.
   */
  async enterStage(
    name: string,
    config: Config,
    options: {
      readonly sections: HashedSections;
      readonly madeFrom: Readonly<Record<string, string>>;
      readonly restart?: boolean;
    },
  ): Promise<StageEntry> {
    const hash = configHash(config, options.sections);
    const header = { schemaVersion: 1, configHash: hash, madeFrom: options.madeFrom };
    const before = options.restart ? undefined : this.#record.stages[name];
    if (before) {
      const differences = [
        ...differing(before.values, hashedValues(config, options.sections)),
        ...differing(before.madeFrom, options.madeFrom),
      ];
      if (differences.length > 0)
        throw new UsageError(
          `${this.dir}: ${name} was begun with other values: ${differences.join('; ')}. Use those values, a new --run folder, or --restart to discard what ${name} did.`,
        );
      await this.#update(() => this.#kept());
      return { header, resumed: true, finished: before.finishedAt !== null };
    }
    const stage = {
      configHash: hash,
      values: hashedValues(config, options.sections),
      madeFrom: { ...options.madeFrom },
      startedAt: new Date().toISOString(),
      finishedAt: null,
    };
    await this.#update(({ stages }) => ({ ...this.#kept(), stages: { ...stages, [name]: stage } }));
    return { header, resumed: false, finished: false };
  }

  async finishStage(name: string): Promise<void> {
    const stage = this.#record.stages[name];
    if (stage === undefined) throw new Error(`stage ${name} was not entered`);
    await this.#update(({ stages }) => ({
      stages: { ...stages, [name]: { ...stage, finishedAt: new Date().toISOString() } },
    }));
  }

  /** Origins, versions, stages and history, for the report. */
  get record(): Readonly<RunRecord> & { readonly origins: Origins } {
    return this.#record;
  }

  /** Does `work` while no other command writes into the run: at once where this one holds the lock, else in its turn. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.mode !== 'share') return work();
    const lock = await Lock.wait(this.paths.lock, { command: this.#command, waitMs: TURN_MS });
    try {
      return await work();
    } finally {
      lock.release();
    }
  }

  /** Notes how the command ended and gives the lock back. */
  async close(exitCode: number): Promise<void> {
    const entry = this.#entry;
    if (entry === undefined) return;
    const elapsedMs = Date.now() - Date.parse(entry.at);
    try {
      await this.#update(({ history }) => ({
        ...(exitCode === 0 && this.#kept()),
        history: this.#withOwn(history, { elapsedMs, exitCode }),
      }));
    } finally {
      this.#lock?.release();
    }
  }

  /** The history with more known of this command, which still runs. */
  #withOwn(history: readonly HistoryEntry[], more: Partial<HistoryEntry>): HistoryEntry[] {
    const entry = this.#entry;
    const own = history.findLastIndex(
      ({ at, command, exitCode }) => at === entry?.at && command === entry.command && exitCode === null,
    );
    return history.map((line, i) => (i === own ? { ...line, ...more } : line));
  }

  /** This command's configuration as the run's. */
  #kept(): Pick<RunRecord, 'config' | 'origins'> {
    const { config, origins } = this.#resolved;
    return { config: config as unknown as Record<string, unknown>, origins: { ...origins } };
  }

  async #update(change: (record: RunRecord) => Partial<RunRecord>): Promise<void> {
    if (this.mode === 'read') throw new Error(`${this.dir} was opened for reading`);
    await this.exclusively(async () => {
      const record = this.mode === 'share' ? readRecord(this.dir) : this.#record;
      this.#record = { ...record, ...change(record) };
      await writeJson(this.paths.record, this.#record);
    });
  }
}

function readRecord(dir: string): RunRecord {
  const path = runPaths(dir).record;
  const value = readJson(path, 'record of the run') as { schemaVersion?: unknown } | null;
  if (typeof value?.schemaVersion === 'number' && value.schemaVersion > SCHEMA_VERSION)
    throw new DataError(
      `${path}: schemaVersion = ${value.schemaVersion}, allowed: up to ${SCHEMA_VERSION}. The run is of a newer maskrank; update this one.`,
    );
  return parseArtefact(value, recordSchema, path);
}

/** Makes the folder; a folder with foreign files is refused so that nothing of a person is overwritten. */
function prepareFolder(path: string, dir: string, isShared: boolean): void {
  try {
    mkdirSync(dir, { recursive: true });
  } catch (cause) {
    throw new DataError(`${path}: the run folder cannot be made (${systemReason(cause)}).`, { cause });
  }
  const names = readdirSync(dir);
  // Another command that shares the run may have been quicker.
  if (isShared && names.includes('run.json')) return;
  const foreign = names.filter((name) => !/^\.?run\.(lock|json)|^checkpoints$/.test(name));
  if (foreign.length > 0)
    throw new UsageError(
      `${path}: is not a run and not empty (${foreign.slice(0, 3).join(', ')}, …). Name a new folder with --run.`,
    );
}

/** `training.batchSize was 8, now 4` */
function differing(
  before: Readonly<Record<string, unknown>>,
  now: Readonly<Record<string, unknown>>,
): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names]
    .filter((name) => canonicalJson(before[name]) !== canonicalJson(now[name]))
    .map((name) => `${name} was ${valueText(before[name] ?? null)}, now ${valueText(now[name] ?? null)}`);
}
