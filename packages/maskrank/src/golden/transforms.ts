// Fixture sam_transforms: sizes, coordinates, boxes and images of SAM's ResizeLongestSide, and the pure parts of its mask
// generator.

import { boxOfMask } from '../imaging/boxes.ts';
import {
  boxToCanvas,
  createGeometry,
  longestSideSize,
  pointToCanvas,
  resampleImage,
} from '../imaging/geometry.ts';
import { cropBoxes, pointGrid, stabilityScore } from '../imaging/grid-prompts.ts';
import { resize } from '../imaging/resample.ts';
import { encodeRle } from '../imaging/rle.ts';
import type { Image, Mask } from '../imaging/types.ts';
import { compareElements, compareExact, need, numbers } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const COORDINATES = { absolute: 1e-3, relative: 0 };
const FLOAT_IMAGE = { absolute: 1e-3, relative: 0 };
// Tighter than the fixture's one grey level: the same fixed-point arithmetic as Pillow.
const BYTE_IMAGE = { absolute: 0, relative: 0 };

function checkCoordinates(fixture: Fixture): CheckResult[] {
  const target: number = fixture.json.config.target_length;
  const sizes = numbers(fixture, 'in/hw');
  const points = numbers(fixture, 'in/coords_xy');
  const boxes = numbers(fixture, 'in/boxes');
  const [shapes, gotPoints, gotBoxes]: [number[], number[], number[]] = [[], [], []];
  for (let i = 0; i < sizes.length / 2; i++) {
    const original = { height: sizes[2 * i]!, width: sizes[2 * i + 1]! };
    const { width, height } = longestSideSize(original, target);
    shapes.push(height, width);
    const geometry = createGeometry('longest-side', original, target);
    for (let k = i * 6; k < i * 6 + 6; k += 2) {
      const { x, y } = pointToCanvas(geometry, { x: points[k]!, y: points[k + 1]! });
      gotPoints.push(x, y);
    }
    for (let k = i * 8; k < i * 8 + 8; k += 4) {
      const box = { x0: boxes[k]!, y0: boxes[k + 1]!, x1: boxes[k + 2]!, y1: boxes[k + 3]! };
      const { x0, y0, x1, y1 } = boxToCanvas(geometry, box);
      gotBoxes.push(x0, y0, x1, y1);
    }
  }
  return [
    compareExact('preprocess_shape', shapes, numbers(fixture, 'out/preprocess_shape')),
    compareElements('coords_xy', gotPoints, numbers(fixture, 'out/coords_xy'), COORDINATES),
    compareElements('boxes', gotBoxes, numbers(fixture, 'out/boxes'), COORDINATES),
  ];
}

function checkImage(fixture: Fixture, key: string): CheckResult[] {
  const { data, shape } = need(fixture, `in/${key}`);
  const [height, width] = shape as [number, number, number];
  const image: Image = { width, height, channels: 3, data: data as Uint8Array };
  const geometry = createGeometry('longest-side', image, fixture.json.config.image_target_length);
  const bytes = resampleImage(geometry, image);
  const floats = resize({ width, height, data: Float32Array.from(image.data) }, bytes);
  const planes = Float32Array.from(floats.data, (_, i) => {
    const plane = bytes.width * bytes.height;
    return floats.data[(i % plane) * 3 + Math.floor(i / plane)]!;
  });
  return [
    compareElements(`${key}_pil`, bytes.data, numbers(fixture, `out/${key}_pil`), BYTE_IMAGE),
    compareElements(`${key}_torch`, planes, numbers(fixture, `out/${key}_torch`), FLOAT_IMAGE),
  ];
}

function checkMasks(fixture: Fixture): CheckResult[] {
  const [count, height, width] = need(fixture, 'in/masks').shape as [number, number, number];
  const logits = numbers(fixture, 'in/logits') as Float32Array;
  const all = need(fixture, 'in/masks').data as Uint8Array;
  const size = width * height;
  const masks: Mask[] = Array.from({ length: count }, (_, i) => ({
    width,
    height,
    data: all.subarray(i * size, (i + 1) * size),
  }));
  const boxes = masks.flatMap((mask) => {
    const box = boxOfMask(mask);
    return box ? [box.x0, box.y0, box.x1 - 1, box.y1 - 1] : [0, 0, 0, 0];
  });
  const scores = masks.map((_, i) =>
    stabilityScore({ data: logits.subarray(i * size, (i + 1) * size) }, 0, 1),
  );
  const runs = [...fixture.tensors.keys()].filter((name) => name.startsWith('out/rle'));
  return [
    compareExact('mask_boxes_xyxy', boxes, numbers(fixture, 'out/mask_boxes_xyxy')),
    compareElements('stability_score', scores, numbers(fixture, 'out/stability_score_thr0_off1'), {
      absolute: 1e-6,
      relative: 0,
    }),
    ...runs.map((name) => {
      const mask = masks[Number(/\d+/.exec(name)![0])]!;
      return compareExact(name, encodeRle(mask).counts, numbers(fixture, name));
    }),
  ];
}

function checkGrids(fixture: Fixture): CheckResult[] {
  const { point_grid_n_per_side: perSide, crop_boxes: crop } = fixture.json.config;
  const [height, width] = crop.image_hw;
  const crops = cropBoxes({ width, height }, crop.n_layers, crop.overlap_ratio);
  const corners = crops.flatMap(({ box }) => [box.x0, box.y0, box.x1, box.y1]);
  const grid = pointGrid(perSide).flatMap(({ x, y }) => [x, y]);
  return [
    compareElements('point_grid', grid, numbers(fixture, 'out/point_grid'), COORDINATES),
    compareExact('crop_boxes', corners, numbers(fixture, 'out/crop_boxes')),
    compareExact(
      'crop_layers',
      crops.map(({ layer }) => layer),
      numbers(fixture, 'out/crop_layers'),
    ),
  ];
}

export const transforms: GoldenCheck = {
  covers: (name) => name === 'sam_transforms',
  run: (fixture) => [
    ...checkCoordinates(fixture),
    ...['image0', 'image1', 'image2'].flatMap((key) => checkImage(fixture, key)),
    ...checkMasks(fixture),
    ...checkGrids(fixture),
  ],
};
