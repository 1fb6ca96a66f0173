// The text of every prompt: answers about an image, and knowledge of a class, the same for all of its cases.
// Not here: who answers (providers.ts), what becomes of texts (../../prompting/text/encode.ts).

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type * as z from 'zod';
import { parseArtefact } from '../../datasets/artefact.ts';
import type { UnlabelledCase } from '../../datasets/cases.ts';
import type { DatasetClass } from '../../datasets/schema.ts';
import type { PromptLine } from '../../prompting/prompt-store.ts';
import { knowledgeRecordSchema } from '../../prompting/text/knowledge/recorded.ts';
import { tidyText } from '../../prompting/text/parts.ts';
import { questionFor } from '../../prompting/text/questions.ts';
import type { AnswerProvider, KnowledgeProvider, TextSource } from '../../prompting/text/types.ts';
import { UnansweredError } from '../../prompting/text/unanswered.ts';
import { readJson, writeJson } from '../../run/files.ts';
import { canonicalJson } from '../../run/resolve.ts';
import type { RunFolder } from '../../run/run-folder.ts';

/** A text and where it came from, as a line's provenance keeps it. */
export type SourcedText = {
  readonly text: string;
  readonly source: TextSource & { readonly identity: string };
};

/** What a case and class are told besides places. */
export type LineText = {
  /** Null where nobody was asked; `text` '' where nobody answered (the source says why). */
  readonly answer: SourcedText | null;
  readonly knowledge: SourcedText | null;
};

const hash = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex');

/** What an answer depends on. */
export const answerIdentity = (provider: AnswerProvider, question: string): string =>
  hash({ provider: provider.identity, question });

type KeptKnowledge = z.output<typeof knowledgeRecordSchema>['knowledge'][string];

/** RUN/knowledge.json: what the classes are described by. */
export const knowledgePath = (dir: string): string => join(dir, 'knowledge.json');

/**
 * The knowledge of every class, by its id; classes that nobody knows are left out, with a warning. It is asked for once in a
 * run and kept in RUN/knowledge.json: all parts of the work and every later command say the same.
 */
export async function gatherKnowledge(
  provider: KnowledgeProvider,
  { classes, modality }: { readonly classes: readonly DatasetClass[]; readonly modality: string },
  {
    run,
    warn,
    signal,
  }: { readonly run: RunFolder; readonly warn: (text: string) => void; readonly signal: AbortSignal },
): Promise<ReadonlyMap<number, SourcedText>> {
  const known = new Map<number, SourcedText>();
  for (const { id, name: className, prompts } of classes) {
    const about = { className, modality, prompts };
    const identity = hash({ provider: provider.identity, about });
    const kept = readKnowledge(run.dir)[String(id)];
    if (kept?.source.identity === identity) {
      known.set(id, sourced(kept));
      continue;
    }
    signal.throwIfAborted();
    const found = await provider.knowledge(about, signal).catch((error: unknown) => {
      if (error instanceof UnansweredError) return null;
      throw error;
    });
    if (found === null) {
      warn(`nobody knows the class '${className}' (${provider.name}): its prompts have no knowledge text`);
      continue;
    }
    const own = { text: tidyText(found.text), source: { ...found.source, identity } };
    known.set(id, await keepKnowledge(run, id, className, own));
  }
  return known;
}

function readKnowledge(dir: string): z.output<typeof knowledgeRecordSchema>['knowledge'] {
  const path = knowledgePath(dir);
  if (!existsSync(path)) return {};
  return parseArtefact(readJson(path, 'knowledge of the classes'), knowledgeRecordSchema, path).knowledge;
}

/**
 * Whoever comes first is believed: two parts of the work may have asked at the same time. Given back as the file has it, so that
 * the first command and those that read it later write the same lines.
 */
function keepKnowledge(
  run: RunFolder,
  id: number,
  className: string,
  own: SourcedText,
): Promise<SourcedText> {
  return run.exclusively(async () => {
    const all = readKnowledge(run.dir);
    if (all[String(id)]?.source.identity !== own.source.identity) {
      const knowledge = { ...all, [String(id)]: { className, ...own } };
      await writeJson(knowledgePath(run.dir), { schemaVersion: 1, knowledge });
    }
    return sourced(readKnowledge(run.dir)[String(id)] as KeptKnowledge);
  });
}

const sourced = ({ text, source }: KeptKnowledge): SourcedText => ({
  text,
  source: source as SourcedText['source'],
});

/** The answer about a case and class; its text is '' where the provider declines. */
export async function answerFor(
  provider: AnswerProvider,
  { id: caseId, imagePath }: UnlabelledCase,
  { cls, modality }: { readonly cls: DatasetClass; readonly modality: string },
  signal: AbortSignal,
): Promise<SourcedText> {
  const text = questionFor(cls, modality);
  const identity = answerIdentity(provider, text);
  const question = { caseId, classId: cls.id, className: cls.name, imagePath, text };
  try {
    const answer = await provider.answer(question, signal);
    return { text: tidyText(answer.text), source: { ...answer.source, identity } };
  } catch (error) {
    if (!(error instanceof UnansweredError)) throw error;
    return { text: '', source: { provider: provider.name, unanswered: error.reason, identity } };
  }
}

/** The fields of a line. */
export function textFields({ answer, knowledge }: LineText): Pick<PromptLine, 'text'> {
  const text = {
    ...(answer !== null && answer.text !== '' && { answer: answer.text }),
    ...(knowledge !== null && knowledge.text !== '' && { knowledge: knowledge.text }),
  };
  return Object.keys(text).length > 0 ? { text } : {};
}
