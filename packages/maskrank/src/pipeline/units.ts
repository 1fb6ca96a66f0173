// The units of a split with their prompts on the canvas, as stage 2 and the evaluation take them.

import type { EmbeddingCache } from '../alignment/embeddings.ts';
import type { AlignUnit } from '../alignment/policy.ts';
import type { LabelledCase } from '../datasets/cases.ts';
import { promptToCanvas } from '../prompting/collate.ts';
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

/** Units that can be worked on, with their prompts on the canvas. */
export function promptedUnits(
  units: readonly Unit[],
  prompts: ReadonlyMap<string, Prompt>,
  embeddings: EmbeddingCache,
  texts?: UnitTexts,
): AlignUnit[] {
  return units.flatMap(({ caseId, classId }) => {
    const prompt = prompts.get(unitKey(caseId, classId)) as Prompt;
    if (TELLS_ABSENCE.has(prompt.source) && prompt.boxes.length + prompt.points.length === 0) return [];
    const onCanvas = promptToCanvas(prompt, embeddings.geometry(caseId), texts?.of(caseId, classId));
    return [{ caseId, classId, prompt: onCanvas }];
  });
}

/** Labelled cases by id. */
export const byId = (cases: readonly LabelledCase[]): ReadonlyMap<string, LabelledCase> =>
  new Map(cases.map((item) => [item.id, item]));
