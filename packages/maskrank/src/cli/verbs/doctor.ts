// `maskrank doctor`: which engine, which BLAS, which devices, how fast, and how to mend what is wrong.
// Not here: finding and measuring (torch's engine and bench).

import { EngineError } from '@maskrank/torch/errors';
import { textTable } from '../table.ts';
import { defineVerb } from '../verb.ts';

const GIB = 2 ** 30;

export default defineVerb({
  name: 'doctor',
  summary: 'what engine this machine has, how fast it is, and how to mend what is missing',
  examples: [
    ['maskrank doctor', 'a table, and a remedy for each problem'],
    ['maskrank doctor --json', 'the same for a machine'],
  ],
  run: async ({ out, versions }) => {
    const { doctorReport } = await import('@maskrank/torch/engine');
    const report = await doctorReport();
    const { engine, blas, cpu, memory, gflops, threads, cudaDevices, problems } = report;
    const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;
    out(
      textTable([
        ['maskrank', versions.maskrank],
        ['node', report.node],
        ['platform', report.platform],
        ['CPU', `${cpu.model}, ${cpu.cores} cores`],
        ['memory', `${gib(memory.totalBytes)}, ${gib(memory.freeBytes)} free`],
        ['engine', engine ? `libtorch ${engine.version} from ${engine.origin} (${engine.libDir})` : 'none'],
        ['BLAS', blas?.name ?? 'unknown'],
        ['threads', threads ?? 'unknown'],
        [
          'speed',
          gflops === null ? 'not measured' : `${gflops.toFixed(0)} GFLOP/s (float32 product of 1024 x 1024)`,
        ],
        ['CUDA', cudaDevices?.join('; ') || (engine?.cuda ? `built for ${engine.cuda}, no device` : 'none')],
      ]),
    );
    for (const { what, fix } of problems)
      out(`\nproblem: ${what}\nremedy:  ${fix.replaceAll('\n', '\n         ')}`);
    const next = 'maskrank demo';
    if (engine !== null) return { result: { versions, ...report }, next };
    return {
      result: { versions, ...report },
      failure: new EngineError('no engine loads; see the remedy above.'),
    };
  },
});
