// What proofs that kill commands share: the command line run to its end, or killed on its way, at moments from a fixed seed.

import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** A small generator with a fixed seed, so that a failing proof can be repeated. */
export function uniform(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The command line of a built checkout: `cli` runs to the end or throws, `killedAfter` kills. */
export function killableProgram(root) {
  const program = join(root, 'packages/maskrank/dist/cli/main.js');
  const cli = (...argv) => {
    const { status, stderr } = spawnSync(process.execPath, [program, ...argv], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`maskrank ${argv.join(' ')} ended with ${status}: ${stderr}`);
  };
  /** Runs a command and kills it after `ms`; true when it had ended by itself. */
  const killedAfter = (ms, ...argv) =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [program, ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
      let stderr = '';
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
      });
      const timer = setTimeout(() => child.kill('SIGKILL'), ms);
      child.on('exit', (code, signal) => {
        clearTimeout(timer);
        if (signal === 'SIGKILL') resolve(false);
        else if (code === 0) resolve(true);
        else reject(new Error(`maskrank ${argv.join(' ')} ended with ${code}: ${stderr}`));
      });
    });
  return { cli, killedAfter };
}
