// Fetches one file over https into a partial file that a later call goes on with (HTTP Range; If-Range where the server names the
// version of its file by an ETag, kept beside the partial file). Limits redirections, refuses a size that is not the expected one
// before and while it reads, and says what a person can do about each failure.
// Not here: whether the bytes are the right ones (pull.ts compares the hash). Nothing calls this unasked.

import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataError } from '@maskrank/torch/errors';
import type { WorkOptions } from './content.ts';
import { sizeText } from './registry.ts';

/** The part of `fetch` that is used; redirections are not followed by it. */
export type Fetch = (
  url: string,
  init: {
    readonly headers: Record<string, string>;
    readonly redirect: 'manual';
    readonly signal?: AbortSignal;
  },
) => Promise<Response>;

export type DownloadOptions = WorkOptions & {
  /** Default: the global one. */
  readonly fetch?: Fetch;
  /** Size of the file; null where unknown. */
  readonly bytes: number | null;
  /** Tries in a row that bring nothing new, after the first bytes came. */
  readonly attempts?: number;
  /** Between tries, milliseconds. */
  readonly pauseMs?: number;
};

/** Redirections that are followed. */
const MAX_REDIRECTS = 5;

/** The connection failed; what has come is kept, and another try may go on. */
class Broken extends Error {}

/** Brings `partial` to the whole file at `url`. DataError when that cannot be done; then `partial` keeps what came. */
export async function download(
  url: string,
  partial: string,
  { fetch = globalThis.fetch, bytes, attempts = 3, pauseMs = 2000, ...work }: DownloadOptions,
): Promise<void> {
  const start = sizeOf(partial);
  for (let fruitless = 0; ; ) {
    const before = sizeOf(partial);
    if (bytes !== null && before === bytes) return;
    try {
      return await attempt(url, partial, { ...work, fetch, bytes });
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      const now = sizeOf(partial);
      fruitless = now > before ? 0 : fruitless + 1;
      if (now === start || fruitless >= attempts) {
        const kept = now > 0 ? ` ${sizeText(now)} are kept; the same command goes on there.` : '';
        throw new DataError(`${error.message}.${kept}`, { cause: error });
      }
      await sleep(pauseMs, undefined, work.signal ? { signal: work.signal } : {});
    }
  }
}

type Attempt = WorkOptions & Required<Pick<DownloadOptions, 'fetch' | 'bytes'>>;

/** One request and its body, from where `partial` ends. */
async function attempt(url: string, partial: string, options: Attempt): Promise<void> {
  const { bytes, signal } = options;
  let offset = sizeOf(partial);
  if (bytes !== null && offset > bytes) offset = 0;
  const response = await request(url, { offset, version: versionOf(partial) }, options);
  if (response.status === 416 && offset > 0) {
    await response.body?.cancel();
    discard(partial);
    return attempt(url, partial, options);
  }
  if (response.status !== 200 && response.status !== 206) {
    await response.body?.cancel();
    const message = `${url} answered ${response.status} ${response.statusText}`.trimEnd();
    throw response.status >= 500 ? new Broken(message) : new DataError(`${message}.`);
  }
  const begin = response.status === 206 ? rangeStart(response, offset) : 0;
  const announced = announcedTotal(response, begin);
  if (bytes !== null && announced !== undefined && announced !== bytes) {
    await response.body?.cancel();
    throw new DataError(
      `${url} offers ${announced} bytes, the file has ${bytes}: it is another file, or something on the way answers in its place.`,
    );
  }
  keepVersion(partial, response, begin);
  const file = await open(partial, begin > 0 ? 'a' : 'w');
  try {
    await receive(response, file, { ...options, begin, total: bytes ?? announced });
    await file.sync();
  } finally {
    await file.close();
  }
  signal?.throwIfAborted();
}

async function receive(
  response: Response,
  file: FileHandle,
  { begin, total, onProgress, signal }: WorkOptions & { begin: number; total: number | undefined },
): Promise<void> {
  let done = begin;
  if (response.body === null) throw new Broken('the server sent nothing');
  const iterator = response.body[Symbol.asyncIterator]();
  for (;;) {
    const { value, done: ended } = await iterator.next().catch((cause) => {
      signal?.throwIfAborted();
      throw new Broken(`the connection broke at ${sizeText(done)}${ofTotal(total)} (${reasonOf(cause)})`, {
        cause,
      });
    });
    if (ended) break;
    if (total !== undefined && done + value.length > total) {
      await iterator.return?.();
      throw new DataError(`${response.url || 'the server'} sends more than the ${total} bytes of the file.`);
    }
    await file.writeFile(value);
    done += value.length;
    onProgress?.('downloading', done, total);
  }
  if (total !== undefined && done < total)
    throw new Broken(`the connection ended at ${sizeText(done)}${ofTotal(total)}`);
}

const versionPath = (partial: string): string => `${partial}.etag`;

/** The server's name for the version of which `partial` holds the beginning; undefined when it gave none. */
export function versionOf(partial: string): string | undefined {
  if (statSync(versionPath(partial), { throwIfNoEntry: false }) === undefined) return undefined;
  return readFileSync(versionPath(partial), 'utf8');
}

/** Removes what came of a download. */
export function discard(partial: string): void {
  for (const path of [partial, versionPath(partial)]) rmSync(path, { force: true });
}

/** Weak names (`W/`) promise no equal bytes. Where the beginning is older, its version stands. */
function keepVersion(partial: string, { headers }: Response, begin: number): void {
  const version = headers.get('etag');
  if (begin > 0) return;
  if (version === null || version.startsWith('W/')) rmSync(versionPath(partial), { force: true });
  else writeFileSync(versionPath(partial), version);
}

/** The response after redirections, https only. */
async function request(
  url: string,
  { offset, version }: { readonly offset: number; readonly version: string | undefined },
  { fetch, signal }: Attempt,
): Promise<Response> {
  let at = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const { protocol, host } = new URL(at);
    if (protocol !== 'https:')
      throw new DataError(
        `${url} leads to ${at}: only https is allowed, so that nobody on the way can change it.`,
      );
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (offset > 0) headers.range = `bytes=${offset}-`;
    if (offset > 0 && version !== undefined) headers['if-range'] = version;
    const response = await fetch(at, { headers, redirect: 'manual', ...(signal && { signal }) }).catch(
      (cause) => {
        signal?.throwIfAborted();
        throw new Broken(`${host} cannot be reached (${reasonOf(cause)})`, { cause });
      },
    );
    const location = response.headers.get('location');
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    await response.body?.cancel();
    at = new URL(location, at).href;
  }
  throw new DataError(`${url}: more than ${MAX_REDIRECTS} redirections.`);
}

/** Where the bytes of a 206 begin; a server that begins elsewhere cannot be gone on with. */
function rangeStart(response: Response, offset: number): number {
  const range = response.headers.get('content-range') ?? '';
  const begin = Number(/^bytes (\d+)-/.exec(range)?.[1]);
  if (begin === offset) return begin;
  throw new DataError(
    `${response.url || 'the server'} answered with the range '${range}', asked for was 'bytes ${offset}-'.`,
  );
}

/** The size of the whole file by the headers; undefined when they do not say. */
function announcedTotal({ headers }: Response, begin: number): number | undefined {
  const encoding = headers.get('content-encoding');
  const length = headers.get('content-length');
  if (length === null || (encoding !== null && encoding !== 'identity')) return undefined;
  return begin + Number(length);
}

const ofTotal = (total: number | undefined): string => (total === undefined ? '' : ` of ${sizeText(total)}`);

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** `fetch` hides the system's reason in causes. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause !== undefined) return reasonOf(error.cause);
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
