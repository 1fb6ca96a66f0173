// The weights on this machine: HOME/weights/NAME/{record.json, a file}. The record names the file and is written last, so a
// kill at any moment leaves the old weights or the new. The file's name holds the beginning of its hash, so a replacement
// never writes over what a running job reads. Not here: downloading (pull.ts), finding what a run asked for (resolve.ts).

import { mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { removeAbandonedTemporaries, writeFileAtomic } from '@maskrank/torch/io';
import { didYouMean, readArtefact } from '../../datasets/artefact.ts';
import type { FileRecord } from '../../datasets/schema.ts';
import { systemReason, writeJson } from '../../run/files.ts';
import { Lock } from '../../run/lock.ts';
import type { SamConfig } from '../sam/config.ts';
import { describeSam } from '../sam/infer-config.ts';
import { contentOf, unchangedPieces, type WorkOptions } from './content.ts';
import { maskrankHome } from './home.ts';
import { checkArchitecture, inspectWeights, WEIGHT_EXTENSIONS, weightExtension } from './inspect.ts';
import { RECORD_FILE, type WeightRecord, WeightRecordSchema } from './record.ts';
import { manualSteps, REGISTERED_WEIGHTS, type RegisteredWeights } from './registry.ts';

export type StoreOptions = {
  /** Default: `maskrankHome()`. */
  readonly home?: string;
  /** The names that are known. Default: the registry. */
  readonly registered?: readonly RegisteredWeights[];
};

export type StoredWeights = { readonly record: WeightRecord; readonly path: string };

/** A line of the list. */
export type ListedWeights = {
  readonly name: string;
  readonly architecture: string | null;
  /** Of the file here, else of the public file where that is known. */
  readonly bytes: number | null;
  readonly licence: string | null;
  readonly origin: string | null;
  readonly trainedOn: string | null;
  /** `present`: record and file are there and sizes agree; hashes are compared by `verify`. */
  readonly state: 'present' | 'absent' | 'damaged';
  readonly path: string | null;
  readonly sha256: string | null;
  /** What is wrong, when damaged. */
  readonly problem: string | null;
};

export type AddOptions = WorkOptions & {
  /** Take the file even if another one stands under the name. */
  readonly replace?: boolean;
  /** Told to whoever finds the name locked. */
  readonly command?: string;
};

export type AddResult = StoredWeights & {
  /** `unchanged`: the same content stood there already. */
  readonly outcome: 'added' | 'replaced' | 'unchanged';
};

export type VerifyResult = {
  readonly name: string;
  readonly path: string | null;
  readonly problem: string | null;
};

/** Bytes of a download that is not complete; in the folder of its name. */
export const PARTIAL_FILE = 'download.partial';

const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;

export class WeightStore {
  /** HOME/weights. */
  readonly dir: string;
  readonly registered: readonly RegisteredWeights[];

  constructor({ home = maskrankHome(), registered = REGISTERED_WEIGHTS }: StoreOptions = {}) {
    this.dir = join(home, 'weights');
    this.registered = registered;
  }

  folder(name: string): string {
    return join(this.dir, name);
  }

  /** The public file of that name. */
  registration(name: string): RegisteredWeights | undefined {
    return this.registered.find((entry) => entry.name === name);
  }

  /** Every name: the registered ones first, then those of one's own files. */
  names(): string[] {
    const registered = this.registered.map(({ name }) => name);
    const own = folderNames(this.dir).filter((name) => NAME.test(name) && !registered.includes(name));
    return [...registered, ...own.filter((name) => exists(join(this.folder(name), RECORD_FILE))).sort()];
  }

  /** UsageError for a name that nothing stands under. */
  requireName(name: string): void {
    const names = this.names();
    if (names.includes(name)) return;
    throw new UsageError(
      `no weights are named '${name}'.${didYouMean(name, names)} There are ${names.join(', ')}.`,
    );
  }

  /** What stands under the name, or undefined. DataError when its record is damaged or its file is gone or of another size. */
  async find(name: string): Promise<StoredWeights | undefined> {
    const recordPath = join(this.folder(name), RECORD_FILE);
    if (!exists(recordPath)) return undefined;
    const record = await readArtefact(recordPath, WeightRecordSchema);
    const path = join(this.folder(name), record.file);
    const bytes = statSync(path, { throwIfNoEntry: false })?.size;
    if (bytes === record.bytes) return { record, path };
    const found = bytes === undefined ? 'is gone' : `has ${bytes} bytes, recorded are ${record.bytes}`;
    throw new DataError(`${path}: ${found}. ${this.remedy(name)}`);
  }

  /** Every name with its state. Reads records and sizes, not the files. */
  async list(): Promise<ListedWeights[]> {
    return Promise.all(
      this.names().map(async (name) => {
        const known = this.registration(name);
        const facts = {
          name,
          licence: known?.licence ?? null,
          trainedOn: known?.trainedOn ?? null,
          origin: known?.origin ?? null,
          architecture: known?.architecture ?? null,
          bytes: known?.bytes ?? null,
          sha256: known?.sha256 ?? null,
          path: null,
          problem: null,
        };
        try {
          const stored = await this.find(name);
          if (stored === undefined) return { ...facts, state: 'absent' as const };
          const { architecture, bytes, sha256, origin } = stored.record;
          return {
            ...facts,
            architecture,
            bytes,
            sha256,
            origin,
            path: stored.path,
            state: 'present' as const,
          };
        } catch (error) {
          if (!(error instanceof DataError)) throw error;
          return { ...facts, state: 'damaged' as const, problem: error.message };
        }
      }),
    );
  }

  /** Hashes the file of a name again. `problem` is null when it is what it was, and what was registered. */
  async verify(name: string, options: WorkOptions = {}): Promise<VerifyResult> {
    try {
      const stored = await this.find(name);
      if (stored === undefined)
        return { name, path: null, problem: `${name} is not here. ${this.remedy(name)}` };
      const { record, path } = stored;
      const { sha256 } = await contentOf(path, { ...options, label: `checking ${name}` });
      const published = this.registration(name)?.sha256 ?? record.sha256;
      const wanted = sha256 === record.sha256 ? published : record.sha256;
      if (sha256 === wanted) return { name, path, problem: null };
      return {
        name,
        path,
        problem: `${path}: SHA-256 is ${sha256}, that of the right file is ${wanted}. ${this.remedy(name)}`,
      };
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      return { name, path: null, problem: error.message };
    }
  }

  /**
   * Copies a file into the store under a name: a registered one, or a new one for one's own file. It must be readable and
   * hold a SAM or SAM-Med2D; under a registered name, the registered one. UsageError when other weights stand there.
   */
  async add(
    name: string,
    file: string,
    { replace = false, ...options }: AddOptions = {},
  ): Promise<AddResult> {
    checkName(name);
    const extension = weightExtension(file);
    const content = await contentOf(file, options);
    this.checkContent(name, content, file);
    return this.locked(name, options.command, async () => {
      const there = await this.intact(name, options);
      if (there?.record.sha256 === content.sha256) return { ...there, outcome: 'unchanged' };
      if (!replace) this.#refuseReplacing(name, file, content, there);
      const network = await this.#inspect(name, file, extension);
      const target = this.#target(name, content, extension);
      await writeFileAtomic(target, unchangedPieces(file, content, options));
      const stored = await this.#commit(name, { content, extension, network, origin: resolve(file) });
      return { ...stored, outcome: there === undefined ? 'added' : 'replaced' };
    });
  }

  /** Takes over a file that lies in the name's folder already (a download), whose content was checked. Call it locked. */
  async adopt(name: string, file: string, content: FileRecord, origin: string): Promise<StoredWeights> {
    const extension = weightExtension(this.registration(name)?.file ?? file);
    const network = await this.#inspect(name, file, extension);
    await rename(file, this.#target(name, content, extension));
    return this.#commit(name, { content, extension, network, origin });
  }

  /** What stands under the name if its content is what was recorded. */
  async intact(name: string, options: WorkOptions): Promise<StoredWeights | undefined> {
    const { path, problem } = await this.verify(name, options);
    return path === null || problem !== null ? undefined : this.find(name);
  }

  /** DataError when the content is not that of the registered public file. */
  checkContent(name: string, { sha256, bytes }: FileRecord, file: string): void {
    const known = this.registration(name);
    if (known === undefined || known.sha256 === null || known.sha256 === sha256) return;
    throw new DataError(
      `${file}: SHA-256 is ${sha256} (${bytes} bytes), that of the public ${known.file} is ${known.sha256}${known.bytes === null ? '' : ` (${known.bytes} bytes)`}. The file is damaged or another one; a file of your own goes under a name of its own.`,
    );
  }

  /** Runs `body` as the only one that changes this name. */
  async locked<T>(name: string, command = 'maskrank weights', body: () => Promise<T>): Promise<T> {
    const folder = this.folder(name);
    makeFolder(this.dir);
    const lock = acquire(join(this.dir, `.${name}.lock`), name, command);
    try {
      makeFolder(folder);
      await removeAbandonedTemporaries(folder);
      return await body();
    } finally {
      removeIfEmpty(folder);
      lock.release();
    }
  }

  /** What to do about weights that are absent or damaged. */
  remedy(name: string): string {
    const known = this.registration(name);
    if (known === undefined) return `Add the file again: maskrank weights add ${name} FILE --replace`;
    return known.url === null ? manualSteps(known) : `Fetch it: maskrank weights pull ${name}`;
  }

  /** UsageError when something would be lost. A damaged public file is worth nothing; of one's own, a person must judge. */
  #refuseReplacing(
    name: string,
    file: string,
    { sha256 }: FileRecord,
    there: StoredWeights | undefined,
  ): void {
    const isOwn = this.registration(name) === undefined;
    if (there === undefined && !(isOwn && exists(join(this.folder(name), RECORD_FILE)))) return;
    const found = there
      ? `other weights stand under this name (SHA-256 ${there.record.sha256.slice(0, 8)}…, from ${there.record.origin}; ${file} has ${sha256.slice(0, 8)}…)`
      : `damaged weights stand under this name (maskrank weights verify ${name})`;
    throw new UsageError(`weights ${name}: ${found}. Take another name, or replace them: --replace.`);
  }

  async #inspect(name: string, path: string, extension: string): Promise<SamConfig> {
    const network = await inspectWeights(path, extension);
    const known = this.registration(name);
    if (known !== undefined) checkArchitecture(network, known, path);
    return network;
  }

  #target(name: string, { sha256 }: FileRecord, extension: string): string {
    return join(this.folder(name), `${name}-${sha256.slice(0, 8)}${extension}`);
  }

  async #commit(name: string, { content, extension, network, origin }: Arrival): Promise<StoredWeights> {
    const path = this.#target(name, content, extension);
    const record: WeightRecord = {
      schemaVersion: 1,
      name,
      file: `${name}-${content.sha256.slice(0, 8)}${extension}`,
      architecture: network.name,
      network: describeSam(network),
      ...content,
      addedAt: new Date().toISOString(),
      origin,
    };
    await writeJson(join(this.folder(name), RECORD_FILE), record);
    await this.#removeReplaced(name, record.file);
    return { record, path };
  }

  /** Weights that the record no longer names, and what a download left. */
  async #removeReplaced(name: string, keep: string): Promise<void> {
    const isWeights = (file: string) =>
      file.startsWith(`${name}-`) && WEIGHT_EXTENSIONS.some((extension) => file.endsWith(extension));
    for (const file of await readdir(this.folder(name))) {
      if (file === PARTIAL_FILE || (isWeights(file) && file !== keep))
        rmSync(join(this.folder(name), file), { force: true });
    }
  }
}

/** A file that has come, and what is known of it. */
type Arrival = {
  readonly content: FileRecord;
  readonly extension: string;
  readonly network: SamConfig;
  readonly origin: string;
};

function checkName(name: string): void {
  const extension = WEIGHT_EXTENSIONS.find((ending) => name.endsWith(ending));
  if (NAME.test(name) && extension === undefined) return;
  const found = extension === undefined ? '' : ` It ends in ${extension}, so it would be taken for a file.`;
  throw new UsageError(
    `'${name}' cannot be a name of weights.${found} Allowed: up to 64 small letters, digits, '.', '_', '-', beginning and ending with a letter or digit; the file comes second: maskrank weights add NAME FILE`,
  );
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new DataError(
      `${path}: cannot be made (${systemReason(cause)}). MASKRANK_HOME chooses another place.`,
      { cause },
    );
  }
}

function acquire(path: string, name: string, command: string): Lock {
  try {
    return Lock.acquire(path, { command });
  } catch (cause) {
    if (!(cause instanceof UsageError)) throw cause;
    throw new UsageError(`weights ${name}: another command is at work on them. ${cause.message}`, { cause });
  }
}

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

function folderNames(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new DataError(`${dir}: cannot be read (${systemReason(cause)}).`, { cause });
  }
}

function removeIfEmpty(folder: string): void {
  if (exists(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}
