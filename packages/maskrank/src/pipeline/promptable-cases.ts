// Cases of a dataset with everything in them that can be asked for, on the canvas. Not here: prompts (training/promptable).

import type { LabelledCase, OpenDataset } from '../datasets/cases.ts';
import { createGeometry, maskToCanvas } from '../imaging/geometry.ts';
import { safePoint } from '../run/interrupt.ts';
import { type CanvasOptions, toCanvas } from '../training/canvas.ts';
import { type PromptableCase, type PromptableClass, promptableClass } from '../training/promptable/cases.ts';

/** A case; undefined where nothing in it can be asked for. */
async function loadCase(
  opened: OpenDataset,
  item: LabelledCase,
  source: number,
  options: CanvasOptions,
): Promise<PromptableCase | undefined> {
  const image = await opened.loadImage(item);
  const geometry = createGeometry(options.rule, image, options.imageSize);
  const classes: PromptableClass[] = [];
  for (const classId of item.maskPaths.keys()) {
    const mask = maskToCanvas(geometry, await opened.loadMask(item, classId));
    classes.push(...[promptableClass(classId, mask) ?? []].flat());
  }
  if (classes.length === 0) return undefined;
  return { caseId: item.id, source, canvas: toCanvas(image, options), classes };
}

/** The cases that something can be asked of, in the order of `ids`; `onCase` hears of every case that was read. */
export async function loadPromptable(
  opened: OpenDataset,
  ids: readonly string[],
  options: CanvasOptions & { readonly source: number; readonly signal: AbortSignal },
  onCase: () => void = () => {},
): Promise<PromptableCase[]> {
  const cases: PromptableCase[] = [];
  for (const item of opened.labelled(ids)) {
    await safePoint(options.signal);
    cases.push(...[(await loadCase(opened, item, options.source, options)) ?? []].flat());
    onCase();
  }
  return cases;
}
