// Runs the long proofs: claims of the documentation that take too long for the tests. Each is a file
// scripts/proofs/NAME.mjs that exports `proof`:
//   { about: 'one line', minutes: 12, run: async (context) => [{ what: 'one line', ok: true, detail?: '...' }] }
// context: { root, args, log(line) }. A proof reads and writes only what its arguments name and temporary folders.
//   npm run prove                  lists them
//   npm run prove -- NAME [ARGS]   runs one; the last line is `N passed, N failed`

import { readdirSync } from 'node:fs';
import { ROOT, seconds } from './lib/steps.mjs';

const FOLDER = new URL('./proofs/', import.meta.url);

const names = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => file.slice(0, -'.mjs'.length))
  .sort();
const load = async (name) => (await import(new URL(`${name}.mjs`, FOLDER))).proof;

async function list() {
  for (const name of names) {
    const { about, minutes } = await load(name);
    console.log(`${name.padEnd(20)} ${`${minutes} min`.padStart(8)}  ${about}`);
  }
  console.log(
    names.length > 0 ? '\nRun one: npm run prove -- NAME' : 'There are no proofs yet in scripts/proofs.',
  );
}

async function prove(name, args) {
  const { about, minutes, run } = await load(name);
  console.log(`${name}: ${about} (about ${minutes} min)`);
  const start = performance.now();
  const log = (line) => console.log(`  ${line}`);
  const results = await run({ root: ROOT, args, log });
  for (const { what, ok, detail } of results) {
    console.log(`${ok ? 'passed' : 'FAILED'}  ${what}${detail ? `: ${detail}` : ''}`);
  }
  const passed = results.filter(({ ok }) => ok).length;
  console.log(`${seconds(start)}\n${passed} passed, ${results.length - passed} failed`);
  process.exitCode = passed === results.length && passed > 0 ? 0 : 1;
}

const [name, ...args] = process.argv.slice(2);
if (name === undefined) {
  await list();
} else if (!names.includes(name)) {
  console.error(`prove: no proof is called ${name}; there are: ${names.join(', ') || 'none'}`);
  process.exitCode = 2;
} else {
  await prove(name, args);
}
