// `weights pull`: downloads the public file of a registered name into the store. The only code that reaches for a network,
// and only when a person asks. Not here: HTTP (download.ts), the store (store.ts).

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { contentOf } from './content.ts';
import { type DownloadOptions, download } from './download.ts';
import { manualSteps, type RegisteredWeights } from './registry.ts';
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
  const known = store.registration(name);
  if (known === undefined)
    throw new UsageError(
      `weights ${name} are a file of your own, no address is known for it. ${store.remedy(name)}`,
    );
  return store.locked(name, command, async () => {
    const there = await store.intact(name, options);
    if (there !== undefined) return { ...there, outcome: 'present' };
    return { ...(await fetchInto(store, known, options)), outcome: 'pulled' };
  });
}

async function fetchInto(
  store: WeightStore,
  known: RegisteredWeights,
  options: Omit<DownloadOptions, 'bytes'>,
): Promise<StoredWeights> {
  const { name, url, bytes, sha256, file } = known;
  if (url === null)
    throw new DataError(
      `weights pull ${name}: its authors offer no address for download. ${manualSteps(known)}`,
    );
  const partial = join(store.folder(name), PARTIAL_FILE);
  // Without a hash nobody could tell whether the two parts belong to one file.
  if (sha256 === null) rmSync(partial, { force: true });
  try {
    await download(url, partial, { ...options, bytes });
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(`weights pull ${name}: ${error.message} ${manualSteps(known)}`, { cause: error });
  }
  const content = await contentOf(partial, options);
  if (sha256 !== null && content.sha256 !== sha256) {
    rmSync(partial);
    throw new DataError(
      `weights pull ${name}: what ${url} gave has SHA-256 ${content.sha256}, that of the public ${file} is ${sha256}. It was damaged on the way, or something answers in the server's place; it was deleted. Try again.`,
    );
  }
  return store.adopt(name, partial, content, url);
}
