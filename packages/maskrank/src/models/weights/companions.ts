// Files that belong to weights and stand beside them: whether they can be read as what their names say.

import { basename } from 'node:path';
import { WordPiece } from '../clip/wordpiece.ts';
import { LlamaTokenizer } from '../medvint/tokenizer/index.ts';

/** By name; other files are kept as they are. */
const CHECKS: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  'vocab.txt': (path) => WordPiece.fromFile(path),
  'tokenizer.model': (path) => LlamaTokenizer.open(path),
};

/** DataError when the file is damaged, or something else than its name says. */
export async function checkCompanion(path: string): Promise<void> {
  await CHECKS[basename(path)]?.(path);
}
