// Captions of cases and what they claim. DATASET/language.jsonl has, a case a line, several wordings of one description, and questions
// with answers. A caption claims the classes that it names (all of the image, if it names none) and every answer whose words
// stand in it; so one can tell whether it is also true of another image, whose answers are known as well.
// Not here: texts made from labels (texts.ts).

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { LANGUAGE_FILE } from '../../datasets/phantoms/dataset.ts';
import type { DatasetClass } from '../../datasets/schema.ts';
import { readJsonl } from '../../run/jsonl.ts';
import { lineParser } from '../../run/parse-line.ts';
import type { ImageFacts } from './facts.ts';

const words = z.string().trim().min(1);
const line = z.object({
  case: z.string().min(1),
  captions: z.array(words),
  questions: z.array(z.object({ kind: words, classId: z.int(), answer: words })),
});

/** Captions and answers of a case. */
export type CaseLanguage = z.infer<typeof line>;

/** Language by case id; empty where the dataset has none. */
export function readCaptions(dir: string): ReadonlyMap<string, CaseLanguage> {
  const path = join(dir, LANGUAGE_FILE);
  if (!existsSync(path)) return new Map();
  const { entries } = readJsonl(path, { what: 'file of captions', parse: lineParser(line) });
  return new Map(entries.map((entry) => [entry.case, entry]));
}

/** A claim by an answer: `location of liver=in the upper left of the image`. */
const claimOf = (kind: string, name: string, answer: string): string => `${kind} of ${name}=${answer}`;

/** The facts with what is said of the case. Answers that only agree or disagree say nothing by themselves. */
export function withCaptions(
  facts: ImageFacts,
  { captions, questions }: CaseLanguage,
  classes: readonly DatasetClass[],
): ImageFacts {
  const names = new Map(classes.map(({ id, name }) => [id, name]));
  const answers = questions
    .filter(({ answer }) => !/^(yes|no)$/i.test(answer))
    .map(({ kind, classId, answer }) => ({
      answer,
      claim: claimOf(kind, names.get(classId) ?? `${classId}`, answer),
    }));
  return {
    ...facts,
    told: [...new Set(answers.map(({ claim }) => claim))],
    captions: captions.map((text) => {
      const named = facts.present.filter((cls) => says(text, cls.name));
      const shown = named.length > 0 ? named : facts.present;
      return {
        text,
        claims: [
          `modality=${facts.modality}`,
          ...(facts.present.length > 0
            ? shown.map(({ name }) => `class=${name}`)
            : facts.missing.map(({ name }) => `no=${name}`)),
          ...new Set(answers.filter(({ answer }) => says(text, answer)).map(({ claim }) => claim)),
        ],
      };
    }),
  };
}

/** Whether these words stand in a text, in any case; a plural is the same word. */
const says = (text: string, phrase: string): boolean =>
  ` ${text} `.toLowerCase().includes(` ${phrase.toLowerCase()}`);

const TOLD = /^\S+ of (.+?)=/;

/** Whether an answer's claim may hold of an image that shows the class but was not asked this. */
export function mayHold(
  claim: string,
  { present, told = [] }: Pick<ImageFacts, 'present' | 'told'>,
): boolean {
  const [head, name] = TOLD.exec(claim) ?? [];
  if (head === undefined) return false;
  return present.some((cls) => cls.name === name) && !told.some((known) => known.startsWith(head));
}
