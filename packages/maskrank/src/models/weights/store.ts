// The weights on this machine: HOME/weights/NAME/{record.json, a file, files that belong to it}. The record names them and is
// written last, so a kill at any moment leaves the old weights or the new. The weight file's name holds the beginning of its
// hash, so a replacement never writes over what a running job reads; a vocabulary or tokeniser beside it keeps its own name, by
// which loaders find it. Weights that come with maskrank lie in a folder of the same layout that nobody writes to. Not here: downloading (pull.ts), finding what a run asked for (resolve.ts), what files hold (families.ts).

import { rmSync, statSync } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { removeAbandonedTemporaries, writeFileAtomic } from '@maskrank/torch/io';
import { didYouMean, readArtefact } from '../../datasets/artefact.ts';
import type { FileRecord } from '../../datasets/schema.ts';
import { writeJson } from '../../run/files.ts';
import { checkCompanion } from './companions.ts';
import { contentOf, unchangedPieces, type WorkOptions } from './content.ts';
import {
  checkInspection,
  type FamilyName,
  type Inspection,
  inspectWeights,
  WEIGHT_EXTENSIONS,
  weightExtension,
} from './families.ts';
import { maskrankHome } from './home.ts';
import { RECORD_FILE, type WeightRecord, WeightRecordSchema } from './record.ts';
import { manualSteps, REGISTERED_WEIGHTS, type RegisteredFile, type RegisteredWeights } from './registry.ts';
import { SHIPPED_FACTS, shippedFolder } from './shipped.ts';
import { acquire, checkName, exists, makeFolder, recordedNames, removeIfEmpty } from './store-files.ts';

export type StoreOptions = {
  /** Default: `maskrankHome()`. */
  readonly home?: string;
  /** The names that are known. Default: the registry. */
  readonly registered?: readonly RegisteredWeights[];
  /** Folder of the weights that come with maskrank, laid out as HOME/weights; null: none. Default: `shippedFolder()`. */
  readonly shipped?: string | null;
};

export type StoredWeights = { readonly record: WeightRecord; readonly path: string };

/** A line of the list. */
export type ListedWeights = {
  readonly name: string;
  readonly family: FamilyName | null;
  readonly architecture: string | null;
  /** It comes with maskrank. */
  readonly shipped: boolean;
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

export class WeightStore {
  /** HOME/weights. */
  readonly dir: string;
  readonly registered: readonly RegisteredWeights[];
  readonly #shipped: string | null;

  constructor({
    home = maskrankHome(),
    registered = REGISTERED_WEIGHTS,
    shipped = shippedFolder(),
  }: StoreOptions = {}) {
    this.dir = join(home, 'weights');
    this.registered = registered;
    // Whoever makes the weights that are shipped has their folder as the store.
    this.#shipped = shipped === this.dir ? null : shipped;
  }

  /** Where the files of a name are, or would come. */
  folder(name: string): string {
    return join(this.isShipped(name) ? (this.#shipped as string) : this.dir, name);
  }

  /** Whether weights of that name come with maskrank. */
  isShipped(name: string): boolean {
    return this.#shipped !== null && exists(join(this.#shipped, name, RECORD_FILE));
  }

  /** The public file of that name. */
  registration(name: string): RegisteredWeights | undefined {
    return this.registered.find((entry) => entry.name === name);
  }

  /** Every name: those that come with maskrank, the registered ones, then those of one's own files. */
  names(): string[] {
    const shipped = this.#shipped === null ? [] : recordedNames(this.#shipped);
    const registered = this.registered.map(({ name }) => name);
    return [...new Set([...shipped, ...registered, ...recordedNames(this.dir)])];
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
    for (const { file, bytes: recorded } of [record, ...record.beside]) {
      const at = join(this.folder(name), file);
      const bytes = statSync(at, { throwIfNoEntry: false })?.size;
      if (bytes === recorded) continue;
      const found = bytes === undefined ? 'is gone' : `has ${bytes} bytes, recorded are ${recorded}`;
      throw new DataError(`${at}: ${found}. ${this.remedy(name)}`);
    }
    return { record, path };
  }

  /** Every name with its state. Reads records and sizes, not the files. */
  async list(): Promise<ListedWeights[]> {
    return Promise.all(
      this.names().map(async (name) => {
        const known = this.registration(name);
        const facts = {
          name,
          shipped: this.isShipped(name),
          licence: known?.licence ?? null,
          trainedOn: known?.trainedOn ?? null,
          origin: known?.origin ?? null,
          family: known?.family ?? null,
          architecture: known?.architecture ?? null,
          bytes: known?.bytes ?? null,
          sha256: known?.sha256 ?? null,
          path: null,
          problem: null,
        };
        try {
          const stored = await this.find(name);
          if (stored === undefined) return { ...facts, state: 'absent' as const };
          const { family, architecture, bytes, sha256, origin } = stored.record;
          return {
            ...facts,
            family,
            architecture,
            bytes,
            sha256,
            origin,
            path: stored.path,
            ...(facts.shipped ? SHIPPED_FACTS : {}),
            state: 'present' as const,
          };
        } catch (error) {
          if (!(error instanceof DataError)) throw error;
          return { ...facts, state: 'damaged' as const, problem: error.message };
        }
      }),
    );
  }

  /**
   * Hashes the files of a name again and compares names and shapes with the network. `problem` is null when all is what it was,
   * what was registered, and what the network needs; else it tells everything that is wrong.
   */
  async verify(name: string, options: WorkOptions = {}): Promise<VerifyResult> {
    try {
      const stored = await this.find(name);
      if (stored === undefined)
        return { name, path: null, problem: `${name} is not here. ${this.remedy(name)}` };
      const { record, path } = stored;
      const problems = await this.#changed(stored, options);
      for (const { file } of this.missingBeside(name, record)) {
        problems.push(`${join(this.folder(name), file)}: is not here. ${this.remedy(name, file)}`);
      }
      // Of a damaged file the tensors tell nothing.
      if (problems.length === 0) await this.#inspect(name, path, weightExtension(path), record.family);
      return { name, path, problem: problems.length === 0 ? null : problems.join('\n') };
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      return { name, path: null, problem: error.message };
    }
  }

  /** Files whose content is not what was recorded, or not what was published. */
  async #changed({ record }: StoredWeights, options: WorkOptions): Promise<string[]> {
    const { name } = record;
    const problems: string[] = [];
    for (const { file, sha256: recorded } of [record, ...record.beside]) {
      const path = join(this.folder(name), file);
      const { sha256 } = await contentOf(path, { ...options, label: `checking ${name}` });
      const published = this.#publicFile(name, file === record.file ? null : file)?.sha256 ?? recorded;
      const wanted = sha256 === recorded ? published : recorded;
      if (sha256 !== wanted)
        problems.push(
          `${path}: SHA-256 is ${sha256}, that of the right file is ${wanted}. ${this.remedy(name)}`,
        );
    }
    return problems;
  }

  /** The registered file of a name: its weights (null), or the one of that name beside them. */
  #publicFile(name: string, beside: string | null): RegisteredFile | undefined {
    const known = this.registration(name);
    return beside === null ? known : known?.beside?.find(({ file }) => file === beside);
  }

  /** Registered files beside the weights that are not here. */
  missingBeside(name: string, record?: WeightRecord): readonly RegisteredFile[] {
    const here = record?.beside.map(({ file }) => file) ?? [];
    return this.registration(name)?.beside?.filter(({ file }) => !here.includes(file)) ?? [];
  }

  /**
   * Copies files into the store under a name: a registered one, or a new one for one's own. The first is the weight file; others
   * belong to it (a vocabulary, a tokeniser), and may also come later, alone. It must hold a network that is known; under a
   * registered name, the registered one. UsageError when other weights stand there.
   */
  async add(
    name: string,
    files: string | readonly string[],
    { replace = false, ...options }: AddOptions = {},
  ): Promise<AddResult> {
    checkName(name);
    this.refuseShipped(name);
    const { weights, beside } = this.#sorted(name, typeof files === 'string' ? [files] : files);
    const arrivals = await this.#companions(name, beside, options);
    if (weights === undefined) return this.#addBeside(name, arrivals, options);
    const extension = weightExtension(weights, this.registration(name)?.family);
    const content = await contentOf(weights, options);
    this.checkContent(name, content, weights);
    return this.locked(name, options.command, async () => {
      const there = await this.intact(name, options);
      const isSame = there?.record.sha256 === content.sha256;
      if (isSame && arrivals.length === 0) return { ...there, outcome: 'unchanged' };
      if (!replace && !isSame) this.#refuseReplacing(name, weights, content, there);
      const network = await this.#inspect(name, weights, extension);
      const target = this.#target(name, content, extension);
      await writeFileAtomic(target, unchangedPieces(weights, content, options));
      const kept = await this.#keepBeside(name, arrivals, there, options);
      const stored = await this.#commit(name, {
        content,
        extension,
        network,
        beside: kept,
        origin: resolve(weights),
      });
      return { ...stored, outcome: there === undefined ? 'added' : 'replaced' };
    });
  }

  /** Which of the files are the weights, and which belong to them: by their registered names, else by their order. */
  #sorted(
    name: string,
    files: readonly string[],
  ): { readonly weights: string | undefined; readonly beside: readonly string[] } {
    const known = this.registration(name);
    const names = known?.beside?.map(({ file }) => file) ?? [];
    const isBeside = (file: string, i: number): boolean =>
      known === undefined ? i > 0 : names.includes(basename(file));
    const weights = files.filter((file, i) => !isBeside(file, i));
    if (weights.length > 1)
      throw new UsageError(
        `weights ${name}: ${weights.length} files (${weights.join(', ')}); allowed is one weight file${names.length > 0 ? ` and ${names.join(', ')}` : ''}.`,
      );
    return { weights: weights[0], beside: files.filter(isBeside) };
  }

  async #companions(name: string, files: readonly string[], options: WorkOptions): Promise<Companion[]> {
    const arrivals: Companion[] = [];
    for (const path of files) {
      const file = basename(path);
      const content = await contentOf(path, options);
      checkPublished(content, path, this.#publicFile(name, file));
      await checkCompanion(path);
      arrivals.push({ path, record: { file, ...content } });
    }
    return arrivals;
  }

  /** Files for weights that stand there already. */
  #addBeside(name: string, arrivals: readonly Companion[], options: AddOptions): Promise<AddResult> {
    return this.locked(name, options.command, async () => {
      const there = await this.find(name);
      if (there === undefined)
        throw new UsageError(
          `weights ${name}: there are no weights yet that ${arrivals.map(({ record }) => record.file).join(', ')} could belong to. ${this.remedy(name)}`,
        );
      const beside = await this.#keepBeside(name, arrivals, there, options);
      return { ...(await this.recordBeside(there, beside)), outcome: 'added' };
    });
  }

  /** Notes files that lie beside the weights now, in place of those of the same names. Call it locked. */
  async recordBeside(
    { record: before, path }: StoredWeights,
    files: WeightRecord['beside'],
  ): Promise<StoredWeights> {
    const names = files.map(({ file }) => file);
    for (const file of names) await checkCompanion(join(this.folder(before.name), file));
    const others = before.beside.filter(({ file }) => !names.includes(file));
    const record = { ...before, beside: [...others, ...files] };
    await writeJson(join(this.folder(before.name), RECORD_FILE), record);
    return { record, path };
  }

  /** Copies files beside the weights; those that stand there and are not replaced stay. */
  async #keepBeside(
    name: string,
    arrivals: readonly Companion[],
    there: StoredWeights | undefined,
    options: WorkOptions,
  ): Promise<WeightRecord['beside']> {
    for (const { path, record } of arrivals)
      await writeFileAtomic(join(this.folder(name), record.file), unchangedPieces(path, record, options));
    const fresh = arrivals.map(({ record }) => record);
    const old = there?.record.beside.filter(({ file }) => !fresh.some((other) => other.file === file)) ?? [];
    return [...old, ...fresh];
  }

  /**
   * Takes over files that lie in the name's folder already (downloads), whose content was checked: the weights, and those beside
   * them under their own names. Call it locked.
   */
  async adopt(
    name: string,
    file: string,
    content: FileRecord,
    { origin, beside }: Pick<Arrival, 'origin' | 'beside'>,
  ): Promise<StoredWeights> {
    const extension = weightExtension(this.registration(name)?.file ?? file);
    const network = await this.#inspect(name, file, extension);
    for (const { file: companion } of beside) await checkCompanion(join(this.folder(name), companion));
    await rename(file, this.#target(name, content, extension));
    return this.#commit(name, { content, extension, network, beside, origin });
  }

  /** What stands under the name if its content is what was recorded. */
  async intact(name: string, options: WorkOptions): Promise<StoredWeights | undefined> {
    try {
      const stored = await this.find(name);
      if (stored === undefined || (await this.#changed(stored, options)).length > 0) return undefined;
      return stored;
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      return undefined;
    }
  }

  /** DataError when the content is not that of the registered public file. */
  checkContent(name: string, content: FileRecord, path: string): void {
    checkPublished(content, path, this.registration(name));
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

  /** What to do about weights, or a file beside them, that are absent or damaged. */
  remedy(name: string, beside: string | null = null): string {
    if (this.isShipped(name)) return 'It comes with maskrank: install maskrank again.';
    const known = this.registration(name);
    if (known === undefined) return `Add the file again: maskrank weights add ${name} FILE --replace`;
    const file = this.#publicFile(name, beside) ?? known;
    return file.url === null ? manualSteps(known, file) : `Fetch it: maskrank weights pull ${name}`;
  }

  /** UsageError for a name whose weights come with maskrank. */
  refuseShipped(name: string): void {
    if (!this.isShipped(name)) return;
    throw new UsageError(
      `weights ${name} come with maskrank and are here already (${this.folder(name)}). A file of your own goes under a name of its own.`,
    );
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

  /** What the file holds. DataError with every difference when it is not the registered network, or fits none. */
  async #inspect(name: string, path: string, extension: string, family?: FamilyName): Promise<Network> {
    const known = this.registration(name);
    const inspection = await inspectWeights(path, { extension, wanted: known, family });
    checkInspection(inspection, path, known);
    return inspection;
  }

  #target(name: string, { sha256 }: FileRecord, extension: string): string {
    return join(this.folder(name), `${name}-${sha256.slice(0, 8)}${extension}`);
  }

  async #commit(
    name: string,
    { content, extension, network, beside, origin }: Arrival,
  ): Promise<StoredWeights> {
    const path = this.#target(name, content, extension);
    const { family, architecture, network: words } = network;
    const record: WeightRecord = {
      schemaVersion: 1,
      name,
      file: basename(path),
      family,
      architecture,
      network: words,
      ...content,
      beside: [...beside],
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
  readonly network: Network;
  readonly beside: readonly WeightRecord['beside'][number][];
  readonly origin: string;
};

type Network = Inspection & { readonly family: FamilyName };

/** A file on its way beside the weights. */
type Companion = { readonly path: string; readonly record: WeightRecord['beside'][number] };

function checkPublished(
  { sha256, bytes }: FileRecord,
  path: string,
  known: RegisteredFile | undefined,
): void {
  if (known === undefined || known.sha256 === null || known.sha256 === sha256) return;
  throw new DataError(
    `${path}: SHA-256 is ${sha256} (${bytes} bytes), that of the public ${known.file} is ${known.sha256}${known.bytes === null ? '' : ` (${known.bytes} bytes)`}. The file is damaged or another one; a file of your own goes under a name of its own.`,
  );
}
