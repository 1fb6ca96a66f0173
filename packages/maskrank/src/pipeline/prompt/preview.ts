// RUN/prompt-preview.png: what was made of a few cases, a row each: the image, where the network looks for the class, the
// foreground and its regions, boxes and points. Made anew from the settings, so it shows every step between. No mask is read.
// Not here: drawing on images (imaging/overlay.ts).

import { join } from 'node:path';
import { writeFileAtomic } from '@maskrank/torch/io';
import sharp, { type OverlayOptions } from 'sharp';
import { COLOURS, type Colour, drawOverlay, type Layer, toRgb } from '../../imaging/overlay.ts';
import { resize } from '../../imaging/resample.ts';
import type { FloatMap, Image, Mask } from '../../imaging/types.ts';
import type { PromptLine } from '../../prompting/prompt-store.ts';
import type { Saliency } from '../../prompting/saliency/index.ts';
import { safePoint } from '../../run/interrupt.ts';
import { Random } from '../../util/random.ts';
import { madeBySaliency } from './counts.ts';
import type { PromptWork } from './job.ts';
import { caseMaps, classPrompt, type PromptedClass } from './prompter.ts';

/** Longer side of a picture, px. */
const SIDE = 220;
const GAP = 6;
const MARGIN = 12;
const CAPTION = 22;
const TITLE = 30;
const BACKGROUND = '#18181b';
const COLUMNS = ['image', 'saliency', 'foreground that was kept', 'boxes and points'] as const;

export type PreviewRow = {
  readonly caption: string;
  /** One for each of the columns, of equal size. */
  readonly tiles: readonly Image[];
};

/** Draws the sheet of `count` rows at most: a seeded choice of cases, whose classes take turns. Returns its path. */
export async function writePreview(
  work: PromptWork,
  lines: readonly PromptLine[],
  count: number,
): Promise<string> {
  const { context, workspace, prompter } = work;
  const rows: PreviewRow[] = [];
  const chosen = choose(work, lines, count);
  for (const { line, prompted, at } of chosen) {
    await safePoint(context.signal);
    const [item] = workspace.dataset.unlabelled([line.case]);
    if (item === undefined) continue;
    const image = await workspace.dataset.loadImage(item);
    const map = (await caseMaps(prompter, image, context.signal))[at] as Saliency;
    const { mask } = classPrompt(prompter, prompted, item.id, image, map);
    rows.push({ caption: captionOf(line, prompted), tiles: previewTiles(image, map.map, mask, line) });
    context.onProgress('preview', rows.length, chosen.length);
  }
  const path = join(context.run.dir, 'prompt-preview.png');
  const note = prompter.network.isRandom ? 'RANDOM WEIGHTS: these maps mean nothing' : '';
  await writeFileAtomic(path, [await previewSheet(rows, note)]);
  return path;
}

type Chosen = { readonly line: PromptLine; readonly prompted: PromptedClass; readonly at: number };

function choose(
  { context, prompter, cases }: PromptWork,
  lines: readonly PromptLine[],
  count: number,
): Chosen[] {
  const byCase = new Map<string, PromptLine[]>();
  for (const line of lines) {
    if (line.provenance.source !== 'saliency') continue;
    byCase.set(line.case, [...(byCase.get(line.case) ?? []), line]);
  }
  const ids = cases.map(({ id }) => id).filter((id) => byCase.has(id));
  const some = new Random(`${context.config.seed}/preview`).shuffle(ids).slice(0, count);
  const inOrder = ids.filter((id) => some.includes(id));
  return inOrder.flatMap((id, row) => {
    const own = byCase.get(id) as PromptLine[];
    const line = own[row % own.length] as PromptLine;
    const at = prompter.classes.findIndex(({ cls }) => cls.id === line.class);
    const prompted = prompter.classes[at];
    return prompted === undefined ? [] : [{ line, prompted, at }];
  });
}

function captionOf(line: PromptLine, { cls, phrases }: PromptedClass): string {
  const { sensitivity, fallback } = madeBySaliency(line);
  return [
    line.case,
    `${cls.name}: “${phrases[0]}”${phrases.length > 1 ? ` and ${phrases.length - 1} more` : ''}`,
    sensitivity === null ? '' : `sensitivity to the text ${sensitivity.toFixed(2)}`,
    fallback === null ? '' : `nothing found: ${fallback}`,
  ]
    .filter(Boolean)
    .join('  ·  ');
}

/** The four pictures of a row. */
export function previewTiles(
  image: Image,
  map: FloatMap,
  mask: Mask,
  { boxes, points }: Pick<PromptLine, 'boxes' | 'points'>,
): Image[] {
  const at = { longestSidePx: SIDE };
  const region: Layer = { kind: 'mask', mask, colour: COLOURS.sky, opacity: 0.35, contourPx: 2 };
  const prompt: Layer[] = [
    ...boxes.map((box): Layer => ({ kind: 'box', box, colour: COLOURS.orange, linePx: 2 })),
    ...points.map((point): Layer => ({ kind: 'point', point, colour: COLOURS.green, radiusPx: 4 })),
  ];
  const plain = drawOverlay(image, [], at);
  return [plain, heat(plain, map), drawOverlay(image, [region], at), drawOverlay(image, prompt, at)];
}

/** Dark to bright and cold to warm, even in lightness: readable in grey, too. */
const HEAT: readonly Colour[] = [
  [13, 8, 60],
  [94, 18, 110],
  [186, 54, 85],
  [240, 112, 32],
  [252, 190, 60],
  [252, 250, 165],
];

function heatColour(s: number): Colour {
  const place = Math.min(1, Math.max(0, s)) * (HEAT.length - 1);
  const i = Math.min(HEAT.length - 2, Math.floor(place));
  const [from, to] = [HEAT[i] as Colour, HEAT[i + 1] as Colour];
  const part = place - i;
  const mix = (c: 0 | 1 | 2) => from[c] + (to[c] - from[c]) * part;
  return [mix(0), mix(1), mix(2)];
}

/** The map in colours over the picture, the stronger the higher. */
function heat(picture: Image, map: FloatMap): Image {
  const { width, height } = picture;
  const small = resize(map, { width, height });
  const out = toRgb(picture);
  for (let i = 0; i < small.data.length; i++) {
    const s = small.data[i] as number;
    const opacity = 0.35 + 0.45 * s;
    const colour = heatColour(s);
    for (let c = 0; c < 3; c++) {
      const at = 3 * i + c;
      out.data[at] = (out.data[at] as number) * (1 - opacity) + (colour[c] as number) * opacity;
    }
  }
  return out;
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

type Caption = { readonly x: number; readonly y: number; readonly words: string; readonly fill: string };

/** Rows under each other with their captions and the columns' titles, as PNG. */
export async function previewSheet(rows: readonly PreviewRow[], note = ''): Promise<Uint8Array> {
  const cell = Math.max(1, ...rows.flatMap(({ tiles }) => tiles.map(({ width }) => width)));
  const width = 2 * MARGIN + COLUMNS.length * cell + (COLUMNS.length - 1) * GAP;
  const left = (column: number) => MARGIN + column * (cell + GAP);
  const captions: Caption[] = COLUMNS.map((words, c) => ({ x: left(c), y: 20, words, fill: '#fafafa' }));
  const layers: OverlayOptions[] = [];
  let y = TITLE;
  if (note !== '') {
    captions.push({ x: MARGIN, y: y + 12, words: note, fill: '#fb923c' });
    y += CAPTION;
  }
  for (const { caption, tiles } of rows) {
    captions.push({ x: MARGIN, y: y + 14, words: caption, fill: '#d4d4d8' });
    y += CAPTION;
    for (const [c, tile] of tiles.entries()) {
      const { width: w, height: h, data } = toRgb(tile);
      const place = left(c) + Math.floor((cell - w) / 2);
      layers.push({
        input: Buffer.from(data),
        raw: { width: w, height: h, channels: 3 },
        left: place,
        top: y,
      });
    }
    y += Math.max(...tiles.map(({ height }) => height)) + GAP;
  }
  const height = y + MARGIN - GAP;
  const words = captions.map(
    (one) =>
      `<text x="${one.x}" y="${one.y}" fill="${one.fill}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12">${escaped(one.words)}</text>`,
  );
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${words.join('')}</svg>`;
  return sharp({ create: { width, height, channels: 3, background: BACKGROUND } })
    .composite([...layers, { input: Buffer.from(svg), left: 0, top: 0 }])
    .removeAlpha()
    .png({ compressionLevel: 9 })
    .toBuffer();
}
