// Steps on a terminal or in a log: a line a step with its time, and nothing for a step with nothing to do.
// Needs no npm package: it runs before they are installed.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A step could not be done. `exitCode` as everywhere: 1 a defect, 2 usage, 4 engine. */
export class StepError extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** `0.21 s`, `12.3 s` */
export function seconds(sinceMs) {
  const elapsed = (performance.now() - sinceMs) / 1000;
  return `${elapsed.toFixed(elapsed < 10 ? 2 : 1)} s`;
}

/** Does `work`, then prints `what ... 3.2 s`; the start is shown at once so that nobody waits before a blank screen. */
export async function step(what, work) {
  const start = performance.now();
  process.stdout.write(`setup: ${what} ... `);
  try {
    const result = await work();
    process.stdout.write(`${seconds(start)}\n`);
    return result;
  } catch (error) {
    process.stdout.write('failed\n');
    throw error;
  }
}

/** Runs a command; resolves to its status and all it printed. */
export async function run(command, args, { env = process.env, cwd = ROOT, inherit = false } = {}) {
  const child = spawn(command, args, {
    cwd,
    env,
    stdio: ['ignore', inherit ? 'inherit' : 'pipe', inherit ? 'inherit' : 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const status = await new Promise((resolve) => {
    child.once('error', (error) => {
      output += error.message;
      resolve(127);
    });
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  return { status, output };
}

/** The end of a long output. */
export function tail(output, lines = 15) {
  return output
    .trimEnd()
    .split('\n')
    .slice(-lines)
    .map((line) => `  ${line}`)
    .join('\n');
}
