// Knowledge of a class from a language model behind an OpenAI-compatible endpoint, as the paper has it from GPT-4: asked once a
// class, kept in a file with prompt, model and date, never asked again. Only the names of class and modality are sent.

import { createHash } from 'node:crypto';
import * as z from 'zod';
import { JsonlStore, readJsonl } from '../../../run/jsonl.ts';
import { lineParser } from '../../../run/parse-line.ts';
import { ChatClient, type ChatOptions, chatIdentity } from '../chat.ts';
import { plainName } from '../class-words.ts';
import type { Knowledge, KnowledgeProvider, KnowledgeSubject } from '../types.ts';

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

const FILE = { what: 'file of knowledge', parse: lineParser(knowledgeLineSchema) };

export type EndpointKnowledgeOptions = ChatOptions & {
  /** File that keeps what was written, JSON lines. */
  readonly cachePath: string;
  /** What the model is asked; `{class}` and `{modality}` are replaced. */
  readonly prompt?: string;
};

/** The paper asks for a general description of the organ or disease; its words are not known. */
export const KNOWLEDGE_PROMPT =
  'Describe {class} in {modality} images of adults for someone who must find and outline it: location, shape, size, appearance in this modality, and how these vary. One paragraph of plain text, at most 90 words, no introduction.';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const keyOf = (about: { class: string; modality: string; identity?: string }): string =>
  JSON.stringify([plainName(about.class), plainName(about.modality), about.identity ?? null]);

/** Throws UnansweredError when the model declines. `close` it. */
export function endpointKnowledge(options: EndpointKnowledgeOptions): KnowledgeProvider & { close(): void } {
  const client = new ChatClient(options);
  const { prompt: template = KNOWLEDGE_PROMPT, model, cachePath } = options;
  const identity = sha256(JSON.stringify(['endpoint knowledge 1', chatIdentity(options), template]));
  const store = JsonlStore.open<KnowledgeLine>(cachePath, { ...FILE, key: keyOf, fsync: 'each' });
  const knowledge = async (
    { className, modality }: KnowledgeSubject,
    signal: AbortSignal,
  ): Promise<Knowledge> => {
    const known = store.get(keyOf({ class: className, modality, identity }));
    if (known !== undefined) return knowledgeOf(known);
    const prompt = template
      .replaceAll('{class}', () => plainName(className))
      .replaceAll('{modality}', () => modality);
    const reply = await client.ask([{ role: 'user', content: prompt }], signal);
    const source = {
      provider: 'endpoint',
      endpoint: client.address.baseUrl,
      leavesMachine: !client.address.isLocal,
      model,
      servedModel: reply.servedModel,
      prompt,
      finish: reply.finish,
      at: new Date().toISOString(),
      hash: sha256(reply.text),
    };
    store.append({ class: className, modality, text: reply.text, source, identity });
    return { text: reply.text, source };
  };
  return { name: 'endpoint', identity, knowledge, close: () => store.close() };
}

/** Knowledge out of such a file alone, or out of one that a person wrote; null for classes without a line. */
export function recordedKnowledge(path: string): KnowledgeProvider {
  const { entries } = readJsonl<KnowledgeLine>(path, FILE);
  const lines = new Map(entries.map((line) => [keyOf({ class: line.class, modality: line.modality }), line]));
  const content = [...lines].map(([key, { text }]) => JSON.stringify([key, text]));
  return {
    name: 'recorded',
    identity: sha256(content.sort().join('\n')),
    knowledge: async ({ className, modality }) => {
      const line = lines.get(keyOf({ class: className, modality }));
      return line === undefined ? null : knowledgeOf(line);
    },
  };
}

const knowledgeOf = ({ text, source }: KnowledgeLine): Knowledge => ({
  text,
  source: source ?? { provider: 'recorded', hash: sha256(text) },
});
