// OUT/jobs: a folder a job, with its run, its log and, when it is done, result.json with the hash of every file that matters. A job
// without a whole result is not done; one whose files are not what result.json says is corrupt and is done again.
// Several commands may use a store at once: a job is claimed by a lock. Not here: which jobs, in which order (schedule.ts).

import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { copyFile, link, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeAbandonedTemporaries } from '@maskrank/torch/io';
import * as z from 'zod';
import { hashFile, readJson, writeJson } from '../run/files.ts';
import { Lock } from '../run/lock.ts';
import { runPaths } from '../run/run-folder.ts';
import type { Job, JobKind } from './graph.ts';
import { nested } from './settings.ts';

const RecordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  key: z.string(),
  kind: z.string(),
  title: z.string(),
  /** What the key covers. */
  covers: z.unknown(),
  /** Path below the job's folder, SHA-256 and size. */
  files: z.array(z.strictObject({ path: z.string(), sha256: z.string(), bytes: z.int().min(0) })),
  /** Commands as typed, each with its time. */
  steps: z.array(z.strictObject({ command: z.string(), seconds: z.number() })),
  /** Of all steps; null where an earlier command had begun it. */
  seconds: z.number().nullable(),
  peakMemoryBytes: z.number().nullable(),
  startedAt: z.string(),
  finishedAt: z.string(),
  host: z.string(),
});

/** What stands in result.json. */
export type JobRecord = z.output<typeof RecordSchema>;

/** A job as the store knows it. */
export type StoredJob = Pick<Job, 'key' | 'folder' | 'kind'>;

export type JobState =
  | { readonly state: 'done'; readonly record: JobRecord }
  | { readonly state: 'absent' }
  | { readonly state: 'corrupt'; readonly why: string };

/** What must be left of a job; the first of them is its result, the others what later jobs need. */
const ARTEFACTS: Readonly<Record<JobKind, readonly RegExp[]>> = {
  split: [/^splits\.json$/],
  prompts: [/^run\/prompts\.jsonl$/, /^run\/cache\/text-features\.safetensors$/],
  stage1: [/^run\/checkpoints\/stage1\.safetensors$/, /^run\/prompts\.jsonl$/],
  stage2: [/^run\/checkpoints\/[^/]+(?<!\.state)\.(safetensors|json)$/, /^run\/ratings\.jsonl$/],
  evaluation: [/^run\/evaluation\.json$/],
  baseline: [/^run\/evaluation\.json$/, /^run\/checkpoints\/[^/]+(?<!\.state)\.safetensors$/],
};

/** Kinds that no other job goes on from: beside their result, what is gone is missed by nobody. */
const ENDS: ReadonlySet<JobKind> = new Set(['evaluation', 'baseline']);

/** What a carried store has of a job beside its record: numbers, what they are counted from, and what people judged. */
const CARRIED: Readonly<Partial<Record<JobKind, string>>> = {
  split: 'splits.json',
  stage2: 'run/ratings.jsonl',
  evaluation: 'run/evaluation.json',
  baseline: 'run/evaluation.json',
};

/** What a run that goes on from another does not take over. */
const LEFT_BEHIND =
  /^(evaluation\.json|report\.html|log\.jsonl|predictions|prompt-maps|run\.lock.*|\..*\.tmp|cache\/saliency|checkpoints\/.*\.state\.safetensors)$/;

/** Always replaced as a whole, never written into: may be shared between runs. */
const SHAREABLE = /\.safetensors$/;

export class Store {
  /** OUT */
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
    mkdirSync(join(dir, 'jobs'), { recursive: true });
  }

  folder(job: Pick<Job, 'folder'>): string {
    return join(this.dir, 'jobs', job.folder);
  }

  /** The run of a job. */
  run(job: Pick<Job, 'folder'>): string {
    return join(this.folder(job), 'run');
  }

  splits(job: Pick<Job, 'folder'>): string {
    return join(this.folder(job), 'splits.json');
  }

  config(job: Pick<Job, 'folder'>): string {
    return join(this.folder(job), 'config.json');
  }

  log(job: Pick<Job, 'folder'>): string {
    return join(this.folder(job), 'log.txt');
  }

  error(job: Pick<Job, 'folder'>): string {
    return join(this.folder(job), 'error.txt');
  }

  /** Whether the job is done, and its files are what it left. */
  async check(job: StoredJob): Promise<JobState> {
    const path = this.#result(job);
    if (!existsSync(path)) return { state: 'absent' };
    let record: JobRecord;
    try {
      record = RecordSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    } catch (error) {
      return {
        state: 'corrupt',
        why: `result.json is no record (${(error as Error).message.split('\n')[0]})`,
      };
    }
    if (record.key !== job.key) return { state: 'corrupt', why: 'result.json is of another job' };
    for (const { path: name, sha256, bytes } of record.files) {
      const file = join(this.folder(job), name);
      const size = statSync(file, { throwIfNoEntry: false })?.size;
      if (size === undefined && ENDS.has(job.kind) && !ARTEFACTS[job.kind][0]!.test(name)) continue;
      if (size === undefined) return { state: 'corrupt', why: `${name} is gone` };
      if (size !== bytes) return { state: 'corrupt', why: `${name} has ${size} bytes, had ${bytes}` };
      if ((await hashFile(file)) !== sha256)
        return { state: 'corrupt', why: `${name} is not what the job wrote (SHA-256)` };
    }
    return { state: 'done', record };
  }

  /** The record of a job that is done, unchecked; undefined where there is none. */
  record(job: Pick<Job, 'folder'>): JobRecord | undefined {
    const path = this.#result(job);
    if (!existsSync(path)) return undefined;
    const parsed = RecordSchema.safeParse(readJson(path, 'record of the job'));
    return parsed.success ? parsed.data : undefined;
  }

  /** Records of everything in the store, of this and other experiments. */
  records(): JobRecord[] {
    return readdirSync(join(this.dir, 'jobs'))
      .map((folder) => this.record({ folder }))
      .filter((record) => record !== undefined);
  }

  /** Takes the job for this process. Throws InUseError where another command has it. */
  claim(job: Job, command: string): Lock {
    mkdirSync(this.folder(job), { recursive: true });
    return Lock.acquire(join(this.folder(job), 'claim.lock'), { command });
  }

  /** Removes what is there of a job, but for its claim and its log. */
  discard(job: Job): void {
    for (const name of ['result.json', 'config.json', 'splits.json', 'error.txt', 'run', 'run.part'])
      rmSync(join(this.folder(job), name), { recursive: true, force: true });
  }

  /**
   * Makes a claimed job ready to begin or to go on: its configuration, and the run of the job before it.
   *
   * @returns whether an earlier command had begun it
   */
  async prepare(job: Job, from: Job | undefined, splitsPath: string | undefined): Promise<boolean> {
    const folder = this.folder(job);
    await removeAbandonedTemporaries(folder);
    const config = {
      seed: job.seed,
      ...nested(job.given),
    } as Record<string, unknown>;
    if (splitsPath !== undefined)
      config.data = { ...(config.data as Record<string, unknown> | undefined), splits: splitsPath };
    const text = `${JSON.stringify(config, null, 2)}\n`;
    const before = existsSync(this.config(job)) ? readFileSync(this.config(job), 'utf8') : text;
    // Moved or otherwise changed: what was begun would be refused.
    if (before !== text) this.discard(job);
    const isBegun = existsSync(this.run(job));
    await writeJson(this.config(job), config);
    await writeJson(join(folder, 'job.json'), { key: job.key, title: job.title, covers: job.covers });
    if (from !== undefined && !isBegun) {
      const part = join(folder, 'run.part');
      await rm(part, { recursive: true, force: true });
      await copyRun(this.run(from), part);
      await rename(part, this.run(job));
    }
    return isBegun;
  }

  /** Writes down that a job is done. */
  async finish(
    job: Job,
    facts: Omit<JobRecord, 'schemaVersion' | 'key' | 'kind' | 'title' | 'covers' | 'files'>,
  ): Promise<JobRecord> {
    const folder = this.folder(job);
    const names = (await filesBelow(folder)).filter((name) => ARTEFACTS[job.kind].some((a) => a.test(name)));
    if (!names.some((name) => ARTEFACTS[job.kind][0]!.test(name)))
      throw new Error(`${folder}: the job ended well but left no result`);
    const files: JobRecord['files'] = [];
    for (const path of names.sort()) {
      const file = join(folder, path);
      files.push({ path, sha256: await hashFile(file), bytes: statSync(file).size });
    }
    const { key, kind, title, covers } = job;
    const record: JobRecord = { schemaVersion: 1, key, kind, title, covers, files, ...facts };
    await writeJson(this.#result(job), record);
    rmSync(this.error(job), { force: true });
    return record;
  }

  /** Copies what is light of a finished job into another store, unless it has the job. */
  async carry(job: StoredJob, target: Store): Promise<void> {
    const record = this.record(job);
    if (record === undefined || target.record(job) !== undefined) return;
    for (const name of ['config.json', CARRIED[job.kind]]) {
      if (name === undefined || !existsSync(join(this.folder(job), name))) continue;
      const copy = join(target.folder(job), name);
      await mkdir(dirname(copy), { recursive: true });
      await copyFile(join(this.folder(job), name), copy);
    }
    // Last: without it the job is not done.
    await writeJson(target.#result(job), record);
  }

  /** Appends to a job's log. */
  note(job: Job, text: string): void {
    appendFileSync(this.log(job), text);
  }

  #result(job: Pick<Job, 'folder'>): string {
    return join(this.folder(job), 'result.json');
  }
}

/** Paths of all files below a folder, with forward slashes. */
async function filesBelow(folder: string, below = ''): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) names.push(...(await filesBelow(folder, name)));
    else names.push(name);
  }
  return names;
}

/** A run as another goes on with it: without what belongs to its last stage alone. Large files are shared, not copied. */
async function copyRun(from: string, to: string): Promise<void> {
  const copy = async (below: string): Promise<void> => {
    await mkdir(join(to, below), { recursive: true });
    for (const entry of await readdir(join(from, below), { withFileTypes: true })) {
      const name = below === '' ? entry.name : `${below}/${entry.name}`;
      if (LEFT_BEHIND.test(name)) continue;
      if (entry.isDirectory()) await copy(name);
      else if (SHAREABLE.test(name)) await shared(join(from, name), join(to, name));
      else await copyFile(join(from, name), join(to, name));
    }
  };
  await copy('');
}

/** The same file under another name; a copy where the file system has no such thing. */
async function shared(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (
      !['EPERM', 'EXDEV', 'ENOTSUP', 'EMLINK', 'ENOSYS'].includes((error as NodeJS.ErrnoException).code ?? '')
    )
      throw error;
    await copyFile(from, to);
  }
}

/** The evaluation of a job's run. */
export const evaluationPath = (store: Store, job: Pick<Job, 'folder'>): string =>
  runPaths(store.run(job)).evaluation;
