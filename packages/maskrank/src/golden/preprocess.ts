// Fixture sammed2d_preprocess: normalisation in the loader's channel order, centred padding or nearest stretch, index maps.

import { createGeometry, imageToCanvas, maskToCanvas } from '../imaging/geometry.ts';
import { NORMALISATIONS } from '../imaging/normalise.ts';
import { nearestIndices } from '../imaging/resample.ts';
import type { Image, Mask } from '../imaging/types.ts';
import { compareElements, compareExact, need, numbers, under } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const IMAGE_TOLERANCE = { absolute: 1e-5, relative: 0 };

function checkCase(fixture: Fixture, key: string): CheckResult[] {
  const { img_size: side, pixel_mean: mean, pixel_std: std } = fixture.json.config;
  const { data, shape } = need(fixture, `in/${key}.image_bgr`);
  const [height, width] = shape as [number, number, number];
  const image: Image = { width, height, channels: 3, data: swapRedBlue(data as Uint8Array) };
  const mask: Mask = { width, height, data: need(fixture, `in/${key}.mask`).data as Uint8Array };
  const binary = { ...mask, data: mask.data.map((v) => (v > 0 ? 1 : 0)) };
  const geometry = createGeometry('sammed2d', image, side);
  const planes = imageToCanvas(geometry, image, { ...NORMALISATIONS.sammed2d, mean, std });
  return [
    compareElements(`${key}.image`, planes, numbers(fixture, `out/${key}.image`), IMAGE_TOLERANCE),
    compareExact(`${key}.mask`, maskToCanvas(geometry, binary).data, numbers(fixture, `out/${key}.mask`)),
  ];
}

function swapRedBlue(pixels: Uint8Array): Uint8Array {
  return pixels.map((_, i) => pixels[i - (i % 3) + 2 - (i % 3)]!);
}

function checkIndices(fixture: Fixture): CheckResult[] {
  return [...under(fixture, 'out/nearest_index.').keys()].map((name) => {
    const [source, target] = name.split('_to_').map(Number) as [number, number];
    const reference = numbers(fixture, `out/nearest_index.${name}`);
    return compareExact(`nearest index ${name}`, nearestIndices(source, target), reference);
  });
}

export const preprocess: GoldenCheck = {
  covers: (name) => name === 'sammed2d_preprocess',
  run: (fixture) => [
    ...Object.keys(fixture.json.cases).flatMap((key) => checkCase(fixture, key)),
    ...checkIndices(fixture),
  ],
};
