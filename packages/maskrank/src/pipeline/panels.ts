// Pictures for the report: the cases that stage 2 changed for the best, the least and the worst, with the contours of truth and
// stages, and the four candidates that the run's generator makes there, ranked as its virtual annotator would. RUN/panels.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@maskrank/torch/io';
import { maskIou } from '../alignment/annotators/oracle.ts';
import { bestFirst } from '../alignment/coefficients.ts';
import type { EmbeddingCache } from '../alignment/embeddings.ts';
import type { AlignUnit } from '../alignment/policy.ts';
import { candidateMask } from '../alignment/proposals/candidates.ts';
import { propose } from '../alignment/proposals/round.ts';
import { CONTOUR_COLOURS } from '../evaluation/report/contours.ts';
import type { CaseResult } from '../evaluation/schema.ts';
import { encodePng, readMask } from '../formats/raster.ts';
import { maskToOriginal } from '../imaging/geometry.ts';
import { type Colour, drawOverlay } from '../imaging/overlay.ts';
import type { Image, Mask } from '../imaging/types.ts';
import type { LoadedModel } from './model.ts';
import type { JobContext, Workspace } from './workspace.ts';

/** Longer side of a picture, px: small enough for a page with dozens. */
const SIDE = 240;

/** One picture of RUN/panels and what it shows. */
export type PanelFile = { readonly file: string; readonly width: number; readonly height: number };
export type PanelRecord = {
  readonly role: 'best' | 'median' | 'worst';
  readonly case: string;
  readonly class: number;
  readonly image: PanelFile;
  readonly groundTruth: PanelFile;
  readonly stage1?: PanelFile;
  readonly stage2?: PanelFile;
  readonly candidates: readonly (PanelFile & {
    readonly rank: number;
    readonly iou: number;
    readonly made: string;
  })[];
};
export type PanelIndex = { readonly schemaVersion: 1; readonly panels: readonly PanelRecord[] };

type Choice = { readonly role: PanelRecord['role']; readonly case: string; readonly class: number };

/** The two best, the middle and the two worst changes of Dice (or values, where there is no stage 2). */
export function chooseCases(results: readonly CaseResult[]): Choice[] {
  const diceOf = (stage: string) =>
    new Map(
      results
        .filter((r) => r.stage === stage && r.dice !== null)
        .map((r) => [`${r.case}\u0000${r.class}`, r]),
    );
  const first = diceOf('stage1');
  const second = diceOf('stage2');
  const scored = [...first].map(([key, r]) => {
    const after = second.get(key)?.dice;
    return {
      case: r.case,
      class: r.class,
      value: second.size === 0 ? (r.dice as number) : (after ?? 0) - (r.dice as number),
    };
  });
  const sorted = scored.sort((a, b) => b.value - a.value || a.case.localeCompare(b.case));
  const middle = Math.floor(sorted.length / 2);
  const picks: [PanelRecord['role'], number][] = [
    ['best', 0],
    ['best', 1],
    ['median', middle],
    ['worst', sorted.length - 2],
    ['worst', sorted.length - 1],
  ];
  const seen = new Set<number>();
  return picks.flatMap(([role, i]) => {
    const chosen = sorted[i];
    if (chosen === undefined || seen.has(i)) return [];
    seen.add(i);
    return [{ role, case: chosen.case, class: chosen.class }];
  });
}

export type PanelInputs = {
  readonly results: readonly CaseResult[];
  readonly stage1: LoadedModel;
  readonly embeddings: EmbeddingCache;
  /** Prompted units of the evaluated cases. */
  readonly units: readonly AlignUnit[];
  /** Path of a stage's mask of a case and class. */
  readonly predictionPath: (stage: string, classId: number, caseId: string) => string;
};

/** Draws the panels and writes them with their index; the index comes last, so a stopped run leaves the old one. */
export async function writePanels(
  context: JobContext,
  workspace: Workspace,
  inputs: PanelInputs,
): Promise<void> {
  const dir = join(context.run.dir, 'panels');
  mkdirSync(dir, { recursive: true });
  const stages = new Set(inputs.results.map((r) => r.stage));
  const panels: PanelRecord[] = [];
  for (const [i, choice] of chooseCases(inputs.results).entries()) {
    const [item] = workspace.dataset.labelled([choice.case]);
    if (item === undefined) continue;
    const image = await workspace.dataset.loadImage(item);
    const truth = await workspace.dataset.loadMask(item, choice.class);
    const save = async (name: string, masks: readonly (readonly [Mask, Colour])[]): Promise<PanelFile> => {
      const picture: Image = drawOverlay(
        image,
        masks.map(([mask, colour]) => ({ kind: 'mask', mask, colour, opacity: 0.12, contourPx: 2 })),
        { longestSidePx: SIDE },
      );
      const file = `${i}-${name}.png`;
      await writeFileAtomic(join(dir, file), [await encodePng(picture)]);
      return { file, width: picture.width, height: picture.height };
    };
    const predicted = async (stage: 'stage1' | 'stage2') =>
      stages.has(stage)
        ? {
            [stage]: await save(stage, [
              [truth, CONTOUR_COLOURS.groundTruth],
              [
                await readMask(inputs.predictionPath(stage, choice.class, choice.case)),
                CONTOUR_COLOURS[stage],
              ],
            ]),
          }
        : {};
    panels.push({
      ...choice,
      image: await save('image', []),
      groundTruth: await save('truth', [[truth, CONTOUR_COLOURS.groundTruth]]),
      ...(await predicted('stage1')),
      ...(await predicted('stage2')),
      candidates: await candidatePictures(context, workspace, inputs, choice, truth, save),
    });
  }
  const index: PanelIndex = { schemaVersion: 1, panels };
  await writeFileAtomic(join(dir, 'panels.json'), `${JSON.stringify(index, null, 2)}\n`);
}

async function candidatePictures(
  { config, signal }: JobContext,
  workspace: Workspace,
  { stage1, embeddings, units }: PanelInputs,
  choice: Choice,
  truth: Mask,
  save: (name: string, masks: readonly (readonly [Mask, Colour])[]) => Promise<PanelFile>,
): Promise<PanelRecord['candidates']> {
  const unit = units.find((u) => u.caseId === choice.case && u.classId === choice.class);
  const { generator } = config.alignment.proposals;
  if (unit === undefined || generator === 'views') return []; // views need other embeddings than those at hand
  const policy = { sam: stage1.sam, embeddings, layout: workspace.layout, device: workspace.device };
  const [proposal] = propose([unit], {
    policy,
    options: config.alignment.proposals,
    round: 0,
    seed: config.seed,
    signal,
  });
  if (proposal === undefined) return [];
  const geometry = embeddings.geometry(choice.case);
  const masks = proposal.candidates.bits.map((_, k) =>
    maskToOriginal(geometry, candidateMask(proposal.candidates, k)),
  );
  const ious = masks.map((mask) => maskIou(mask, truth));
  const pictures: PanelRecord['candidates'][number][] = [];
  for (const [rank, k] of bestFirst(ious).entries()) {
    const picture = await save(`candidate-${rank + 1}`, [[masks[k] as Mask, CONTOUR_COLOURS.candidate]]);
    pictures.push({ ...picture, rank: rank + 1, iou: ious[k] as number, made: `${generator} ${k + 1}` });
  }
  return pictures;
}
