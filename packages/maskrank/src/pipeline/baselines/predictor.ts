// A baseline of a run for new images: they are cases of a dataset that has no masks, and go the way of the measured ones (masks.ts).
// Not here: their files (pipeline/predict.ts).

import { UsageError } from '@maskrank/torch/errors';
import type { UnlabelledCase } from '../../datasets/cases.ts';
import type { RunFolder } from '../../run/run-folder.ts';
import { CanvasCache } from '../../training/canvas.ts';
import { type GivenPrompts, isGiven, type NewImage, type Predictor } from '../predictor.ts';
import { type JobContext, openWorkspace } from '../workspace.ts';
import { masksOf } from './masks.ts';
import { baselinesOf, openBaseline } from './measure.ts';
import { type BaselineSetting, viewOf } from './method.ts';
import { type AnyBaseline, BASELINES } from './registry.ts';

/** Opens a baseline that was trained in the run. Throws UsageError where it takes no prompts and some are given. */
export async function openBaselinePredictor(
  context: JobContext,
  method: AnyBaseline,
  given: GivenPrompts,
): Promise<Predictor> {
  if (isGiven(given) && method.prompting === undefined)
    throw new UsageError(
      `predict: baseline ${method.name} looks at images alone, and prompts were given; leave --box and --prompts-file out.`,
    );
  const seen = await viewOf({ context, workspace: await openWorkspace(context) }, method);
  const { network, setting } = await openBaseline(context, seen, method);
  const isSpaced = seen.workspace.dataset.dataset.cases.some((one) => one.volume?.spacingMm !== undefined);
  return {
    classes: seen.workspace.classes,
    texts: [],
    masksOf: async function* (images) {
      const own = onImages(setting, images);
      const cases = images.map((image) => caseOf(image, isSpaced));
      const places = new Map(cases.map(({ id }, place) => [id, place]));
      const prompts = await method.prompting?.given(network, cases, own, given);
      for await (const found of masksOf(method, network, cases, own, prompts))
        yield {
          place: places.get(found.caseId) as number,
          class: found.classId,
          mask: found.mask,
          predictedIou: found.predictedIou ?? null,
          prompt: found.prompt.source,
          text: false,
        };
    },
    close: () => network.dispose(),
  };
}

/** The baseline of that name; throws UsageError where the run has none. */
export function baselineOf(run: RunFolder, name: string): AnyBaseline {
  const there = baselinesOf(run);
  const method = there.find((baseline) => baseline.name === name);
  if (method !== undefined) return method;
  const names = there.map((baseline) => baseline.name).join(', ') || 'none';
  throw new UsageError(
    BASELINES.some((baseline) => baseline.name === name)
      ? `predict: ${run.dir} has no baseline ${name}, it has: ${names}. Train it: maskrank baseline ${name} --run ${run.dir}`
      : `predict: '${name}' is no baseline; ${run.dir} has: ${names}.`,
  );
}

/** An image as a case. Where the run's slices have no spacing a new volume comes without, or it would be seen at another size. */
function caseOf({ name, path, volume }: NewImage, isSpaced: boolean): UnlabelledCase {
  const item = { kind: 'unlabelled', id: name, group: volume?.id ?? name, imagePath: path } as const;
  if (volume === undefined) return item;
  const { spacingMm: _, ...place } = volume;
  return { ...item, volume: isSpaced ? volume : place };
}

/** The setting with the images in place of the run's. */
function onImages(setting: BaselineSetting, images: readonly NewImage[]): BaselineSetting {
  const { workspace } = setting;
  const byName = new Map(images.map((image) => [image.name, image]));
  const loadImage = ({ id }: { readonly id: string }) => (byName.get(id) as NewImage).load();
  const dataset = { ...workspace.dataset, loadImage };
  const cache = new CanvasCache(dataset, workspace.canvas);
  return { ...setting, workspace: { ...workspace, dataset, cache }, images: 'new' };
}
