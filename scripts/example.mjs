// Runs a program of examples/ on any supported Node: node scripts/example.mjs NAME [arguments]
// Node 20 does not run TypeScript, so the examples are stripped of their types first; from Node 22.18 on
// `node examples/NAME.ts` does the same. Both need `npm run setup`, which compiles the packages that they import.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SOURCES = join(ROOT, 'examples');
// Below node_modules, so that packages are found from there.
const OUT = join(ROOT, 'node_modules', '.cache', 'maskrank-examples');

const names = readdirSync(SOURCES)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));
const [name, ...args] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  console.error(`Usage: node scripts/example.mjs NAME [arguments]\nThere are: ${names.join(', ')}`);
  process.exit(2);
}

mkdirSync(OUT, { recursive: true });
writeFileSync(join(OUT, 'package.json'), '{"type":"module"}\n');
for (const each of names) {
  const { outputText } = ts.transpileModule(readFileSync(join(SOURCES, `${each}.ts`), 'utf8'), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      rewriteRelativeImportExtensions: true,
      verbatimModuleSyntax: true,
    },
  });
  writeFileSync(join(OUT, `${each}.js`), outputText);
}
const program = join(OUT, `${name}.js`);
process.argv = [process.argv[0], program, ...args];
await import(pathToFileURL(program).href);
