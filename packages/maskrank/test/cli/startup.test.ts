// `maskrank --help` must be quick: what it imports is checked here, file by file, and measured once.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { registry } from '../../src/cli/registry.ts';

const packageDir = fileURLToPath(new URL('../../', import.meta.url));
const ALLOWED = ['commander', '@maskrank/torch/errors'];

/** Files that are loaded with `file`: imports of values at the top, not types and not `await import`. */
function eagerImports(file: string, seen = new Map<string, string[]>()): Map<string, string[]> {
  if (seen.has(file)) return seen;
  const text = readFileSync(file, 'utf8');
  const statements = [
    ...text.matchAll(/^(?:import|export)\s+(?!type\b)([^'";]*?)\s*from\s+'([^']+)'|^import\s+'([^']+)'/gm),
  ];
  const named = statements
    .filter(([, names]) => names === undefined || !/^\{(\s*type\s+[^,}]+,?)+\s*\}$/.test(names))
    .map(([, , from, bare]) => (from ?? bare)!);
  seen.set(
    file,
    named.filter((name) => !name.startsWith('.')),
  );
  for (const name of named) if (name.startsWith('.')) eagerImports(resolve(dirname(file), name), seen);
  return seen;
}

describe('start-up', () => {
  it('imports nothing heavy before a verb runs', () => {
    const heavy = [...eagerImports(join(packageDir, 'src/cli/main.ts'))].flatMap(([file, names]) =>
      names
        .filter((name) => !name.startsWith('node:') && !ALLOWED.includes(name))
        .map((name) => `${file} imports ${name}`),
    );
    expect(heavy).toEqual([]);
  });

  it('has no default export with an import inside: the compiler does not rewrite its .ts', () => {
    const files = [...eagerImports(join(packageDir, 'src/cli/main.ts')).keys()];
    expect(files.filter((file) => /^export default/m.test(readFileSync(file, 'utf8')))).toEqual([]);
  });

  const built = join(packageDir, 'dist/cli/main.js');
  it.skipIf(!existsSync(built))(
    'prints the help and runs as a program (skipped until the package is built)',
    () => {
      // The best of three: a busy machine may keep any one of them waiting.
      const times = [1, 2, 3].map(() => {
        const started = performance.now();
        const { status, stdout } = spawnSync(process.execPath, [built, '--help'], { encoding: 'utf8' });
        expect(stdout).toMatch(/^Usage: maskrank/);
        expect(status).toBe(0);
        return performance.now() - started;
      });
      expect(Math.min(...times)).toBeLessThan(2000); // 120 ms on a quiet machine
    },
  );
});

describe('the registry', () => {
  it('gives every verb a name of its own, a summary without full stop and examples that begin with it', () => {
    const names = registry.map((verb) => verb.name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, summary, examples } of registry) {
      expect(summary, name).toMatch(/[^.]$/);
      expect(examples.length, name).toBeGreaterThan(0);
      for (const [command] of examples) expect(command).toMatch(new RegExp(`^maskrank ${name}\\b`));
    }
  });
});
