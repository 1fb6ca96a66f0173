import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { beforeAll, describe, expect, it } from 'vitest';
import { type PullOptions, pullWeights, WeightStore } from '../../../src/models/weights/index.ts';
import {
  cut,
  fileServer,
  registration,
  serve,
  status,
  temporaryFolder,
  writePth,
  writeSmall,
} from './support.ts';

const folder = temporaryFolder();
const server = fileServer();
let bytes: Buffer;
beforeAll(() => {
  bytes = writePth(folder.path('source.pth'));
});

let stores = 0;
const newStore = (changes = {}) =>
  new WeightStore({
    shipped: null,
    home: folder.path(`home${stores++}`),
    registered: [registration(bytes, changes)],
  });
const pull = (store: WeightStore, options: PullOptions = {}) =>
  pullWeights(store, 'public', { fetch: server.fetch, pauseMs: 1, ...options });
const partialOf = (store: WeightStore) => join(store.folder('public'), 'download.partial');

/** The message of a pull that must fail with DataError. */
async function failure(store: WeightStore, options: PullOptions = {}): Promise<string> {
  const error = await pull(store, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataError);
  return (error as Error).message;
}

describe('pull', () => {
  it('downloads, checks and keeps the file; a second time it only checks', async () => {
    const store = newStore();
    server.next(serve(bytes));
    const seen: number[] = [];
    const { record, path, outcome } = await pull(store, {
      onProgress: (label, done) => label === 'downloading' && seen.push(done),
    });
    expect(outcome).toBe('pulled');
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(record.origin).toBe('https://weights.test/public_0123.pth');
    expect(seen.at(-1)).toBe(bytes.length);
    expect(readdirSync(store.folder('public')).sort()).toEqual([record.file, 'record.json'].sort());
    server.next();
    expect((await pull(store)).outcome).toBe('present');
    writeFileSync(path, 'damaged');
    server.next(serve(bytes));
    expect((await pull(store)).outcome).toBe('pulled');
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it('goes on after a cut within the call', async () => {
    const store = newStore();
    server.next(cut(bytes, 0, 100_000), serve(bytes));
    const { path } = await pull(store);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    const [first, second] = server.requests;
    expect(first?.range).toBeUndefined();
    expect(second?.range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  it('gives up when nothing more comes, keeps what came, and goes on the next time', async () => {
    const store = newStore();
    server.next(cut(bytes, 0, 100_000), status(503), status(503), status(503));
    expect(await failure(store)).toMatch(/503.*kept; the same command goes on there\..*weights add public/);
    const kept = statSync(partialOf(store)).size;
    expect(kept).toBeGreaterThan(0);
    server.next(serve(bytes));
    expect((await pull(store)).outcome).toBe('pulled');
    expect(server.requests).toEqual([{ url: '/public_0123.pth', range: `bytes=${kept}-` }]);
  });

  it('starts anew where the server gives no ranges, refuses this one, or the partial file is too long', async () => {
    const withPartial = async (size: number) => {
      const store = newStore();
      await store.locked('public', 'test', async () => writeFileSync(partialOf(store), Buffer.alloc(size)));
      return store;
    };
    server.next(status(416), (request, response) => {
      expect(request.headers.range).toBeUndefined();
      serve(bytes)(request, response);
    });
    expect((await pull(await withPartial(1000))).outcome).toBe('pulled');
    for (const size of [1000, bytes.length + 1]) {
      server.next((_, response) => response.writeHead(200, { 'content-length': bytes.length }).end(bytes));
      expect((await pull(await withPartial(size))).outcome).toBe('pulled');
    }
  });

  it('refuses and deletes what has another hash', async () => {
    const store = newStore();
    const wrong = Buffer.from(bytes);
    wrong[5000]! ^= 1;
    server.next(serve(wrong));
    expect(await failure(store)).toMatch(/has SHA-256 .*public_0123\.pth is .*deleted\. Try again/);
    expect(readdirSync(store.dir)).toEqual([]);
  });

  it('without a known hash checks the network, and never joins two parts', async () => {
    const store = newStore({ sha256: null, bytes: null });
    server.next(cut(bytes, 0, 100_000), status(500), status(500), status(500));
    await failure(store);
    const small = readFileSync(await writeSmall(folder.path('small.safetensors')));
    server.next(serve(small));
    expect(await failure(store)).toMatch(/zip archive/);
    expect(server.requests[0]?.range).toBeUndefined();
    server.next(serve(bytes));
    expect((await pull(store)).outcome).toBe('pulled');
  });

  it('says what the server answered, without trying again', async () => {
    const store = newStore();
    server.next(status(404));
    const message = await failure(store);
    expect(message).toMatch(
      /^weights pull public: https:\/\/weights\.test\/public_0123\.pth answered 404 Not Found\./,
    );
    expect(message).toMatch(/maskrank weights add public public_0123\.pth$/);
    expect(existsSync(store.folder('public'))).toBe(false);
    server.next(status(200, { 'content-length': '17' }));
    expect(await failure(store)).toMatch(/offers 17 bytes, the file has \d+/);
  });

  it('offline: names the host, the reason and the way by hand', async () => {
    const offline = () =>
      Promise.reject(
        new TypeError('fetch failed', {
          cause: Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }),
        }),
      );
    expect(await failure(newStore(), { fetch: offline })).toMatch(
      /weights\.test cannot be reached \(ENOTFOUND\)\. .*download https:\/\/weights\.test.*weights add public/,
    );
  });

  it('follows redirections, but few, and never away from https', async () => {
    server.next(status(302, { location: '/elsewhere' }), serve(bytes));
    expect((await pull(newStore())).outcome).toBe('pulled');
    expect(server.requests.map(({ url }) => url)).toEqual(['/public_0123.pth', '/elsewhere']);
    server.next(status(301, { location: 'http://weights.test/plain' }));
    expect(await failure(newStore())).toMatch(/leads to http:.*only https/);
    server.next(...Array.from({ length: 6 }, () => status(307, { location: '/round' })));
    expect(await failure(newStore())).toMatch(/more than 5 redirections/);
  });

  it('keeps what came when it is stopped', async () => {
    const store = newStore();
    const controller = new AbortController();
    server.next(cut(bytes, 0, 100_000));
    const stopped = pull(store, {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('stopped by request')),
    });
    await expect(stopped).rejects.toThrow('stopped by request');
    expect(statSync(partialOf(store)).size).toBeGreaterThan(0);
  });

  it('has nothing to pull for a page, for an own file and for an unknown name', async () => {
    expect(await failure(newStore({ url: null }))).toMatch(
      /no address for download\. .*links on https:.*weights add/,
    );
    const store = newStore();
    await store.add('own', await writeSmall(folder.path('own.safetensors')));
    await expect(pullWeights(store, 'own')).rejects.toThrow(/file of your own/);
    await expect(pullWeights(store, 'publc')).rejects.toBeInstanceOf(UsageError);
  });
});
