// Metrics by volume: the masks of slices put together as the volume that they were cut from, and measured there, in millimetres
// where the spacing is known. Slices that nobody masked (no prompt said that the class is there) count as empty.
// Not here: masks of slices (evaluate.ts, baselines/measure.ts), the metrics (evaluation/measure.ts).

import type { LabelledCase, OpenDataset, UnlabelledCase } from '../datasets/cases.ts';
import type { SlicePlace } from '../datasets/schema.ts';
import { measure } from '../evaluation/measure.ts';
import { tolerance } from '../evaluation/metrics.ts';
import type { EmptiesPolicy } from '../evaluation/overlap.ts';
import type { CaseResult, Tolerance } from '../evaluation/schema.ts';
import { decodeRle, encodeRle, type RunLengths } from '../imaging/rle.ts';
import type { Mask } from '../imaging/types.ts';
import type { Config } from '../run/config.ts';
import type { Unit } from '../training/units.ts';

type AnyCase = LabelledCase | UnlabelledCase;
type SliceCase<C extends AnyCase> = C & { readonly volume: SlicePlace };

/** The slices of one volume, from the first to the last. */
export type SlicedVolume<C extends AnyCase = LabelledCase> = {
  readonly id: string;
  readonly group: string;
  readonly slices: readonly { readonly item: SliceCase<C>; readonly place: number }[];
  /** Places of slices along the volume; those that the dataset lacks stay empty. */
  readonly depth: number;
  readonly spacingMm: readonly [number, number, number] | undefined;
};

/** Cases that are slices, by volume in the order of the cases. */
export function volumesOf<C extends AnyCase>(cases: readonly C[]): SlicedVolume<C>[] {
  const byVolume = new Map<string, SliceCase<C>[]>();
  for (const item of cases) {
    if (item.volume === undefined) continue;
    const own = byVolume.get(item.volume.id) ?? [];
    own.push(item as SliceCase<C>);
    byVolume.set(item.volume.id, own);
  }
  return [...byVolume].map(([id, items]) => {
    const sorted = [...items].sort((a, b) => a.volume.slice - b.volume.slice);
    const [first] = sorted as [SliceCase<C>];
    const start = first.volume.slice;
    // Slices may be every second of a volume, or miss some: the largest step on which all of them lie.
    const step = sorted.reduce((divisor, { volume }) => gcd(divisor, volume.slice - start), 0) || 1;
    const slices = sorted.map((item) => ({ item, place: (item.volume.slice - start) / step }));
    const mm = first.volume.spacingMm;
    return {
      id,
      group: first.group,
      slices,
      depth: slices[slices.length - 1]!.place + 1,
      spacingMm: mm === undefined ? undefined : [mm[0] * step, mm[1], mm[2]],
    };
  });
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** Tolerances of surface Dice by volume: in mm where every volume has a spacing, else in voxels. */
export function volumeTolerances(
  { evaluation: { tolerancesMm, tolerancesPx } }: Pick<Config, 'evaluation'>,
  results: readonly { readonly spacingMm?: readonly number[] | undefined }[],
): Tolerance[] {
  const hasSpacing = results.every(({ spacingMm }) => spacingMm !== undefined);
  return hasSpacing
    ? tolerancesMm.map((value) => tolerance(value, 'mm'))
    : tolerancesPx.map((value) => tolerance(value, 'px'));
}

export type CollectedMask = Unit & { readonly mask: Mask; readonly prompt: CaseResult['prompt'] };

/** Keeps the masks of slices of one row of the table until their volumes are measured; nothing for cases that are no slices. */
export class VolumeMasks {
  readonly #volumes: readonly SlicedVolume[];
  readonly #members: ReadonlySet<string>;
  readonly #masks = new Map<string, { readonly runs: RunLengths; readonly prompt: CaseResult['prompt'] }>();

  constructor(cases: readonly LabelledCase[]) {
    this.#volumes = volumesOf(cases);
    this.#members = new Set(this.#volumes.flatMap(({ slices }) => slices.map(({ item }) => item.id)));
  }

  add({ caseId, classId, mask, prompt }: CollectedMask): void {
    if (this.#members.has(caseId)) this.#masks.set(`${caseId}/${classId}`, { runs: encodeRle(mask), prompt });
  }

  /** A record a volume and class that was masked or is there. Throws AbortError between volumes. */
  async measure(
    { loadMask }: Pick<OpenDataset, 'loadMask'>,
    options: {
      readonly stage: string;
      readonly classIds: readonly number[];
      readonly config: Pick<Config, 'evaluation'>;
      readonly empties: EmptiesPolicy;
      readonly signal: AbortSignal;
      readonly onProgress: (done: number, total: number) => void;
      readonly warn: (text: string) => void;
    },
  ): Promise<CaseResult[]> {
    const { stage, classIds, empties, signal } = options;
    const tolerances = volumeTolerances(options.config, this.#volumes);
    const results: CaseResult[] = [];
    for (const [i, volume] of this.#volumes.entries()) {
      for (const classId of classIds) {
        signal.throwIfAborted();
        const given = volume.slices.map(({ item }) => this.#masks.get(`${item.id}/${classId}`));
        const isThere = volume.slices.some(({ item }) => item.maskPaths.has(classId));
        if (!isThere && given.every((mask) => mask === undefined)) continue;
        const truth = await stackMasks(volume, ({ item }) => loadMask(item, classId));
        if (truth === undefined) {
          options.warn(
            `volume "${volume.id}": its slices differ in size, so it is measured by slice alone; leave odd ones out of the dataset.`,
          );
          break;
        }
        const found = await stackMasks(
          volume,
          (_, k) => {
            const runs = given[k]?.runs;
            return runs === undefined ? undefined : decodeRle(runs);
          },
          truth.shape,
        );
        const prompts = given.flatMap((mask) => (mask === undefined ? [] : [mask.prompt]));
        results.push({
          case: volume.id,
          group: volume.group,
          class: classId,
          stage,
          prompt: { source: prompts[0]?.source ?? 'none', oracle: prompts.some(({ oracle }) => oracle) },
          ...measure(truth, found!, {
            tolerances,
            empties,
            ...(volume.spacingMm === undefined ? {} : { spacingMm: volume.spacingMm }),
          }),
        });
      }
      options.onProgress(i + 1, this.#volumes.length);
    }
    return results;
  }
}

/** The masks of a volume's slices at their places; undefined where slices differ in size, or there is no mask and no known shape. */
export async function stackMasks(
  { slices, depth }: SlicedVolume,
  maskOf: (slice: SlicedVolume['slices'][number], k: number) => Promise<Mask> | Mask | undefined,
  known?: readonly number[],
): Promise<{ readonly shape: readonly number[]; readonly data: Uint8Array } | undefined> {
  let grid = known === undefined ? undefined : newGrid(known);
  for (const [k, slice] of slices.entries()) {
    const mask = await maskOf(slice, k);
    if (mask === undefined) continue;
    grid ??= newGrid([depth, mask.height, mask.width]);
    const [, height, width] = grid.shape;
    if (mask.height !== height || mask.width !== width) return undefined;
    grid.data.set(mask.data, slice.place * mask.data.length);
  }
  return grid;
}

const newGrid = (shape: readonly number[]) => ({
  shape,
  data: new Uint8Array(shape.reduce((product, n) => product * n, 1)),
});
