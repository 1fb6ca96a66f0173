// A small network's weights as files, a store in a temporary folder, and a server of files with faults to choose.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Generator, nn } from '@maskrank/torch';
import { bytesOf, type TensorData, writeSafetensors } from '@maskrank/torch/io';
import { afterAll, beforeAll } from 'vitest';
import { dict, pickle, tensor } from '../../../../torch/test/io/support/pickle-writer.ts';
import { zip } from '../../../../torch/test/io/support/zip-writer.ts';
import { createSam, SAM_CONFIGS, type SamConfig } from '../../../src/models/sam/index.ts';
import type { Fetch } from '../../../src/models/weights/download.ts';
import type { RegisteredWeights } from '../../../src/models/weights/index.ts';
import { SMALL } from '../sam/small.ts';

export function temporaryFolder(): { path: (name: string) => string } {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'weights-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return { path: (name) => join(dir, name) };
}

function stateOf(config: SamConfig, seed: number): Map<string, TensorData> {
  const sam = createSam(config, Generator.seeded(seed));
  try {
    return nn.saveStateDict(sam);
  } finally {
    sam.dispose();
  }
}

/** A network that no released one is like. */
export async function writeSmall(path: string, seed = 1): Promise<string> {
  await writeSafetensors(path, stateOf(SMALL, seed), {});
  return path;
}

/** As torch.save writes it. */
export function writePth(path: string, config: SamConfig = SAM_CONFIGS['sam-med2d-tiny'], seed = 1): Buffer {
  const state = [...stateOf(config, seed)];
  const entries = state.map(([name, { shape, data }], i) => {
    const strides = shape.map((_, d) => shape.slice(d + 1).reduce((product, size) => product * size, 1));
    return [name, tensor({ key: `${i}`, count: data.length, shape, strides })] as const;
  });
  const bytes = zip([
    { name: 'archive/data.pkl', data: pickle(dict(Object.fromEntries(entries))) },
    ...state.map(([, { data }], i) => ({ name: `archive/data/${i}`, data: bytesOf(data) })),
    { name: 'archive/version', data: Buffer.from('3\n') },
  ]);
  writeFileSync(path, bytes);
  return bytes;
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A public file of the tiny network. */
export function registration(bytes: Uint8Array, changes: Partial<RegisteredWeights> = {}): RegisteredWeights {
  return {
    name: 'public',
    family: 'sam',
    architecture: 'sam-med2d-tiny',
    file: 'public_0123.pth',
    url: 'https://weights.test/public_0123.pth',
    sha256: sha256(bytes),
    bytes: bytes.length,
    licence: 'Apache-2.0',
    origin: 'https://authors.test/project',
    trainedOn: 'drawings',
    ...changes,
  };
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server whose answers are taken from `answers`, one a request; `fetch` finds it under every https address. */
export function fileServer() {
  const answers: Answer[] = [];
  const requests: { url: string; range: string | undefined }[] = [];
  const server = createServer((request, response) => {
    requests.push({ url: request.url ?? '', range: request.headers.range });
    const answer = answers.shift();
    if (answer === undefined) throw new Error(`unexpected request of ${request.url}`);
    answer(request, response);
  });
  let origin = '';
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const fetch: Fetch = (url, init) => globalThis.fetch(`${origin}${new URL(url).pathname}`, init);
  const next = (...more: Answer[]): void => {
    answers.length = 0;
    requests.length = 0;
    answers.push(...more);
  };
  return { fetch, next, requests };
}

/** The whole file, or the part that was asked for. */
export const serve =
  (bytes: Uint8Array): Answer =>
  (request, response) => {
    const offset = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const part = bytes.subarray(offset);
    response.writeHead(offset > 0 ? 206 : 200, {
      'content-length': part.length,
      ...(offset > 0 && { 'content-range': `bytes ${offset}-${bytes.length - 1}/${bytes.length}` }),
    });
    response.end(part);
  };

/** Announces everything from `offset` on, sends `count` bytes of it and cuts the connection. */
export const cut =
  (bytes: Uint8Array, offset: number, count: number): Answer =>
  (_, response) => {
    response.writeHead(offset > 0 ? 206 : 200, {
      'content-length': bytes.length - offset,
      ...(offset > 0 && { 'content-range': `bytes ${offset}-${bytes.length - 1}/${bytes.length}` }),
    });
    response.write(bytes.subarray(offset, offset + count), () => setTimeout(() => response.destroy(), 50));
  };

export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_, response) => {
    response.writeHead(code, headers);
    response.end('a page for people');
  };
