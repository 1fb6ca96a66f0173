// The units of a split with their prompts on the canvas, as stage 2 and the evaluation take them.

import type { EmbeddingCache } from '../alignment/embeddings.ts';
import type { AlignUnit } from '../alignment/policy.ts';
import type { LabelledCase } from '../datasets/cases.ts';
import { promptToCanvas, type TextFeatureRow } from '../prompting/collate.ts';
import type { Prompt, PromptSource } from '../prompting/prompt.ts';
import { type Unit, unitKey } from '../training/units.ts';
import type { UnitTexts } from './text.ts';
import type { Workspace } from './workspace.ts';

/** Every class of every case. */
export function allUnits({ classes }: Workspace, caseIds: readonly string[]): Unit[] {
  return caseIds.flatMap((caseId) => classes.map((cls) => ({ caseId, classId: cls.id })));
}

/** Sources that say by an empty prompt that the class is not in the image: such units are left out. Saliency only did not find it. */
const TELLS_ABSENCE: ReadonlySet<PromptSource> = new Set(['oracle-box', 'mask', 'file']);

/** In a file, a line with a text alone is a prompt; from masks, an absent class has a text too. */
function isAbsent({ source, boxes, points }: Prompt, text: TextFeatureRow | undefined): boolean {
  if (!TELLS_ABSENCE.has(source) || boxes.length + points.length > 0) return false;
  return source !== 'file' || !(text?.some((feature) => feature !== null) ?? false);
}

/** Units that can be worked on, with their prompts on the canvas. */
export function promptedUnits(
  units: readonly Unit[],
  prompts: ReadonlyMap<string, Prompt>,
  embeddings: Pick<EmbeddingCache, 'geometry'>,
  texts?: UnitTexts,
): AlignUnit[] {
  return units.flatMap(({ caseId, classId }) => {
    const prompt = prompts.get(unitKey(caseId, classId)) as Prompt;
    const text = texts?.of(caseId, classId);
    if (isAbsent(prompt, text)) return [];
    return [{ caseId, classId, prompt: promptToCanvas(prompt, embeddings.geometry(caseId), text) }];
  });
}

/** Labelled cases by id. */
export const byId = (cases: readonly LabelledCase[]): ReadonlyMap<string, LabelledCase> =>
  new Map(cases.map((item) => [item.id, item]));
