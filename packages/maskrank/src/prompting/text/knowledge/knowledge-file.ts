// Knowledge in a file, a JSON object a line: what is known of a class in a modality, from whom. Written by endpoint.ts, read by
// recorded.ts; people may write it too: `{"class":"polyp","modality":"endoscopy","text":"A bump."}`.

import { createHash } from 'node:crypto';
import * as z from 'zod';
import { lineParser } from '../../../run/parse-line.ts';
import { plainName } from '../class-words.ts';
import type { Knowledge } from '../types.ts';

export const knowledgeLineSchema = z.strictObject({
  class: z.string().min(1),
  modality: z.string().min(1),
  text: z.string().min(1),
  source: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
    .and(z.object({ provider: z.string() }))
    .exactOptional(),
  /** `KnowledgeProvider.identity` of whoever wrote it. */
  identity: z.string().exactOptional(),
});

export type KnowledgeLine = z.output<typeof knowledgeLineSchema>;

export const KNOWLEDGE_FILE = { what: 'file of knowledge', parse: lineParser(knowledgeLineSchema) };

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Class and modality as `plainName` has them, and who said it. */
export const keyOf = (about: { class: string; modality: string; identity?: string }): string =>
  JSON.stringify([plainName(about.class), plainName(about.modality), about.identity ?? null]);

export const knowledgeOf = ({ text, source }: Pick<KnowledgeLine, 'text' | 'source'>): Knowledge => ({
  text,
  source: source ?? { provider: 'recorded', hash: sha256(text) },
});
