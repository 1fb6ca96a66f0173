// Compiles the TypeScript of all packages, and knows in milliseconds when there is nothing to compile:
// starting the compiler only to hear that would take a second.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT, run, step, tail } from './steps.mjs';

const STAMP = join(ROOT, 'node_modules/.cache/maskrank/setup.json');

/** What the last setups found in order: `{types?: string, smoke?: string}`. */
export function readStamp() {
  return existsSync(STAMP) ? JSON.parse(readFileSync(STAMP, 'utf8')) : {};
}

export function writeStamp(change) {
  mkdirSync(dirname(STAMP), { recursive: true });
  writeFileSync(STAMP, JSON.stringify({ ...readStamp(), ...change }));
}

/** Null when all is well, else the compiler's messages; JavaScript is written in either case. */
export async function ensureTypeScript() {
  const packages = packageDirs();
  const state = fingerprint(packages);
  const built = packages.every((dir) => existsSync(join(dir, 'dist/.tsbuildinfo')));
  if (built && readStamp().types === state) return null;
  return await step('compiling TypeScript', async () => {
    const { status, output } = await run(process.execPath, [
      'node_modules/typescript/bin/tsc',
      '-b',
      '--pretty',
      'false',
    ]);
    if (status === 0) writeStamp({ types: state });
    return status === 0 ? null : `tsc -b failed:\n${tail(output)}`;
  });
}

function packageDirs() {
  const { references } = JSON.parse(readFileSync(join(ROOT, 'tsconfig.json'), 'utf8'));
  return references.map(({ path }) => join(ROOT, path));
}

/** Path, size and time of every file that the compiler reads. */
function fingerprint(packages) {
  const fixed = ['package-lock.json', 'tsconfig.base.json', 'tsconfig.json'].map((name) => join(ROOT, name));
  const sources = packages.flatMap((dir) => [
    join(dir, 'tsconfig.json'),
    join(dir, 'package.json'),
    ...readdirSync(join(dir, 'src'), { recursive: true }).map((name) => join(dir, 'src', name)),
  ]);
  const hash = createHash('sha256');
  for (const file of [...fixed, ...sources].sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}
