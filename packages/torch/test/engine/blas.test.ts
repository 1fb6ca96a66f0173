import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blasAdvice, blasFromPath, expectedBlas, loadedBlas } from '../../src/engine/blas.ts';
import { locateEngine } from '../../src/engine/locate.ts';
import { fakeEngine, temporaryFolder, write } from './fake-engine.ts';

const map = (path: string): string => `7f2c0000-7f2c1000 r-xp 00000000 fe:00 1234    ${path}\n`;
const DEBIAN = '/usr/lib/x86_64-linux-gnu';

describe('loadedBlas', () => {
  it.each([
    [`${DEBIAN}/openblas-pthread/libblas.so.3`, 'openblas'],
    [`${DEBIAN}/openblas-pthread/libopenblasp-r0.3.21.so`, 'openblas'],
    [`${DEBIAN}/blas/libblas.so.3.11.0`, 'reference'],
    [`${DEBIAN}/blis-pthread/libblas.so.3`, 'blis'],
    [`${DEBIAN}/atlas/libblas.so.3.10.3`, 'atlas'],
    ['/opt/conda/lib/libmkl_rt.so.2', 'mkl'],
  ])('%s is %s', (path, kind) => {
    expect(loadedBlas(map('/lib/libc.so.6') + map(path) + map('[heap]'))).toEqual({ kind, path });
  });

  it('is not misled by BLAS libraries of a GPU, nor by LAPACK', () => {
    const maps = map('/opt/nvidia/lib/libcublas.so.13') + map(`${DEBIAN}/lapack/liblapack.so.3`);
    expect(loadedBlas(maps)).toEqual({ kind: 'built-in', path: null });
    expect(loadedBlas(maps, 'Build settings: BLAS_INFO=mkl, USE_CUDA=1')).toEqual({
      kind: 'mkl',
      path: null,
    });
    expect(loadedBlas('', 'BLAS_INFO=generic')).toEqual({ kind: 'built-in', path: null });
  });
});

describe('blasAdvice', () => {
  it('names the package for the reference BLAS and is silent otherwise', () => {
    expect(blasAdvice(blasFromPath(`${DEBIAN}/blas/libblas.so.3`))?.fix).toBe(
      'apt-get install libopenblas0-pthread',
    );
    expect(blasAdvice(blasFromPath(`${DEBIAN}/openblas-pthread/libblas.so.3`))).toBeNull();
  });
});

describe('expectedBlas', () => {
  it('follows the alternatives of the system package', () => {
    const folder = temporaryFolder();
    fakeEngine(join(folder, 'usr'));
    const env = { PATH: '', MASKRANK_PYTHON: '' };
    const engine = locateEngine({ env, systemPrefixes: [join(folder, 'usr')] });
    expect(expectedBlas(engine).kind).toBe('unknown');
    const real = write(join(folder, 'usr/lib/blas/libblas.so.3'), '');
    symlinkSync(real, join(folder, 'usr/lib/libblas.so.3'));
    expect(expectedBlas(engine)).toEqual({ kind: 'reference', path: real });
    expect(expectedBlas({ ...engine, origin: 'python' }).kind).toBe('built-in');
  });
});
