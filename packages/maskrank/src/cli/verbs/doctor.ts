// `maskrank doctor`: which engine, which BLAS, which devices, how fast, and how to mend what is wrong.
// Not here: finding the engine and judging it (torch's engine), thorough measurements (bench).

import type { EngineProbes } from '@maskrank/torch/engine';
import { EngineError } from '@maskrank/torch/errors';
import { privacyOfMachine } from '../../prompting/text/privacy.ts';
import { textTable } from '../table.ts';
import { defineVerb } from '../verb.ts';

const GIB = 2 ** 30;

export const doctor = defineVerb({
  name: 'doctor',
  summary: 'what engine this machine has, how fast it is, and how to mend what is missing',
  examples: [
    ['maskrank doctor', 'a table, and a remedy for each problem'],
    ['maskrank doctor --json', 'the same for a machine'],
  ],
  run: async ({ out, versions }) => {
    const { doctorReport } = await import('@maskrank/torch/engine');
    const report = await doctorReport(await probes());
    const { engine, blas, cpu, memory, gflops, threads, cudaDevices, problems } = report;
    const privacy = privacyOfMachine();
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
        ['threads', String(threads ?? 'unknown')],
        [
          'speed',
          gflops === null ? 'not measured' : `${gflops.toFixed(0)} GFLOP/s (float32 product of 1024 x 1024)`,
        ],
        ['CUDA', cudaDevices?.join('; ') || (engine?.cuda ? `built for ${engine.cuda}, no device` : 'none')],
        ['network', privacy],
      ]),
    );
    for (const { what, fix } of problems)
      out(`\nproblem: ${what}\nremedy:  ${fix.replaceAll('\n', '\n         ')}`);
    const next = 'maskrank demo';
    if (engine !== null) return { result: { versions, ...report, privacy }, next };
    return {
      result: { versions, ...report, privacy },
      failure: new EngineError('no engine loads; see the remedy above.'),
    };
  },
});

/** Measurements that need tensors; the engine is loaded only when they are made. */
async function probes(): Promise<EngineProbes> {
  const torch = await import('@maskrank/torch');
  return {
    measureGflops: () => {
      const side = 1024;
      const repeats = 5;
      return torch.tidy(() => {
        const [a, b] = [torch.randn([side, side]), torch.randn([side, side])];
        a.matmul(b); // the first call starts the threads
        const times = Array.from({ length: repeats }, () => {
          const start = performance.now();
          a.matmul(b);
          return performance.now() - start;
        });
        return (2 * side ** 3) / Math.min(...times) / 1e6; // operations a millisecond -> GFLOP/s
      });
    },
    threads: torch.getThreads,
    cudaDevices: () => Array.from({ length: torch.engineVersion().cudaDevices }, (_, i) => `cuda:${i}`),
    buildConfiguration: () => torch.engineVersion().config,
  };
}
