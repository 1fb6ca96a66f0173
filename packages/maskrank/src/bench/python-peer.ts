// The same work in Python's PyTorch: a script in a process of its own, which does one run each time it is asked.
// The script defines `prepare(device)`, which returns a function; threads, timing and the conversation are added here.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { EngineError } from '@maskrank/torch/errors';
import type { BenchOptions } from './types.ts';

const FRAME = `
import sys, time
import torch

torch.set_num_threads(int(sys.argv[1]))
device = sys.argv[2]
run = prepare(device)
print(torch.__version__, flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    print((time.perf_counter() - start) * 1000, flush=True)
`;

export type PythonPeer = {
  /** Its version of PyTorch. */
  readonly version: string;
  /** One run, in milliseconds. */
  readonly run: () => Promise<number>;
  readonly stop: () => void;
};

/** Starts the peer. Throws EngineError with what Python wrote when it ends by itself. */
export async function startPythonPeer(
  python: string,
  script: string,
  options: BenchOptions,
): Promise<PythonPeer> {
  const dir = mkdtempSync(join(tmpdir(), 'maskrank-bench-'));
  const file = join(dir, 'peer.py');
  writeFileSync(file, `${script}\n${FRAME}`);
  const child = spawn(python, [file, String(options.threads), options.device]);
  const answers = answersOf(child, python);
  const stop = (): void => {
    child.stdin.end();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const version = await answers();
    const run = async (): Promise<number> => {
      child.stdin.write('\n');
      return Number(await answers());
    };
    return { version, run, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

/** Lines of the child, one a call. */
function answersOf(child: ChildProcessWithoutNullStreams, python: string): () => Promise<string> {
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => {}); // told by `ended`
  const ended = new Promise<never>((_, reject) => {
    const fail = (why: string) => reject(new EngineError(`bench: ${python}: ${why}\n${stderr.trim()}`));
    child.once('error', (error) => fail(error.message));
    child.once('close', (code) => fail(`ended with exit code ${code}`));
  });
  ended.catch(() => {}); // the end after `stop` is no failure
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const line = await lines.next();
    return line.done === true ? await ended : line.value;
  };
  return () => Promise.race([next(), ended]);
}
