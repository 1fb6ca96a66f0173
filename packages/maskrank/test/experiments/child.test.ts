// Commands in processes of their own: how they end is told apart, everything that they say is kept, a request to stop reaches them.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runChild } from '../../src/experiments/child.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-child-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const [program, log] = [join(dir, 'program.mjs'), join(dir, 'log.txt')];

/** A program that does what its first argument says. */
writeFileSync(
  program,
  `const [what] = process.argv.slice(2);
console.error('begun ' + process.env.OMP_NUM_THREADS);
if (what === 'well') console.log(JSON.stringify({ ok: true }));
if (what === 'data') {
  console.log(JSON.stringify({ ok: false, error: { kind: 'data', message: 'a broken file' } }));
  console.error('error: a broken file');
  process.exitCode = 3;
}
if (what === 'crash') process.abort();
if (what === 'torn') { console.log('{"ok": fal'); throw new Error('torn apart'); }
if (what === 'wait') { process.on('SIGTERM', () => process.exit(130)); setInterval(() => {}, 1000); console.error('waiting'); }
`,
);

const run = (
  what: string,
  onLine: (line: string) => void = () => {},
  signal = new AbortController().signal,
) => runChild(program)({ argv: [what], threads: 3, log, signal, onLine });

it('that end well', async () => {
  const lines: string[] = [];
  const outcome = await run('well', (line) => lines.push(line));
  expect(outcome).toMatchObject({ code: 0, failure: null, interrupted: false, killedBy: null });
  expect(lines).toEqual(['begun 3']);
  expect(readFileSync(log, 'utf8')).toContain('begun 3');
});

it('that fail, with their own message', async () => {
  const outcome = await run('data');
  expect(outcome.failure).toEqual({ kind: 'data', message: 'a broken file' });
  expect(outcome.stderr).toContain('error: a broken file');
});

it('that crash', async () => {
  const outcome = await run('crash');
  expect(outcome).toMatchObject({ code: null, killedBy: 'SIGABRT', failure: { kind: 'killed' } });
});

it('that end in the middle of a word', async () => {
  const { failure, stderr } = await run('torn');
  expect(failure).toMatchObject({ kind: 'defect', message: expect.stringContaining('exit code 1') });
  expect(stderr).toContain('torn apart');
});

it('that are asked to stop', async () => {
  const controller = new AbortController();
  const outcome = await run(
    'wait',
    (line) => {
      if (line.includes('waiting')) controller.abort();
    },
    controller.signal,
  );
  expect(outcome).toMatchObject({ code: 130, interrupted: true, failure: null });
});
