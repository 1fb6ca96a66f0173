import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ownCpuFlags } from '../../src/engine/cpu-flags.ts';
import { leaveOutAmx } from '../../src/engine/onednn-isa.ts';
import { type Compiled, compilePackage } from '../support/compiled.ts';

describe('leaveOutAmx', () => {
  type Env = { ONEDNN_MAX_CPU_ISA?: string; DNNL_MAX_CPU_ISA?: string };
  const after = (env: Env, flags = 'avx512f avx512_bf16 amx_tile'): Env => {
    leaveOutAmx(new Set(flags.split(' ')), env);
    return env;
  };

  it('names the largest set without AMX, where there is AMX to leave out', () => {
    expect(after({})).toEqual({ ONEDNN_MAX_CPU_ISA: 'AVX512_CORE_BF16' });
    expect(after({}, 'avx512f avx512_bf16')).toEqual({});
    expect(after({}, '')).toEqual({});
  });

  it.each([
    { ONEDNN_MAX_CPU_ISA: 'AVX512_CORE_AMX' },
    { ONEDNN_MAX_CPU_ISA: '' },
    { DNNL_MAX_CPU_ISA: 'AVX2' },
  ])('respects a choice that was made: %j', (chosen) => {
    expect(after({ ...chosen })).toEqual(chosen);
  });
});

// An illegal instruction ends the process: each kind of operator in one of its own.
describe.skipIf(!ownCpuFlags().has('avx512f'))('bfloat16 on this processor (needs AVX-512)', () => {
  let compiled: Compiled;
  beforeAll(() => {
    compiled = compilePackage();
  });
  afterAll(() => compiled.remove());

  it.each([
    [
      'matmul',
      'for (const n of [1, 3, 16, 64, 256]) b([2, n, n]).matmul(b([2, n, n])).to("float32").sum().item();',
    ],
    [
      'linear',
      'for (const n of [1, 16, 64, 768]) T.nn.F.linear(b([2, 7, n]), b([2 * n, n]), b([2 * n])).to("float32").sum().item();',
    ],
    [
      'convolutions',
      `for (const n of [3, 16, 64]) {
        T.nn.F.conv2d(b([2, n, 16, 16]), b([n, n, 3, 3]), b([n]), { padding: 1 }).to("float32").sum().item();
        T.nn.F.convTranspose2d(b([2, n, 8, 8]), b([n, n, 2, 2]), b([n]), { stride: 2 }).to("float32").sum().item();
      }`,
    ],
    [
      'gradients',
      `const [x, w, v] = [b([2, 16, 16, 16]), b([16, 16, 3, 3]), b([16, 16])].map((t) => t.requiresGrad_());
      T.nn.F.linear(T.nn.F.conv2d(x, w).mean([2, 3]), v).to("float32").sum().backward();
      for (const t of [x, w, v]) t.grad.to("float32").sum().item();`,
    ],
  ])('%s: no illegal instruction', (name, code) => {
    const file = join(compiled.dir, `bf16-${name}.js`);
    writeFileSync(
      file,
      `import * as T from ${JSON.stringify(compiled.index)};
T.setThreads(1);
const generator = T.Generator.seeded(1);
const b = (shape) => T.randn(shape, { generator }).to('bfloat16');
${code}`,
    );
    const { ONEDNN_MAX_CPU_ISA: _, DNNL_MAX_CPU_ISA: __, ...env } = compiled.env;
    const { status, signal, stderr } = spawnSync(process.execPath, [file], { env, encoding: 'utf8' });
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  });
});
