// Fixture saliency_morphology: connected components, structuring elements, morphology, holes, distances, Otsu.

import { boxOfMask } from '../imaging/boxes.ts';
import { type Components, type Connectivity, keepLargest, labelComponents } from '../imaging/components.ts';
import { squaredDistanceTransform } from '../imaging/distance-transform.ts';
import {
  close,
  dilate,
  ELEMENTS,
  erode,
  fillHoles,
  invert,
  open,
  type StructuringElement,
} from '../imaging/morphology.ts';
import { otsuMask, otsuThreshold } from '../imaging/otsu.ts';
import type { Box, Mask } from '../imaging/types.ts';
import { compareElements, compareExact, need, numbers } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const REAL = { absolute: 1e-4, relative: 0 };

const KERNELS: Readonly<Record<string, StructuringElement>> = {
  square3: ELEMENTS.square(3),
  cross3: ELEMENTS.cross(3),
  ellipse5: ELEMENTS.ellipse(5),
};
const OPERATIONS = { erode, dilate, open, close };

const asMask = (fixture: Fixture, name: string): Mask => {
  const { data, shape } = need(fixture, name);
  const [height, width] = shape as [number, number];
  return { width, height, data: data as Uint8Array };
};
const corners = ({ x0, y0, x1, y1 }: Box): number[] => [x0, y0, x1, y1];

function checkComponents(
  fixture: Fixture,
  key: string,
  mask: Mask,
  connectivity: Connectivity,
): CheckResult[] {
  const labelled: Components = labelComponents(mask, connectivity);
  const { components } = labelled;
  const reference = (name: string) => numbers(fixture, `out/${key}.${name}`);
  const exact: Record<string, ArrayLike<number>> = {
    [`labels${connectivity}`]: labelled.labels,
    [`areas${connectivity}`]: components.map(({ areaPx }) => areaPx),
    [`boxes${connectivity}_x0y0x1y1_exclusive`]: components.flatMap(({ box }) => corners(box)),
    [`largest${connectivity}`]: keepLargest(mask, 1, { connectivity }).data,
    [`top3_${connectivity}`]: keepLargest(mask, 3, { connectivity }).data,
  };
  const centroids = components.flatMap(({ centroid }) => [centroid.y, centroid.x]);
  const name = `centroids${connectivity}_yx`;
  return [
    compareExact(
      `${key}.n${connectivity}`,
      [components.length],
      [fixture.json.config[key][`n${connectivity}`]],
    ),
    ...Object.entries(exact).map(([what, got]) => compareExact(`${key}.${what}`, got, reference(what))),
    compareElements(`${key}.${name}`, centroids, reference(name), REAL),
  ];
}

/** Rows [x, y, w, h, area] as a sorted list: the order of equal areas is the reference's own. */
function checkStatistics(fixture: Fixture, key: string, mask: Mask): CheckResult {
  const name = `out/${key}.cv2_stats_sorted_by_area_xywha`;
  const flat = Array.from(numbers(fixture, name));
  const expected = Array.from({ length: flat.length / 5 }, (_, i) => flat.slice(5 * i, 5 * i + 5));
  const got = labelComponents(mask, 8).components.map(({ box, areaPx }) => [
    box.x0,
    box.y0,
    box.x1 - box.x0,
    box.y1 - box.y0,
    areaPx,
  ]);
  const order = (a: number[], b: number[]): number => {
    const k = a.findIndex((v, i) => v !== b[i]);
    return k < 0 ? 0 : a[k]! - b[k]!;
  };
  return compareExact(name, got.sort(order).flat(), expected.sort(order).flat());
}

function checkShapes(fixture: Fixture, key: string, mask: Mask): CheckResult[] {
  const ours: Record<string, Mask> = {
    fill_holes: fillHoles(mask),
    scipy_binary_erosion_square3: erode(mask, ELEMENTS.square(3), 'background'),
    medclipsamv2_top1: keepLargest(mask, 1, { ties: 'all' }),
    medclipsamv2_top2: keepLargest(mask, 2, { ties: 'all' }),
    otsu: otsuMask(asMask(fixture, `in/${key}.saliency_u8`)),
  };
  for (const [verb, operation] of Object.entries(OPERATIONS)) {
    for (const [kernel, element] of Object.entries(KERNELS))
      ours[`${verb}_${kernel}`] = operation(mask, element);
  }
  return Object.entries(ours).map(([name, { data }]) => {
    const reference = Array.from(numbers(fixture, `out/${key}.${name}`), (v) => (v > 0 ? 1 : 0));
    return compareExact(`${key}.${name}`, data, reference);
  });
}

function checkCase(fixture: Fixture, key: string): CheckResult[] {
  const mask = asMask(fixture, `in/${key}.mask`);
  const { otsu_threshold: threshold, bbox_inclusive_x0y0x1y1: bounds } = fixture.json.config[key];
  const saliency = need(fixture, `in/${key}.saliency_u8`).data as Uint8Array;
  const squares = squaredDistanceTransform(invert(mask).data, mask.width, mask.height);
  const box = boxOfMask(mask);
  const inclusive = box ? [box.x0, box.y0, box.x1 - 1, box.y1 - 1] : [];
  return [
    ...checkComponents(fixture, key, mask, 8),
    ...checkComponents(fixture, key, mask, 4),
    checkStatistics(fixture, key, mask),
    ...checkShapes(fixture, key, mask),
    compareElements(
      `${key}.distance_transform`,
      squares.map(Math.sqrt),
      numbers(fixture, `out/${key}.distance_transform`),
      REAL,
    ),
    compareExact(`${key}.otsu_threshold`, [otsuThreshold(saliency)], [threshold]),
    compareExact(`${key}.bbox`, inclusive, bounds ?? []),
  ];
}

export const morphology: GoldenCheck = {
  covers: (name) => name === 'saliency_morphology',
  run: (fixture) => [
    compareExact('kernel_cross3', KERNELS.cross3!.data, numbers(fixture, 'out/kernel_cross3')),
    compareExact('kernel_ellipse5', KERNELS.ellipse5!.data, numbers(fixture, 'out/kernel_ellipse5')),
    ...Object.keys(fixture.json.config).flatMap((key) => checkCase(fixture, key)),
  ],
};
