// Fixture wordpiece: pieces and ids of texts as transformers' BertTokenizer gives them, exact.

import { join } from 'node:path';
import { WordPiece } from '../models/clip/index.ts';
import { checkFact, compareExact } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

async function run(fixture: Fixture): Promise<CheckResult[]> {
  const tokenizer = await WordPiece.fromFile(join(fixture.dir, 'wordpiece_vocab.txt'));
  const {
    texts,
    token_ids: ids,
    tokens,
  } = fixture.json as Record<'texts', string[]> & {
    token_ids: number[][];
    tokens: string[][];
  };
  return texts.flatMap((text, i) => {
    const what = JSON.stringify(text.slice(0, 24));
    const reference = ids[i] as number[];
    const pieces = tokenizer.tokenize(text);
    const encoding = tokenizer.encode(text, reference.length);
    const same = JSON.stringify(pieces) === JSON.stringify(tokens[i]);
    return [
      checkFact(`pieces of ${what}`, same, `got ${pieces.slice(0, 40).join(' ')}`),
      compareExact(`ids of ${what}`, encoding.ids, reference),
    ];
  });
}

export const wordpiece: GoldenCheck = { covers: (name) => name === 'wordpiece', run };
