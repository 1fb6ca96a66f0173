// Worker threads and the end of the process: each in a process of its own, which must end by itself, with exit code 0.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Compiled, compilePackage } from '../support/compiled.ts';

let compiled: Compiled;
beforeAll(() => {
  compiled = compilePackage();
});
afterAll(() => compiled.remove());

/** Runs a module with the package as `T`; what it prints. */
function run(name: string, code: string): string {
  const file = join(compiled.dir, `${name}.js`);
  writeFileSync(
    file,
    `import * as T from ${JSON.stringify(compiled.index)};
import { isMainThread, Worker, workerData, parentPort } from 'node:worker_threads';
const ended = (worker) => new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
const self = new URL(import.meta.url);
${code}`,
  );
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [file], {
    env: compiled.env,
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  return stdout.trim();
}

describe('the end of a process', () => {
  it('with tensors, gradients, shared memory and views alive', () => {
    const code = `
      globalThis.held = [T.zeros([1000]), T.keep(T.ones([3]).requiresGrad_()), T.Generator.seeded(1)];
      held.push(held[1].mul(2).sum(), T.fromTypedArray(new Float32Array(10), [10], { share: true }), T.zeros([5]).asTypedArray());
      console.log('alive', T.memory().tensors);`;
    expect(run('exit-plain', code)).toBe('alive 6');
    expect(run('exit-called', `${code} process.exit(0);`)).toBe('alive 6');
  });

  it('inside a scope', () => {
    expect(run('exit-inside', `T.tidy(() => { T.zeros([9]); console.log('in'); process.exit(0); });`)).toBe(
      'in',
    );
  });
});

describe('worker threads', () => {
  it('compute at once, each with its own tensors, and agree', () => {
    const out = run(
      'workers-compute',
      `if (isMainThread) {
        const results = [];
        const workers = [1, 2].map(() => new Worker(self).on('message', (m) => results.push(m)));
        const mine = T.memory().tensors;
        await Promise.all(workers.map(ended));
        console.log(results.length, results[0] === results[1], T.memory().tensors - mine);
      } else {
        const generator = T.Generator.seeded(5);
        const w = T.keep(T.randn([32, 32], { generator }).requiresGrad_());
        for (let i = 0; i < 60; i++) T.tidy(() => {
          const x = T.randn([16, 32], { generator });
          x.matmul(w).tanh().pow(2).mean().backward();
          T.noGrad(() => w.sub_(w.grad, 0.1));
          w.grad = null;
        });
        parentPort.postMessage(w.detach().norm().item() + ' ' + T.memory().tensors);
      }`,
    );
    expect(out).toBe('2 true 0');
  });

  it('end while tensors live, also when stopped in the middle', () => {
    const out = run(
      'workers-end',
      `if (isMainThread) {
        const done = new Worker(self, { workerData: 'done' });
        await ended(done);
        const stopped = new Worker(self, { workerData: 'forever' });
        await new Promise((resolve) => stopped.once('message', resolve));
        await stopped.terminate();
        console.log(T.tidy(() => T.ones([3]).sum().item()));
      } else {
        globalThis.held = [T.zeros([1000]), T.fromTypedArray(new Float32Array(10), [10], { share: true }), T.ones([4]).asTypedArray()];
        if (workerData === 'forever') {
          parentPort.postMessage('started');
          for (;;) T.tidy(() => T.randn([64, 64]).matmul(T.randn([64, 64])));
        }
      }`,
    );
    expect(out).toBe('3');
  });

  it('the engine stays when only ended workers had loaded it', () => {
    const out = run(
      'workers-only',
      `if (isMainThread) {
        for (let i = 0; i < 3; i++) await ended(new Worker(self));
        console.log('fine');
      } else {
        T.tidy(() => T.randn([200, 200]).matmul(T.randn([200, 200])).sum().item());
      }`,
    );
    expect(out).toBe('fine');
  });

  it('a handle of one thread means nothing in another', () => {
    const out = run(
      'workers-handles',
      `if (isMainThread) {
        const held = T.keep(T.ones([2]));
        const worker = new Worker(self, { workerData: held.handle });
        worker.on('message', console.log);
        await ended(worker);
      } else {
        try { new T.Tensor(workerData).shape; } catch (error) { parentPort.postMessage(error.name + ': ' + error.message); }
        process.exit();
      }`,
    );
    expect(out).toBe('EngineError: describe: the tensor was released before this use');
  });
});
