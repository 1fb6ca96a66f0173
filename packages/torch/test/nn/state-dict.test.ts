import { afterAll, expect, it } from 'vitest';
import { DataError, Generator, nn, randn, type Tensor, tensor, tidy } from '../../src/index.ts';
import type { TensorData } from '../../src/io/index.ts';

class Net extends nn.Module {
  readonly fc = new nn.Linear(2, 3);
  readonly extra = [new nn.Linear(3, 1, { bias: false })];
  readonly count = new nn.Buffer(tensor([1, 2], { dtype: 'int64' }));
  readonly scratch = new nn.Buffer(tensor([0]), { persistent: false });
}

const nets: Net[] = [];
const net = (seed = 1): Net => {
  const made = nn.initialise(new Net(), Generator.seeded(seed));
  nets.push(made);
  return made;
};
afterAll(() => {
  for (const made of nets) made.dispose();
});

const messageOf = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
};
const values = (t: Tensor): number[] => Array.from(t.toTypedArray() as Float32Array);

it('saved state has the parameters and persistent buffers by name, and loads back exactly', () => {
  const [a, b] = [net(1), net(2)];
  const state = nn.saveStateDict(a);
  expect([...state.keys()]).toEqual(['fc.weight', 'fc.bias', 'extra.0.weight', 'count']);
  expect(values(a.fc.weight)).not.toEqual(values(b.fc.weight));
  const report = nn.loadStateDict(b, state);
  expect(report).toEqual({ loaded: [...state.keys()], missing: [], unexpected: [] });
  expect(values(b.fc.weight)).toEqual(values(a.fc.weight));
});

it('lists missing, unexpected, wrong shapes and wrong types at once, and changes nothing', () => {
  const target = net();
  const before = values(target.fc.weight);
  const state = nn.saveStateDict(net(5));
  state.delete('fc.bias');
  state.set('other', { dtype: 'F32', shape: [1], data: Float32Array.of(0) });
  state.set('extra.0.weight', { dtype: 'F32', shape: [3, 1], data: new Float32Array(3) });
  state.set('count', { dtype: 'F32', shape: [2], data: new Float32Array(2) });
  const message = messageOf(() => nn.loadStateDict(target, state, { source: 'file.pth' }));
  for (const part of [
    'file.pth does not fit the model; nothing was loaded',
    'missing: fc.bias',
    'unexpected: other',
    'wrong shape: extra.0.weight: found [3,1], needed [1,3]',
    'wrong type: count: found F32, needed whole numbers (int64)',
  ]) {
    expect(message).toContain(part);
  }
  expect(values(target.fc.weight)).toEqual(before);
});

it('what may be absent is said by key or pattern and reported', () => {
  const target = net();
  const state = nn.saveStateDict(net(5));
  state.delete('fc.bias');
  state.delete('count');
  state.set('other.a', { dtype: 'F32', shape: [1], data: Float32Array.of(0) });
  const report = nn.loadStateDict(target, state, {
    allowMissing: ['fc.bias', /^cou/],
    allowUnexpected: [/^other\./],
  });
  expect(report.missing).toEqual(['fc.bias', 'count']);
  expect(report.unexpected).toEqual(['other.a']);
});

it('converts between floating-point types and takes engine tensors', () => {
  const target = net();
  const wide: TensorData = { dtype: 'F64', shape: [3, 2], data: Float64Array.from([1, 2, 3, 4, 5, 6.5]) };
  nn.loadStateDict(target, new Map([['fc.weight', wide]]), { allowMissing: [/./] });
  expect(values(target.fc.weight)).toEqual([1, 2, 3, 4, 5, 6.5]);
  tidy(() => {
    const bias = randn([3]);
    nn.loadStateDict(target, new Map([['fc.bias', bias]]), { allowMissing: [/./] });
    expect(values(target.fc.bias as Tensor)).toEqual(values(bias));
  });
});
