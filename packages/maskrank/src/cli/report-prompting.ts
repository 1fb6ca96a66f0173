// What `maskrank prompt` left in a run, for the report: counts, quality, the contact sheet, words. Nothing where saliency made no
// prompt. Not here: how it looks (evaluation/report/sections/prompting.ts).

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PromptingFacts, PromptQualityRow } from '../evaluation/report/input.ts';
import type { Evaluation } from '../evaluation/schema.ts';
import { countPrompts } from '../pipeline/prompt/counts.ts';
import type { QualityReport } from '../pipeline/prompt/finish.ts';
import { readPrompts } from '../prompting/prompt-store.ts';
import { readJson } from '../run/files.ts';
import type { RunPaths } from '../run/run-folder.ts';

/** Texts shown of each class. */
const EXAMPLES = 2;

export function promptingOf(
  dir: string,
  { prompts }: Pick<RunPaths, 'prompts'>,
  { dataset }: Evaluation,
): { prompting?: PromptingFacts } {
  if (!existsSync(prompts)) return {};
  const lines = [...readPrompts(prompts).values()].filter(
    ({ provenance }) => provenance.source === 'saliency',
  );
  if (lines.length === 0) return {};
  const byClass = dataset.classes.map(({ id, name }) => ({
    name,
    own: lines.filter((line) => line.class === id),
  }));
  return {
    prompting: {
      classes: countPrompts(lines, dataset.classes, 0).map((counts, c) => ({
        ...counts,
        knowledge: byClass[c]?.own.filter(({ text }) => text?.knowledge !== undefined).length ?? 0,
      })),
      quality: qualityOf(join(dir, 'prompt-quality.json')),
      ...sheetOf(join(dir, 'prompt-preview.png')),
      texts: byClass.flatMap(({ name, own }) =>
        own
          .filter(({ text }) => text !== undefined)
          .slice(0, EXAMPLES)
          .map(({ case: id, text: { answer, knowledge } = {} }) => ({
            case: id,
            class: name,
            ...(answer !== undefined && { answer }),
            ...(knowledge !== undefined && { knowledge }),
          })),
      ),
    },
  };
}

function qualityOf(path: string): PromptQualityRow[] {
  if (!existsSync(path)) return [];
  const { rows } = readJson(path, 'quality of the prompts') as QualityReport;
  return rows.flatMap(({ split, name, prompts }) =>
    Object.entries(prompts)
      .filter(([, { cases }]) => cases > 0)
      .map(([source, { cases, boxIou, boxIou50, boxHit, pointPrecision }]) => ({
        split,
        class: name,
        source,
        cases,
        boxIou,
        boxIou50,
        boxHit,
        pointPrecision,
      })),
  );
}

function sheetOf(path: string): Pick<PromptingFacts, 'sheet'> {
  if (!existsSync(path)) return {};
  const png = readFileSync(path);
  // Width and height stand in the PNG's first chunk.
  return { sheet: { png, width: png.readUInt32BE(16), height: png.readUInt32BE(20) } };
}
