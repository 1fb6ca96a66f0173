// Fixture llama_tokenizer: ids of texts and texts of ids, exactly.

import { join } from 'node:path';
import { LlamaTokenizer } from '../models/medvint/index.ts';
import { checkFact, compareExact } from './compare.ts';
import type { GoldenCheck } from './types.ts';

export const llamaTokenizer: GoldenCheck = {
  covers: (name) => name === 'llama_tokenizer',
  run: async ({ name, json, dir }) => {
    const tokenizer = await LlamaTokenizer.open(join(dir, `${name}.model`));
    const texts: string[] = json.texts;
    return texts.flatMap((text, i) => {
      const shown = JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
      const decoded = tokenizer.decode(json.token_ids[i]);
      return [
        compareExact(`ids of ${shown}`, tokenizer.encode(text), json.token_ids[i]),
        checkFact(`text of ${shown}`, decoded === json.decoded[i], `${JSON.stringify(decoded)}`),
      ];
    });
  },
};
