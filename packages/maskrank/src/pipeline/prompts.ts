// Prompts of a run's units: read from RUN/prompts.jsonl where they stand there, made and written where they don't.
// Prompts are made in pixels of the original image and belong to a case and class, not to a stage: all stages get the same.

import { createHash } from 'node:crypto';
import { noGrad, tidy } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import type { EmbeddingCache } from '../alignment/embeddings.ts';
import type { LabelledCase } from '../datasets/cases.ts';
import { boxesOfComponents } from '../imaging/boxes.ts';
import { boxToOriginal, pointToOriginal } from '../imaging/geometry.ts';
import { corePoints } from '../imaging/points.ts';
import type { Mask } from '../imaging/types.ts';
import { logitsToCanvas, pickBest, type Sam } from '../models/sam/index.ts';
import { collatePrompts, promptToCanvas } from '../prompting/collate.ts';
import { promptFromMask } from '../prompting/from-mask.ts';
import { NO_PROMPT, type Prompt, type PromptSource } from '../prompting/prompt.ts';
import { openPromptStore, promptKey, promptLine, promptOfLine } from '../prompting/prompt-store.ts';
import type { Config } from '../run/config.ts';
import { canonicalJson } from '../run/resolve.ts';
import { promptsTo } from '../training/batch.ts';
import { type Unit, unitKey } from '../training/units.ts';
import { Random } from '../util/random.ts';
import type { UnitTexts } from './text.ts';
import { fromMaskOptions, maxBoxes, type Workspace } from './workspace.ts';

/** What makes a prompt for a unit. */
export type PromptMaker = (unit: Unit) => Promise<Prompt>;

export type MakerInputs = {
  readonly workspace: Workspace;
  readonly config: Config;
  /** Cases with masks, by id: only for the sources `mask` and `oracle-box`. */
  readonly labelled?: ReadonlyMap<string, LabelledCase>;
  /** For `self`: the model and its embeddings. */
  readonly self?: { readonly sam: Sam; readonly embeddings: EmbeddingCache };
  /** For `self`: the text that the model is given beside its own boxes and points. */
  readonly texts?: UnitTexts | undefined;
};

function fromTruth(source: 'mask' | 'oracle-box', { workspace, config, labelled }: MakerInputs): PromptMaker {
  return async ({ caseId, classId }) => {
    const item = labelled?.get(caseId);
    if (item === undefined)
      throw new DataError(`case ${caseId}: source ${source} needs its mask, which this job was not given`);
    const cls = workspace.classes.find((c) => c.id === classId);
    if (cls === undefined) throw new DataError(`class ${classId} is not among the run's classes`);
    const mask = await workspace.dataset.loadMask(item, classId);
    const random = new Random(`${config.seed}/prompts/${caseId}/${classId}`);
    const options = fromMaskOptions(config, cls);
    // An empty prompt says that the class is not there; so there is a box even where the model has no slot for it.
    const boxes = options.boxes || options.points === 0;
    return { ...promptFromMask(mask, { ...options, boxes }, random), source };
  };
}

/** Low-resolution prediction of one unit as a mask on the canvas. */
function predictMask({ workspace, self, texts }: MakerInputs, unit: Unit, prompt: Prompt): Mask {
  const { caseId, classId } = unit;
  const { sam, embeddings } = self as NonNullable<MakerInputs['self']>;
  const { imageSize } = sam.config;
  const onCanvas = promptToCanvas(prompt, embeddings.geometry(caseId), texts?.of(caseId, classId));
  return tidy(() =>
    noGrad(() => {
      const tensors = promptsTo(collatePrompts([onCanvas], workspace.layout), workspace.device);
      const { masks } = pickBest(
        sam.decode(embeddings.tensor([caseId], workspace.device), tensors, { multimask: true }),
      );
      const data = logitsToCanvas(masks, imageSize).gt(0).toTypedArray() as Uint8Array;
      return { width: imageSize, height: imageSize, data };
    }),
  );
}

/** Predict without a prompt, box the prediction, and predict again as often as configured. */
function fromSelf(inputs: MakerInputs): PromptMaker {
  const { workspace, config, self } = inputs;
  if (self === undefined)
    throw new DataError('prompts from the model itself need a model: run stage 1 first');
  const { use, selfPasses } = config.prompts;
  const pointCount = use.includes('point') ? config.prompts.points : 0;
  return async (unit) => {
    const { caseId, classId } = unit;
    const cls = workspace.classes.find((c) => c.id === classId);
    const geometry = self.embeddings.geometry(caseId);
    const random = new Random(`${config.seed}/prompts/${caseId}/${classId}`);
    let prompt: Prompt = { ...NO_PROMPT, source: 'self' };
    for (let pass = 0; pass < selfPasses; pass++) {
      const mask = predictMask(inputs, unit, prompt);
      if (!mask.data.includes(1)) break; // nothing found: stays without a prompt, and evaluation counts it
      const boxes =
        use.includes('box') && cls !== undefined
          ? boxesOfComponents(mask, { maxComponents: maxBoxes(config, cls) })
          : [];
      const points = pointCount > 0 ? corePoints(mask, pointCount, random) : [];
      prompt = {
        boxes: boxes.map((box) => boxToOriginal(geometry, box)),
        points: points.map((point) => pointToOriginal(geometry, point)),
        source: 'self',
      };
    }
    return prompt;
  };
}

/** Makers by source; `file` and `saliency` have none: their prompts must be in the store. */
export const PROMPT_MAKERS: Readonly<Record<PromptSource, (inputs: MakerInputs) => PromptMaker>> = {
  mask: (inputs) => fromTruth('mask', inputs),
  'oracle-box': (inputs) => fromTruth('oracle-box', inputs),
  self: fromSelf,
  saliency:
    () =>
    async ({ caseId, classId }) => {
      throw new DataError(
        `prompts.jsonl has no prompt from saliency for case ${caseId}, class ${classId}; make them: maskrank prompt --run RUN`,
      );
    },
  none: () => async () => NO_PROMPT,
  file:
    () =>
    async ({ caseId, classId }) => {
      throw new DataError(
        `prompts.jsonl has no prompt for case ${caseId}, class ${classId}; add it, or choose another source with --prompts.unlabelled and --prompts.test`,
      );
    },
};

/** Lines that no job here can make again: they stay, whatever else is asked for. */
const IRREPLACEABLE: ReadonlySet<PromptSource> = new Set(['saliency', 'file']);

/**
 * The prompt of every unit, by `unitKey`. Lines of the store with the same source (and `madeBy`, where prompts depend on a
 * model) are taken as they are, by `file` any line, with the source that it names (a line drawn from a hidden mask stays marked
 * so). What is missing is made and appended, but where a line of `maskrank prompt` or of a person stands: then it is kept in
 * memory only.
 */
export async function ensurePrompts(
  path: string,
  units: readonly Unit[],
  source: PromptSource,
  inputs: MakerInputs,
  signal: AbortSignal,
  madeBy?: string,
): Promise<ReadonlyMap<string, Prompt>> {
  const make = PROMPT_MAKERS[source](inputs);
  const result = new Map<string, Prompt>();
  using store = openPromptStore(path);
  for (const unit of units) {
    signal.throwIfAborted();
    const line = store.get(promptKey({ case: unit.caseId, class: unit.classId }));
    const usable =
      line !== undefined &&
      (source === 'file' ||
        (line.provenance.source === source && (madeBy === undefined || line.provenance.madeBy === madeBy)));
    if (usable) {
      result.set(unitKey(unit.caseId, unit.classId), {
        ...promptOfLine(line),
        source: line.provenance.source,
      });
      continue;
    }
    const prompt = await make(unit);
    if (line === undefined || !IRREPLACEABLE.has(line.provenance.source))
      store.append(promptLine(unit.caseId, unit.classId, prompt, madeBy === undefined ? {} : { madeBy }));
    result.set(unitKey(unit.caseId, unit.classId), prompt);
  }
  return result;
}

/** Prompts that depend on the model that is being measured, not on the run: made in memory, never stored. */
export async function makePrompts(
  units: readonly Unit[],
  source: PromptSource,
  inputs: MakerInputs,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Prompt>> {
  const make = PROMPT_MAKERS[source](inputs);
  const result = new Map<string, Prompt>();
  for (const unit of units) {
    signal.throwIfAborted();
    result.set(unitKey(unit.caseId, unit.classId), await make(unit));
  }
  return result;
}

/** Prompts that were drawn from the very masks that the method may not see. */
export const isOracle = ({ source }: Pick<Prompt, 'source'>): boolean =>
  source === 'oracle-box' || source === 'mask';

/** What a stage that took prompts or texts from outside depends on: they may change between two commands. */
export function promptsHash(
  units: readonly Unit[],
  prompts: ReadonlyMap<string, Prompt> | undefined,
  texts: UnitTexts | undefined,
): string {
  const hash = createHash('sha256');
  for (const { caseId, classId } of units) {
    hash.update(canonicalJson([caseId, classId, prompts?.get(unitKey(caseId, classId)) ?? null]));
    for (const feature of texts?.of(caseId, classId) ?? []) {
      hash.update(feature === null ? 'none' : 'text');
      if (feature !== null)
        hash.update(new Uint8Array(feature.buffer, feature.byteOffset, feature.byteLength));
    }
  }
  return hash.digest('hex');
}
