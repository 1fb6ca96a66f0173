// Fixture saliency_morphology once more, by the way that prompts go: regions kept from a foreground, their boxes, what an
// empty one gives, Otsu's foreground of a float map. The pieces themselves are compared in morphology.ts.

import type { FloatMap, LabelMap } from '../imaging/types.ts';
import { foregroundOf, promptFromLabels, REGION_PRESETS } from '../prompting/regions/index.ts';
import { Random } from '../util/random.ts';
import { checkFact, compareExact, need, numbers } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

function checkCase(fixture: Fixture, key: string): CheckResult[] {
  const { shape, data } = need(fixture, `in/${key}.mask`);
  const [height, width] = shape as [number, number];
  const labels: LabelMap = { width, height, data: data as Uint8Array };
  const areas = Array.from(numbers(fixture, `out/${key}.areas8`));
  const boxes = Array.from(numbers(fixture, `out/${key}.boxes8_x0y0x1y1_exclusive`));
  const preset = REGION_PRESETS['medclip-sam-v2'];

  const results = [1, 2].map((count) => {
    const options = { ...preset, keep: { ...preset.keep, maxRegions: count }, fallback: 'none' } as const;
    const { mask } = promptFromLabels(labels, 1, options, { random: new Random(key) });
    const reference = Array.from(numbers(fixture, `out/${key}.medclipsamv2_top${count}`), Number);
    return compareExact(
      `${key}: regions of the ${count} largest areas`,
      mask.data,
      reference.map((v) => (v > 0 ? 1 : 0)),
    );
  });

  const options = {
    ...REGION_PRESETS.paper,
    keep: { ...preset.keep, ties: 'first', maxRegions: 3 },
  } as const;
  const prompt = promptFromLabels(labels, 1, options, { random: new Random(key) });
  const ranked = [...areas.keys()].sort((a, b) => areas[b]! - areas[a]! || a - b).slice(0, 3);
  const expected =
    ranked.length === 0 ? [0, 0, width, height] : ranked.flatMap((i) => boxes.slice(4 * i, 4 * i + 4));
  const corners = prompt.boxes.flatMap(({ x0, y0, x1, y1 }) => [x0, y0, x1, y1]);
  results.push(compareExact(`${key}: boxes of the three largest`, corners, expected));
  const inside = prompt.points.every(({ x, y }) => prompt.mask.data[y * width + x] === 1);
  results.push(checkFact(`${key}: points inside the regions`, inside));
  results.push(
    checkFact(`${key}: a fallback where it is empty`, (prompt.fallback !== null) === (areas.length === 0)),
  );

  const bytes = need(fixture, `in/${key}.saliency_u8`).data as Uint8Array;
  const map: FloatMap = { width, height, data: Float32Array.from(bytes, (v) => v / 255) };
  const otsu = Array.from(numbers(fixture, `out/${key}.otsu`), (v) => (v > 0 ? 1 : 0));
  results.push(compareExact(`${key}: foreground by otsu`, foregroundOf(map, { kind: 'otsu' }).data, otsu));
  return results;
}

export const regions: GoldenCheck = {
  covers: (name) => name === 'saliency_morphology',
  run: (fixture) => Object.keys(fixture.json.config).flatMap((key) => checkCase(fixture, key)),
};
