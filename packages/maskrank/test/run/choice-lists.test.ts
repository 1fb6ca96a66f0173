import { expect, it } from 'vitest';
import { leafAt, parseLeaf } from '../../src/run/leaves.ts';

const leaf = leafAt('evaluation.alsoPrompts')!;
const parse = (text: string) => parseLeaf(leaf, text, 'flag');

it.each([
  ['self', ['self']],
  ['self,no-prompt', ['self', 'no-prompt']],
  ['none', []],
])('a list of names: %s', (text, value) => {
  expect(parse(text)).toEqual(value);
});

it('refuses a name that is not allowed, and says which are', () => {
  expect(() => parse('self,oracle')).toThrow(/allowed: list of self, no-prompt/);
});
