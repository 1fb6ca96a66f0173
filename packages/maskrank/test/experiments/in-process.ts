// Commands of an experiment in this process instead of one of their own: tests run the sources, which not every Node runs by itself.

import { EventEmitter } from 'node:events';
import { type RunStep, verdict } from '../../src/experiments/child.ts';
import { runCli } from '../cli/harness.ts';

export const inProcess =
  (onCommand: (argv: readonly string[]) => void = () => {}): RunStep =>
  async ({ argv, signal }) => {
    onCommand(argv);
    const started = performance.now();
    const signals = new EventEmitter();
    const stop = () => signals.emit('SIGTERM');
    signal.addEventListener('abort', stop);
    const { code, stdout, stderr } = await runCli([...argv, '--json'], { signals });
    signal.removeEventListener('abort', stop);
    return {
      code,
      killedBy: null,
      ...verdict(code, null, stdout, stderr),
      stderr,
      seconds: (performance.now() - started) / 1000,
      peakMemoryBytes: null,
    };
  };
