import { readdirSync, rmSync, utimesSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type BuildOptions, buildAddon } from '../../src/engine/build.ts';
import { explainFailure, flagsFor } from '../../src/engine/compiler.ts';
import { chooseBuild, loadAddon, loadEngine } from '../../src/engine/load.ts';
import { locateEngine } from '../../src/engine/locate.ts';
import { readRecord } from '../../src/engine/record.ts';
import type { Engine } from '../../src/engine/types.ts';
import { EngineError } from '../../src/errors.ts';
import { fakeEngine, hasCompiler, linkableEngine, temporaryFolder, write } from './fake-engine.ts';

const SOURCE = `
#include <node_api.h>
#include "answer.h"
napi_value Init(napi_env env, napi_value exports) {
  napi_value value;
  napi_create_int32(env, answer(), &value);
  napi_set_named_property(env, exports, "answer", value);
  return exports;
}
NAPI_MODULE(maskrank_torch, Init)
`;

/** A project of two sources and a header, and the engine to build it for. */
function project(): { engine: Engine; options: BuildOptions & { nativeDir: string; buildDir: string } } {
  const folder = temporaryFolder();
  const engine = locateEngine({ env: { LIBTORCH: linkableEngine(join(folder, 'torch')) } });
  const nativeDir = join(folder, 'native');
  write(join(nativeDir, 'module.cc'), SOURCE);
  write(join(nativeDir, 'answer.cc'), '#include "answer.h"\nint answer() { return 42; }\n');
  write(join(nativeDir, 'answer.h'), 'int answer();\n');
  return { engine, options: { nativeDir, buildDir: join(folder, 'build'), env: {}, jobs: 2 } };
}

describe.skipIf(!hasCompiler)('buildAddon (skipped without g++)', () => {
  it('builds an addon that loads, and then has nothing to do', async () => {
    const { engine, options } = project();
    const built = await buildAddon(engine, options);
    expect(built).toMatchObject({ rebuilt: true, compiled: 2 });
    expect(loadEngine({ env: {}, buildDir: options.buildDir })).toMatchObject({
      exports: { answer: 42 },
      file: built.addonFile,
      record: { engine, key: built.record.key },
    });
    const timesMs: number[] = [];
    for (let i = 0; i < 3; i++) {
      const start = performance.now();
      const again = await buildAddon(engine, options);
      timesMs.push(performance.now() - start);
      expect(again).toMatchObject({ rebuilt: false, compiled: 0, addonFile: built.addonFile });
    }
    expect(Math.min(...timesMs)).toBeLessThan(300);
  });

  it('compiles what changed and nothing else: a source, a header, the compiler', async () => {
    const { engine, options } = project();
    const compiled = async () => (await buildAddon(engine, options)).compiled;
    expect(await compiled()).toBe(2);
    write(join(options.nativeDir, 'answer.cc'), '#include "answer.h"\nint answer() { return 43; }\n');
    expect(await compiled()).toBe(1);
    utimesSync(join(options.nativeDir, 'answer.cc'), new Date(), new Date());
    expect(await compiled()).toBe(0);
    write(join(options.nativeDir, 'answer.h'), 'int answer(); // of everything\n');
    expect(await compiled()).toBe(2);
    const { key } = readRecord(options.buildDir)!;
    expect(readdirSync(join(options.buildDir, key, 'objects'))).toHaveLength(2);
    write(join(options.nativeDir, 'gpu.cuda.cc'), '#error "needs the headers of CUDA"\n');
    expect(await compiled()).toBe(0);
  });

  it('reports the first errors and leaves the last good build in use', async () => {
    const { engine, options } = project();
    await buildAddon(engine, options);
    write(join(options.nativeDir, 'answer.cc'), 'int answer() { return forty_two; }\n');
    const failed = buildAddon(engine, options);
    await expect(failed).rejects.toThrow(EngineError);
    await expect(failed).rejects.toThrow(/answer\.cc.*error: .*forty_two/);
    expect(loadAddon({ env: {}, buildDir: options.buildDir })).toEqual({ answer: 42 });
    expect(readdirSync(options.buildDir)).not.toContain('.lock');
  });

  it('says so when there is no compiler or no source', async () => {
    const { engine, options } = project();
    await expect(buildAddon(engine, { ...options, env: { CXX: '/no/g++' } })).rejects.toThrow(
      /CXX=\/no\/g\+\+ cannot be run/,
    );
    const empty = { ...options, nativeDir: join(options.nativeDir, 'none') };
    await expect(buildAddon(engine, empty)).rejects.toThrow(/no C\+\+ sources/);
  });

  it('builds once when two ask at the same time', async () => {
    const { engine, options } = project();
    const waited: string[] = [];
    const ask = () => buildAddon(engine, { ...options, onProgress: (line) => waited.push(line) });
    const results = await Promise.all([ask(), ask()]);
    expect(results.map((result) => result.rebuilt).sort()).toEqual([false, true]);
    expect(waited).toContain(`waiting for the build of process ${process.pid} on ${hostname()}`);
  });

  it('keeps a build for each engine, and replaces one whose engine was upgraded in place', async () => {
    const { engine, options } = project();
    const first = await buildAddon(engine, options);
    const otherRoot = linkableEngine(join(temporaryFolder(), 'torch'), '2.6.0');
    const other = locateEngine({ env: { LIBTORCH: otherRoot } });
    const second = await buildAddon(other, options);
    const { buildDir } = options;
    const chosen = (env: Record<string, string>) => chooseBuild({ env, buildDir }).record.engine.version;
    expect(chosen({})).toBe('2.6.0');
    expect(chosen({ LIBTORCH: engine.root })).toBe('2.5.1');
    expect(chosen({ MASKRANK_ENGINE_DIR: join(buildDir, first.record.key) })).toBe('2.5.1');
    expect(() => chosen({ LIBTORCH: '/elsewhere' })).toThrow(/the addon was built for .*npm run setup/);
    expect(() => chosen({ MASKRANK_ENGINE_DIR: '/elsewhere' })).toThrow(
      /is not the folder of a built engine/,
    );

    utimesSync(join(other.libDir, 'libtorch_cpu.so'), new Date(1e12), new Date(1e12));
    expect(() => loadAddon({ env: {}, buildDir })).toThrow(
      /has changed or gone since the addon was built.*npm run setup/,
    );
    const third = await buildAddon(other, options);
    expect(third.record.key).not.toBe(second.record.key);
    const builds = readdirSync(buildDir).filter((name) => name !== 'engine.json');
    expect(builds.sort()).toEqual([first.record.key, third.record.key].sort());
  });

  it('names a missing library', async () => {
    const { options } = project();
    // One that no other test has loaded: a process loads a library once by its name.
    const root = linkableEngine(join(temporaryFolder(), 'torch'), '2.5.1', ['c10_cuda']);
    const engine = locateEngine({ env: { LIBTORCH: root } });
    await buildAddon(engine, options);
    rmSync(join(engine.libDir, 'libc10_cuda.so'));
    const load = () => loadAddon({ env: {}, buildDir: options.buildDir });
    expect(load).toThrow(/the library libc10_cuda\.so is missing.*npm run setup/);
  });
});

describe('loadAddon', () => {
  it('tells to run setup when nothing is built', () => {
    const load = () => loadAddon({ env: {}, buildDir: temporaryFolder() });
    expect(load).toThrow(EngineError);
    expect(load).toThrow(/not built yet.*npm run setup/);
  });
});

describe('flagsFor', () => {
  const flags = (version: string, options = {}) => {
    const root = fakeEngine(join(temporaryFolder(), 'torch'), { version, ...options });
    return flagsFor(locateEngine({ env: { LIBTORCH: root } }));
  };

  it('follows the language of the headers', () => {
    expect(flags('1.13.1').compile).toContain('-std=c++17');
    expect(flags('2.10.0').compile).toContain('-std=c++17');
    expect(flags('2.11.0').compile).toContain('-std=c++20');
  });

  it('follows the ABI and links CUDA though nothing names it', () => {
    const libraries = ['torch', 'torch_cpu', 'c10', 'torch_cuda'];
    const { compile, link } = flags('2.4.0', { oldAbi: true, libraries });
    expect(compile).toEqual(expect.arrayContaining(['-D_GLIBCXX_USE_CXX11_ABI=0', '-DMASKRANK_CUDA']));
    expect(link.indexOf('-Wl,--no-as-needed')).toBeLessThan(link.indexOf('-ltorch_cuda'));
    expect(link.indexOf('-Wl,--no-as-needed')).toBeGreaterThan(0);
  });
});

describe('explainFailure', () => {
  it('keeps the first errors and counts the rest', () => {
    const output = Array.from(
      { length: 9 },
      (_, i) => `a.cc:${i}: error: number ${i}\n   note: context`,
    ).join('\n');
    const text = explainFailure('g++ failed', output, ['-c', 'a b.cc']);
    expect(text).toContain('error: number 4');
    expect(text).not.toContain('error: number 5');
    expect(text).toContain('... and 4 more');
    expect(text).toContain('-c "a b.cc"');
  });

  it('knows when memory ran out', () => {
    expect(
      explainFailure('g++ failed', 'g++: fatal error: Killed signal terminated program cc1plus', []),
    ).toMatch(/MASKRANK_BUILD_JOBS=1/);
  });
});
