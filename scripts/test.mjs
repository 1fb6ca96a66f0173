// All checks of the repository: lint and format, types of sources and tests, and the tests. The last line is
// `N passed, N failed` (lint and types count as one each). Arguments narrow the tests and leave the other checks out:
//   npm test -- packages/torch/test/engine -t lock

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ROOT, run, seconds } from './lib/steps.mjs';

/** @typedef {{passed: number, failed: number, skipped: number}} Counts */

const CHECKS = {
  'lint and format': ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'],
  types: ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json', '--pretty', 'false'],
};

/** @returns {Promise<Counts>} */
async function check(name, args) {
  const start = performance.now();
  const { status, output } = await run(process.execPath, args);
  const failed = status === 0 ? 0 : 1;
  console.log(
    `${failed ? 'FAILED' : 'passed'}  ${name}  ${seconds(start)}${failed ? `\n${output.trimEnd()}` : ''}`,
  );
  return { passed: 1 - failed, failed, skipped: 0 };
}

/** @returns {Promise<Counts>} */
async function tests(filter) {
  const folder = mkdtempSync(join(tmpdir(), 'maskrank-test-'));
  const file = join(folder, 'results.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const { status } = await run(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...filter],
      {
        inherit: true,
      },
    );
    const counts = existsSync(file)
      ? count(JSON.parse(readFileSync(file, 'utf8')))
      : { passed: 0, failed: 0, skipped: 0 };
    // A file that does not load, or an error outside any test, fails the run without failing a test.
    return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Counts vitest's JSON report; a file that failed without a failed test in it counts as one. */
function count({ numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults }) {
  const broken = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  );
  for (const { name, message } of broken) console.log(`FAILED  ${relative(ROOT, name)}: ${message}`);
  return {
    passed: numPassedTests,
    failed: numFailedTests + broken.length,
    skipped: numPendingTests + numTodoTests,
  };
}

const filter = process.argv.slice(2);
/** @type {Counts[]} */
const results =
  filter.length > 0 ? [] : await Promise.all(Object.entries(CHECKS).map(([name, args]) => check(name, args)));
if (filter.length > 0) console.log('lint and types left out: only the named tests run');
results.push(await tests(filter));

const sum = (key) => results.reduce((total, counts) => total + counts[key], 0);
const skipped = sum('skipped');
console.log(`${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = sum('failed') > 0 ? 1 : 0;
