// The package as JavaScript in a temporary folder, for tests that start threads and processes of their own: those do not
// have the test runner's TypeScript.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { chooseBuild } from '../../src/engine/index.ts';

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));

export type Compiled = {
  /** URL of the package's main module. */
  readonly index: string;
  readonly dir: string;
  /** The environment in which it finds the engine. */
  readonly env: NodeJS.ProcessEnv;
  readonly remove: () => void;
};

export function compilePackage(): Compiled {
  const dir = mkdtempSync(join(tmpdir(), 'maskrank-torch-'));
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  const compilerOptions = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    rewriteRelativeImportExtensions: true,
    verbatimModuleSyntax: true,
  };
  for (const name of readdirSync(SRC, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || name.startsWith('io')) continue;
    const file = join(dir, 'src', `${name.slice(0, -3)}.js`);
    mkdirSync(dirname(file), { recursive: true });
    const source = readFileSync(join(SRC, name), 'utf8');
    writeFileSync(file, ts.transpileModule(source, { compilerOptions, fileName: name }).outputText);
  }
  return {
    index: `file://${join(dir, 'src/index.js')}`,
    dir,
    env: { ...process.env, MASKRANK_ENGINE_DIR: chooseBuild().dir },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
