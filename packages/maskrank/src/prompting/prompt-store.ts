// RUN/prompts.jsonl: one line a case and class, in pixels of the original image, with where the prompt came from.
// Whoever makes prompts (masks, the model itself, saliency, a person) writes these lines; everything after reads them.

import { existsSync, readFileSync } from 'node:fs';
import { writeFileAtomic } from '@maskrank/torch/io';
import * as z from 'zod';
import { JsonlStore, readJsonl } from '../run/jsonl.ts';
import { lineParser } from '../run/parse-line.ts';
import type { Prompt, PromptSource } from './prompt.ts';

const PROMPT_SOURCES = [
  'mask',
  'oracle-box',
  'self',
  'saliency',
  'file',
  'none',
] as const satisfies readonly PromptSource[];

const coordinate = z.number();

export const promptLineSchema = z.strictObject({
  case: z.string().min(1),
  class: z.int().min(1),
  boxes: z.array(z.strictObject({ x0: coordinate, y0: coordinate, x1: coordinate, y1: coordinate })),
  points: z.array(
    z.strictObject({ x: coordinate, y: coordinate, label: z.union([z.literal(0), z.literal(1)]) }),
  ),
  text: z.strictObject({ answer: z.string().optional(), knowledge: z.string().optional() }).optional(),
  provenance: z.looseObject({ source: z.enum(PROMPT_SOURCES) }),
});

/** A line of prompts.jsonl: what is given for a case and class, in pixels of the original image, and where it came from. */
export type PromptLine = z.output<typeof promptLineSchema>;

/** Identity of a line. */
export const promptKey = (line: { readonly case: string; readonly class: number }): string =>
  `${line.case}\u0000${line.class}`;

const options = {
  what: 'prompt store',
  key: promptKey,
  parse: lineParser(promptLineSchema),
};

/** Opens the store of a run for one writer. */
export function openPromptStore(path: string): JsonlStore<PromptLine> {
  return JsonlStore.open(path, options);
}

/** Writes the file anew with exactly these lines, in this order; killed at any moment, the old or the new file stands. */
export async function replacePrompts(path: string, lines: Iterable<PromptLine>): Promise<void> {
  const text = [...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  await writeFileAtomic(path, text);
}

/** Every prompt of a file, by `promptKey`. */
export function readPrompts(path: string): ReadonlyMap<string, PromptLine> {
  return new Map(readJsonl(path, options).entries.map((line) => [promptKey(line), line]));
}

/** The line of a prompt. */
export function promptLine(
  caseId: string,
  classId: number,
  prompt: Prompt,
  details: Record<string, unknown> = {},
): PromptLine {
  return {
    case: caseId,
    class: classId,
    boxes: prompt.boxes.map((box) => ({ ...box })),
    points: prompt.points.map((point) => ({ ...point })),
    provenance: { source: prompt.source, ...details },
  };
}

/** The prompt of a line. */
export function promptOfLine(line: PromptLine): Prompt {
  return { boxes: line.boxes, points: line.points, source: line.provenance.source };
}
