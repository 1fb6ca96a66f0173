// Knowledge of a class from a language model behind an OpenAI-compatible endpoint, as the paper has it from GPT-4: asked once a
// class, kept in a file with prompt, model and date, never asked again. Only the names of class and modality are sent.

import { createHash } from 'node:crypto';
import { JsonlStore } from '../../../run/jsonl.ts';
import { ChatClient, type ChatMessage, type ChatOptions, chatIdentity } from '../chat.ts';
import { plainName } from '../class-words.ts';
import type { Knowledge, KnowledgeProvider, KnowledgeSubject } from '../types.ts';
import { KNOWLEDGE_FILE, type KnowledgeLine, keyOf, knowledgeOf } from './knowledge-file.ts';

/** An endpoint, what it is asked about a class, and the file that keeps its words. */
export type EndpointKnowledgeOptions = ChatOptions & {
  /** File that keeps what was written, JSON lines. */
  readonly cachePath: string;
  /** What the model is asked; `{class}` and `{modality}` are replaced. */
  readonly prompt?: string;
  /** What the model is told before; null (default) tells it nothing. */
  readonly instruction?: string | null;
};

/** The paper asks for a general description of the organ or disease; its words are not known. */
export const KNOWLEDGE_PROMPT =
  'Describe {class} in {modality} images of adults for someone who must find and outline it: location, shape, size, appearance in this modality, and how these vary. One paragraph of plain text, at most 90 words, no introduction.';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Throws UnansweredError when the model declines. `close` it. */
export function endpointKnowledge(options: EndpointKnowledgeOptions): KnowledgeProvider & { close(): void } {
  const client = new ChatClient(options);
  const { prompt: template = KNOWLEDGE_PROMPT, instruction = null, model, cachePath } = options;
  const identity = sha256(
    JSON.stringify(['endpoint knowledge 2', chatIdentity(options), instruction, template]),
  );
  const store = JsonlStore.open<KnowledgeLine>(cachePath, { ...KNOWLEDGE_FILE, key: keyOf, fsync: 'each' });
  const knowledge = async (
    { className, modality }: KnowledgeSubject,
    signal: AbortSignal,
  ): Promise<Knowledge> => {
    const known = store.get(keyOf({ class: className, modality, identity }));
    if (known !== undefined) return knowledgeOf(known);
    const prompt = template
      .replaceAll('{class}', () => plainName(className))
      .replaceAll('{modality}', () => modality);
    const told: ChatMessage[] = instruction === null ? [] : [{ role: 'system', content: instruction }];
    const reply = await client.ask([...told, { role: 'user', content: prompt }], signal);
    const source = {
      provider: 'endpoint',
      endpoint: client.address.baseUrl,
      leavesMachine: !client.address.isLocal,
      model,
      servedModel: reply.servedModel,
      prompt,
      ...(instruction !== null && { instruction }),
      finish: reply.finish,
      at: new Date().toISOString(),
      hash: sha256(reply.text),
    };
    store.append({ class: className, modality, text: reply.text, source, identity });
    return { text: reply.text, source };
  };
  return { name: 'endpoint', identity, knowledge, close: () => store.close() };
}
