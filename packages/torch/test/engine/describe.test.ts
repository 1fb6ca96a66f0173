import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildAddon } from '../../src/engine/build.ts';
import { doctorReport } from '../../src/engine/describe.ts';
import type { LoadOptions } from '../../src/engine/load.ts';
import { locateEngine } from '../../src/engine/locate.ts';
import { hasCompiler, linkableEngine, temporaryFolder, write } from './fake-engine.ts';

/** An addon that does nothing, built against an engine that does nothing. */
async function built(): Promise<LoadOptions> {
  const folder = temporaryFolder();
  const engine = locateEngine({ env: { LIBTORCH: linkableEngine(join(folder, 'torch')) } });
  const source =
    '#include <node_api.h>\nnapi_value Init(napi_env, napi_value e) { return e; }\nNAPI_MODULE(m, Init)\n';
  write(join(folder, 'native/module.cc'), source);
  const buildDir = join(folder, 'build');
  await buildAddon(engine, { nativeDir: join(folder, 'native'), buildDir, env: {} });
  return { env: {}, buildDir };
}

describe('doctorReport', () => {
  it('without an engine says why and what to install, and asks nothing', async () => {
    const never = () => expect.unreachable('asked without an engine');
    const report = await doctorReport({ measureGflops: never }, { env: {}, buildDir: temporaryFolder() });
    expect(report).toMatchObject({
      node: process.version,
      engine: null,
      blas: null,
      gflops: null,
      cudaDevices: null,
    });
    expect(report.problems).toEqual([
      {
        what: expect.stringContaining('not built yet'),
        fix: expect.stringContaining('apt-get install libtorch-dev'),
      },
    ]);
  });

  it.skipIf(!hasCompiler)(
    'with an engine reports it and what was measured (skipped without g++)',
    async () => {
      const probes = { measureGflops: async () => 100, threads: () => 2, cudaDevices: () => [] };
      const report = await doctorReport(probes, await built());
      expect(report).toMatchObject({
        engine: {
          version: '2.5.1',
          origin: 'LIBTORCH',
          cuda: null,
          compiler: expect.stringContaining('g++'),
        },
        gflops: 100,
        threads: 2,
        cudaDevices: [],
        problems: [],
      });
    },
  );

  it.skipIf(!hasCompiler)(
    'tells slow products and failing probes as problems (skipped without g++)',
    async () => {
      const threads = (): number => {
        throw new Error('no threads');
      };
      const { problems } = await doctorReport({ measureGflops: () => 1.9, threads }, await built());
      expect(problems.map(({ what }) => what)).toEqual([
        'threads: no threads',
        expect.stringContaining('ran at 1.9 GFLOP/s'),
      ]);
    },
  );
});
