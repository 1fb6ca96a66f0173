// `npm run golden -- DIR [NAME...]`: every comparison with the reference implementations' numbers.
// The last line is `N passed, N failed`, counting comparisons; exits 1 when any failed.

import { checkFixture, type FixtureReport, listFixtures } from './run.ts';
import type { CheckResult } from './types.ts';

function worst(results: readonly CheckResult[]): string {
  return Math.max(...results.map((r) => r.maxError)).toExponential(1);
}

function print(report: FixtureReport): void {
  if (report.status === 'not covered') {
    console.log(`-     ${report.fixture}: not yet covered`);
    return;
  }
  const failures = report.results.filter((r) => !r.ok);
  const seconds = (report.elapsedMs / 1000).toFixed(1);
  const verdict = failures.length === 0 ? 'ok   ' : 'FAIL ';
  console.log(
    `${verdict} ${report.fixture}: ${report.results.length} comparisons, largest difference ${worst(report.results)}, ${seconds} s`,
  );
  for (const failure of failures) {
    console.log(
      `      ${failure.what}: off by ${failure.maxError.toExponential(2)}, allowed ${failure.tolerance}${failure.detail ? `; ${failure.detail}` : ''}`,
    );
  }
}

async function main(args: readonly string[]): Promise<number> {
  const [dir, ...only] = args;
  if (dir === undefined) {
    console.error('usage: npm run golden -- DIR [NAME...]   (DIR holds pairs NAME.json, NAME.safetensors)');
    return 2;
  }
  const names = listFixtures(dir).filter((name) => only.length === 0 || only.includes(name));
  const unknown = only.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    console.error(`golden: no fixture ${unknown.join(', ')} in ${dir}`);
    return 2;
  }
  let passed = 0;
  let failed = 0;
  let uncovered = 0;
  for (const name of names) {
    const report = await checkFixture(dir, name);
    print(report);
    if (report.status === 'not covered') uncovered += 1;
    else {
      passed += report.results.filter((r) => r.ok).length;
      failed += report.results.filter((r) => !r.ok).length;
    }
  }
  if (uncovered > 0) console.log(`${uncovered} of ${names.length} fixtures not yet covered`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
