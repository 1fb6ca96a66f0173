import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTypedArray, memory, nn, optim, type Tensor, tidy } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { type LoopState, loadLoopState, saveLoopState } from '../../src/training/state.ts';
import { averageInto, copies, copyInto } from '../../src/training/weights.ts';
import { Random } from '../../src/util/random.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-state-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = () => join(dir, `${files++}.safetensors`);

const header = { schemaVersion: 1, configHash: 'c0', madeFrom: { dataset: 'd0' } };
const expected = { header, rerun: 'maskrank finetune --restart' };
const normals = (label: string, n: number) => {
  const random = new Random(label);
  return Float32Array.from({ length: n }, () => random.normal());
};

type Toy = LoopState & { readonly optimizer: optim.AdamW; readonly average: Map<string, Tensor> };

/** Two parameters, their averages, and an optimiser. */
function toy(
  label = 'start',
  shapes: Record<string, number[]> = { 'layer.weight': [2, 3], 'layer.bias': [2] },
): Toy {
  const named = Object.entries(shapes).map(([name, shape]) => {
    const n = shape.reduce((a, b) => a * b, 1);
    return [name, new nn.Parameter(fromTypedArray(normals(`${label}/${name}`, n), shape))] as const;
  });
  const parameters = new Map<string, Tensor>(named);
  const average = copies(parameters);
  const optimizer = new optim.AdamW(named, { learningRate: 0.1 });
  return { parameters, optimizer, average, extra: { average } };
}

function step(state: Toy, k: number): void {
  tidy(() => {
    for (const [name, p] of state.parameters)
      p.grad = fromTypedArray(normals(`grad ${k} ${name}`, p.numel), p.shape);
    state.optimizer.step();
    averageInto(state.average, state.parameters, 0.9);
  });
}

const values = (state: Toy) =>
  [...state.parameters, ...state.average].map(([name, t]) => [name, [...t.toFloat32Array()]]);

function dispose(state: Toy): void {
  state.optimizer.disposeState();
  for (const t of [...state.parameters.values(), ...state.average.values()]) t.dispose();
}

describe('the state of a loop', () => {
  it('goes on exactly: parameters, the optimiser, averages and facts', async () => {
    const path = fresh();
    const one = toy();
    for (let k = 0; k < 3; k++) step(one, k);
    await saveLoopState(path, one, { step: 3, best: 0.5, stopped: false }, header);
    const two = toy('other');
    expect(await loadLoopState(path, two, expected)).toEqual({ step: 3, best: 0.5, stopped: false });
    expect(values(two)).toEqual(values(one));
    for (let k = 3; k < 6; k++) {
      step(one, k);
      step(two, k);
      expect(values(two)).toEqual(values(one));
    }
  });

  it('holds before the first step too, and there is none before it is saved', async () => {
    const path = fresh();
    expect(await loadLoopState(path, toy(), expected)).toBeUndefined();
    const one = toy();
    await saveLoopState(path, one, { step: 0 }, header);
    const two = toy('other');
    await loadLoopState(path, two, expected);
    step(one, 0);
    step(two, 0);
    expect(values(two)).toEqual(values(one));
  });

  it.each([
    ['another configuration', { ...header, configHash: 'c1' }, /made with configuration c0, now it is c1/],
    ['another dataset', { ...header, madeFrom: { dataset: 'd1' } }, /made from dataset d0, now it is d1/],
    ['a newer version', { ...header, schemaVersion: 2 }, /schemaVersion = 1, allowed: 2/],
  ])('of %s is stale', async (_what, now, message) => {
    const path = fresh();
    await saveLoopState(path, toy(), { step: 1 }, header);
    const load = loadLoopState(path, toy(), { ...expected, header: now });
    await expect(load).rejects.toThrow(DataError);
    await expect(loadLoopState(path, toy(), { ...expected, header: now })).rejects.toThrow(message);
  });

  it.each([
    [
      'missing and unexpected',
      { 'layer.weight': [2, 3], 'layer.scale': [2] },
      /1 missing \(layer\.scale\), 1 unexpected \(layer\.bias\)/,
    ],
    [
      'of another shape',
      { 'layer.weight': [2, 3], 'layer.bias': [1] },
      /layer\.bias is \[2\], needed: \[1\]/,
    ],
    [
      'that would broadcast',
      { 'layer.weight': [2, 2, 3], 'layer.bias': [2] },
      /layer\.weight is \[2,3\], needed: \[2,2,3\]/,
    ],
  ])('refuses parameters %s, and changes nothing', async (_what, shapes, message) => {
    const path = fresh();
    await saveLoopState(path, toy(), { step: 1 }, header);
    const other = toy('other', shapes);
    const before = values(other);
    await expect(loadLoopState(path, other, expected)).rejects.toThrow(DataError);
    await expect(loadLoopState(path, other, expected)).rejects.toThrow(message);
    expect(values(other)).toEqual(before);
  });

  it('refuses a damaged file', async () => {
    const path = fresh();
    await saveLoopState(path, toy(), { step: 1 }, header);
    writeFileSync(path, readFileSync(path).subarray(0, -4));
    await expect(loadLoopState(path, toy(), expected)).rejects.toThrow(DataError);
  });

  it('saving and loading leave no tensor behind', async () => {
    const path = fresh();
    const state = toy();
    step(state, 0);
    const before = memory().tensors;
    await saveLoopState(path, state, { step: 1 }, header);
    expect(memory().tensors).toBe(before);
    await loadLoopState(path, state, expected);
    expect(memory().tensors).toBe(before);
    dispose(state);
  });
});

describe('copies of weights', () => {
  it('are detached, live on, and are averaged and put back exactly', () => {
    const source = new Map<string, Tensor>([
      ['w', new nn.Parameter(fromTypedArray(Float32Array.of(1, 2), [2]))],
    ]);
    const before = memory().tensors;
    const copied = tidy(() => copies(source));
    expect(memory().tensors).toBe(before + 1);
    const w = copied.get('w') as Tensor;
    expect(w.requiresGrad).toBe(false);
    tidy(() => copyInto(source, new Map([['w', fromTypedArray(Float32Array.of(5, 6), [2])]])));
    expect([...w.toFloat32Array()]).toEqual([1, 2]);
    averageInto(copied, source, 0.75);
    expect([...w.toFloat32Array()]).toEqual([2, 3]);
    copyInto(source, copied);
    expect([...(source.get('w') as Tensor).toFloat32Array()]).toEqual([2, 3]);
    expect((source.get('w') as Tensor).requiresGrad).toBe(true);
    w.dispose();
    expect(memory().tensors).toBe(before);
  });
});
