// `weights pull`: downloads the public files of a registered name into the store. The only code that reaches for a network,
// and only when a person asks. Not here: HTTP (download.ts), the store (store.ts).

import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import type { FileRecord } from '../../datasets/schema.ts';
import { contentOf } from './content.ts';
import { type DownloadOptions, discard, download, versionOf } from './download.ts';
import type { WeightRecord } from './record.ts';
import { manualSteps, type RegisteredFile, type RegisteredWeights } from './registry.ts';
import { PARTIAL_FILE, type StoredWeights, type WeightStore } from './store.ts';

export type PullOptions = Omit<DownloadOptions, 'bytes'> & {
  /** Told to whoever finds the name locked. */
  readonly command?: string;
};

export type PullResult = StoredWeights & {
  /** `present`: the right file was here already; nothing was fetched. */
  readonly outcome: 'pulled' | 'present';
};

/** The weights of a registered name, downloaded unless they are here intact. A download that was cut is gone on with. */
export async function pullWeights(
  store: WeightStore,
  name: string,
  { command, ...options }: PullOptions = {},
): Promise<PullResult> {
  store.requireName(name);
  store.refuseShipped(name);
  const known = store.registration(name);
  if (known === undefined)
    throw new UsageError(
      `weights ${name} are a file of your own, no address is known for it. ${store.remedy(name)}`,
    );
  return store.locked(name, command, async () => {
    const there = await store.intact(name, options);
    // Small files first: what is missing of them should be known before gigabytes come.
    const beside = await fetchBeside(store, known, there, options);
    if (there !== undefined) {
      const stored = beside.length === 0 ? there : await store.recordBeside(there, beside);
      return { ...stored, outcome: beside.length === 0 ? 'present' : 'pulled' };
    }
    const partial = join(store.folder(name), PARTIAL_FILE);
    const content = await fetchFile(known, known, partial, options);
    const stored = await store.adopt(name, partial, content, { origin: known.url as string, beside });
    discard(partial);
    return { ...stored, outcome: 'pulled' };
  });
}

/** The files beside the weights that are not here and have an address. */
async function fetchBeside(
  store: WeightStore,
  known: RegisteredWeights,
  there: StoredWeights | undefined,
  options: Omit<DownloadOptions, 'bytes'>,
): Promise<WeightRecord['beside']> {
  const fetched = [];
  for (const file of store.missingBeside(known.name, there?.record)) {
    if (file.url === null) continue;
    const partial = join(store.folder(known.name), `${file.file}.partial`);
    const content = await fetchFile(known, file, partial, options);
    await rename(partial, join(store.folder(known.name), file.file));
    discard(partial);
    fetched.push({ file: file.file, ...content });
  }
  return fetched;
}

/** Brings one file of the entry to `partial`, whole and with the right content. */
async function fetchFile(
  known: RegisteredWeights,
  { url, bytes, sha256, file }: RegisteredFile,
  partial: string,
  options: Omit<DownloadOptions, 'bytes'>,
): Promise<FileRecord> {
  const { name } = known;
  if (url === null)
    throw new DataError(
      `weights pull ${name}: its authors offer no address for download${file === known.file ? '' : ` of ${file}`}. ${manualSteps(known, { file, url })}`,
    );
  // Without a hash or a version nobody could tell whether the two parts belong to one file.
  if (sha256 === null && versionOf(partial) === undefined) discard(partial);
  try {
    await download(url, partial, { ...options, bytes });
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const steps = manualSteps(known, { file, url });
    throw new DataError(`weights pull ${name}: ${error.message} ${steps}`, { cause: error });
  }
  const content = await contentOf(partial, options);
  if (sha256 === null || content.sha256 === sha256) return content;
  discard(partial);
  throw new DataError(
    `weights pull ${name}: what ${url} gave has SHA-256 ${content.sha256}, that of the public ${file} is ${sha256}. It was damaged on the way, or something answers in the server's place; it was deleted. Try again.`,
  );
}
