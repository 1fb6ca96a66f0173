// Knowledge out of a file alone, so that a study can be made again without a model and without a network, or with words of a
// person: JSON lines (knowledge-file.ts), or the knowledge.json of another run.

import { createHash } from 'node:crypto';
import * as z from 'zod';
import { parseArtefact } from '../../../datasets/artefact.ts';
import { readJson } from '../../../run/files.ts';
import { readJsonl } from '../../../run/jsonl.ts';
import { plainName } from '../class-words.ts';
import type { KnowledgeProvider } from '../types.ts';
import { KNOWLEDGE_FILE, type KnowledgeLine, keyOf, knowledgeOf } from './knowledge-file.ts';

/** RUN/knowledge.json: what the classes of a run are described by, by the class's id. */
export const knowledgeRecordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** By class: what it was described by and how. */
  knowledge: z.record(
    z.string(),
    z.strictObject({
      className: z.string(),
      text: z.string(),
      source: z.looseObject({ provider: z.string(), identity: z.string() }),
    }),
  ),
});

type Entry = Pick<KnowledgeLine, 'text' | 'source'>;

/**
 * Reads the whole file now; DataError where it is missing or wrong. A line counts for its class in its modality, the last
 * one where there are several; an entry of knowledge.json for its class in any modality. null for classes without one.
 */
export function recordedKnowledge(path: string): KnowledgeProvider {
  const entries = path.endsWith('.json') ? entriesOfRun(path) : entriesOfLines(path);
  const content = [...entries].map(([key, { text }]) => JSON.stringify([key, text]));
  return {
    name: 'recorded',
    identity: createHash('sha256').update(content.sort().join('\n')).digest('hex'),
    knowledge: async ({ className, modality }) => {
      const found = entries.get(keyOf({ class: className, modality })) ?? entries.get(anyModality(className));
      return found === undefined ? null : knowledgeOf(found);
    },
  };
}

const anyModality = (className: string): string => JSON.stringify([plainName(className)]);

function entriesOfLines(path: string): ReadonlyMap<string, Entry> {
  const { entries } = readJsonl<KnowledgeLine>(path, KNOWLEDGE_FILE);
  return new Map(entries.map((line) => [keyOf({ class: line.class, modality: line.modality }), line]));
}

function entriesOfRun(path: string): ReadonlyMap<string, Entry> {
  const { knowledge } = parseArtefact(readJson(path, 'file of knowledge'), knowledgeRecordSchema, path);
  return new Map(
    Object.values(knowledge).map(({ className, text, source: { identity: _, ...source } }) => [
      anyModality(className),
      { text, source: source as NonNullable<Entry['source']> },
    ]),
  );
}
