import { expect, it } from 'vitest';
import { cpuFlags } from '../../src/engine/cpu-flags.ts';
import { chooseOpenblasKernels, coreTypeFor } from '../../src/engine/openblas-core.ts';

const avx512 = 'avx2 fma avx512f avx512dq avx512cd avx512bw avx512vl';

it('reads the flags of the first processor', () => {
  expect(cpuFlags('processor\t: 0\nflags\t\t: fpu avx2 fma\n\nprocessor\t: 1\nflags\t\t: fpu\n')).toEqual(
    new Set(['fpu', 'avx2', 'fma']),
  );
  expect(coreTypeFor(cpuFlags('no such line'))).toBeUndefined();
});

it.each([
  [avx512, 'SkylakeX'],
  [avx512.replace(' avx512vl', ''), 'Haswell'],
  ['avx2 fma', 'Haswell'],
  ['sse2', undefined],
])('%s -> %s', (flags, name) => {
  expect(coreTypeFor(new Set(flags.split(' ')))).toBe(name);
});

it('respects a choice that was made, also that of leaving it to OpenBLAS', () => {
  for (const chosen of ['Zen', '']) {
    const env = { OPENBLAS_CORETYPE: chosen };
    chooseOpenblasKernels(new Set(avx512.split(' ')), env);
    expect(env.OPENBLAS_CORETYPE).toBe(chosen);
  }
});
