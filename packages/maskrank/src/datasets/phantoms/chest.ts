// Phantoms of frontal chest X-rays: a thorax projected as sums of absorption. Body outline, lungs as bodies of air whose
// depth grows from their rim, heart and great vessels, spine, ribs as rings seen from the front (back part, lateral
// turn, front part), clavicles, scapulae, branching vessels, disease, devices, then film response, collimation, markers.
// The lung mask follows the visible rim of the lungs, without heart, mediastinum, what lies below the diaphragm, and fluid.
// Not here: scatter, beam hardening, lateral views. Soft tissue, bones, disease, devices: chest-*.ts.

import type { Mask } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';
import { paintBody } from './chest-body.ts';
import { paintBones, paintVessels } from './chest-bones.ts';
import { paintDevices, paintMarkers } from './chest-devices.ts';
import { type Disease, diseaseWords, drawDisease, paintDisease } from './chest-disease.ts';
import { blur, blurWide } from './draw/blur.ts';
import type { Field } from './draw/field.ts';
import { degrade, toBytes } from './draw/finish.ts';
import { closedCurve, fillPolygon, type Vertex } from './draw/lines.ts';
import { whiteField } from './draw/noise.ts';
import { startPicture } from './draw/scratch.ts';
import { maskFacts } from './facts.ts';
import { type CaptionPart, captionsOf, factQuestions } from './language.ts';
import type { PhantomFamily, PhantomImage, PhantomQuestion } from './types.ts';

const IMAGE_WORDS = ['chest x-ray', 'frontal chest x-ray', 'chest radiograph'] as const;
const LUNG = 1;
const HEART = 2;
const OPACITY = 3;

export const chestPhantoms: PhantomFamily = {
  name: 'chest',
  modality: 'x-ray',
  classes: [
    { id: LUNG, name: 'lung', prompts: ['lungs', 'chest x-ray'], maxComponents: 2 },
    { id: HEART, name: 'heart', prompts: ['heart'], maxComponents: 1 },
    { id: OPACITY, name: 'opacity', prompts: ['lung opacity', 'lung infection'] },
  ],
  draw: drawChest,
};

/** Build of one person. */
export type ChestPatient = {
  readonly disease: Disease;
  /** Half-width of the ribcage at its widest, and of the shoulders, as shares of the picture's width. */
  readonly chestWidth: number;
  readonly bodyWidth: number;
  /** Height of apices and of the domes of the diaphragm, shares of the picture's height. */
  readonly apex: number;
  readonly dome: number;
  /** Size of the heart: 1 normal. */
  readonly heart: number;
  readonly female: boolean;
  readonly ribSlope: number;
  readonly fat: number;
};

function drawPatient(random: Random): ChestPatient {
  const disease = drawDisease(random.fork('disease'));
  return {
    disease,
    chestWidth: random.uniform(0.31, 0.4),
    bodyWidth: random.uniform(0.41, 0.54),
    apex: random.uniform(0.08, 0.2),
    dome: random.uniform(0.62, 0.86),
    heart: disease.kind === 'cardiomegaly' ? random.uniform(1.35, 1.7) : random.uniform(0.75, 1.2),
    female: random.chance(0.45),
    ribSlope: random.uniform(0.6, 1.4),
    fat: random.uniform(0, 1),
  };
}

/** From shares of an upright thorax to pixels: turn, zoom, shift. */
export type Pose = (x: number, y: number) => Vertex;

/** Everything that later layers ask for. */
export type Thorax = {
  readonly width: number;
  readonly height: number;
  /** Pixels per 1/256 of the longer side. */
  readonly unit: number;
  readonly pose: Pose;
  readonly patient: ChestPatient;
  /** Absorption; about 0 air, 1 the middle of the body. */
  readonly dense: Field;
  /** Right and left lung of the patient: the picture's left and right. */
  readonly lungs: readonly [Uint8Array, Uint8Array];
  /** Both. */
  readonly air: Uint8Array;
};

function drawChest(patientStream: Random, random: Random, sizePx: number): PhantomImage {
  const patient = drawPatient(patientStream);
  const aspect = random.chance(0.6) ? 1 : random.uniform(0.82, 1.22);
  const width = aspect >= 1 ? sizePx : Math.round(sizePx * aspect);
  const height = aspect >= 1 ? Math.round(sizePx / aspect) : sizePx;
  const unit = Math.max(width, height) / 256;
  const pose = drawPose(random.fork('pose'), width, height);
  startPicture(sizePx * sizePx);

  const shape = random.fork('shape');
  const outlines = ([-1, 1] as const).map((side) => lungOutline(shape, patient, side, pose));
  const lungs = outlines.map((outline) => filled(width, height, [outline])) as [Uint8Array, Uint8Array];
  const air = filled(width, height, outlines);
  const heart = filled(width, height, [outlineHeart(shape, patient, pose)]);
  for (const outline of outlines) fillPolygon(heart, width, height, outline, 0);

  const dense = paintBody(random.fork('body'), patient, pose, air, heart, width, height);
  const thorax: Thorax = { width, height, unit, pose, patient, dense, lungs, air };
  paintVessels(random.fork('vessels'), thorax);
  paintBones(random.fork('bones'), thorax);
  const lung = air.slice();
  const opacity = paintDisease(random.fork('disease'), thorax, lung);
  const device = paintDevices(random.fork('devices'), thorax);
  let grey = expose(random.fork('exposure'), dense, width, height);
  paintMarkers(random.fork('markers'), grey, width, height);
  grey = degrade(random.fork('degrade'), grey, width, height, {
    coarseChance: 0.15,
    sharpenChance: 0.35,
    blocksChance: 0.2,
  });

  const masks = new Map<number, Mask>();
  const addMask = (id: number, data: Uint8Array) => {
    if (data.includes(1)) masks.set(id, { width, height, data });
  };
  addMask(LUNG, lung);
  addMask(HEART, heart);
  addMask(OPACITY, opacity);
  return {
    image: { width, height, channels: 1, data: toBytes(grey) },
    masks,
    ...describe(random.fork('language'), patient, masks),
    tags: { pathology: patient.disease.kind, device },
  };
}

/** The mask of what some outlines hold. */
function filled(width: number, height: number, outlines: readonly Vertex[][]): Uint8Array {
  const data = new Uint8Array(width * height);
  for (const outline of outlines) fillPolygon(data, width, height, outline);
  return data;
}

function drawPose(random: Random, width: number, height: number): Pose {
  const angle = random.normal() * 0.035;
  const zoom = random.uniform(0.88, 1.12);
  const [sx, sy] = [zoom * random.uniform(0.94, 1.06), zoom];
  const shift = { x: 0.5 + random.normal() * 0.02, y: 0.48 + random.normal() * 0.03 };
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return (x, y) => {
    const dx = (x - 0.5) * sx;
    const dy = (y - 0.48) * sy;
    return { x: (shift.x + dx * c - dy * s) * width, y: (shift.y + dx * s + dy * c) * height };
  };
}

/** Rim of a lung, clockwise on the picture's left, from the apex; `side` -1 is the picture's left. */
function lungOutline(random: Random, patient: ChestPatient, side: -1 | 1, pose: Pose): Vertex[] {
  const { chestWidth: w, apex, heart } = patient;
  const dome = patient.dome + (side > 0 ? random.uniform(0, 0.035) : random.uniform(-0.015, 0.01));
  const span = dome - apex;
  const bulge = side > 0 ? 0.075 + 0.1 * (heart - 1) : 0.035 + 0.045 * (heart - 1);
  const knob = side > 0 ? 0.018 : 0;
  const angle = dome + random.uniform(0.03, 0.12);
  const inner = random.uniform(0.045, 0.075);
  // [distance from the midline, height], in shares.
  const rim: readonly (readonly [number, number])[] = [
    [0.5 * w, apex],
    [0.28 * w, apex + 0.045 * span],
    [inner + 0.012, apex + 0.17 * span],
    [inner + 0.004 + knob, apex + 0.32 * span],
    [inner + 0.01, apex + 0.45 * span],
    [inner + 0.01 + 0.35 * bulge, apex + 0.6 * span],
    [inner + bulge, apex + 0.78 * span],
    [inner + 1.1 * bulge, apex + 0.93 * span],
    [inner + 0.9 * bulge + 0.03, dome + random.uniform(0.005, 0.03)],
    [0.5 * w + 0.02, dome - random.uniform(0, 0.02)],
    [0.78 * w, dome + 0.2 * (angle - dome)],
    [0.97 * w, angle],
    [1.0 * w, dome - 0.08 * span],
    [0.97 * w, apex + 0.6 * span],
    [0.88 * w, apex + 0.33 * span],
    [0.72 * w, apex + 0.12 * span],
  ];
  const loose = 0.004;
  return closedCurve(
    rim.map(([d, y]) => pose(0.5 + side * (d + loose * random.normal()), y + loose * random.normal())),
  );
}

function outlineHeart(random: Random, patient: ChestPatient, pose: Pose): Vertex[] {
  const { heart: h, dome, apex } = patient;
  const span = dome - apex;
  const at = (dx: number, ty: number) =>
    pose(0.5 + dx + 0.004 * random.normal(), apex + ty * span + 0.004 * random.normal());
  return closedCurve([
    at(-0.02, 0.5),
    at(0.03, 0.47),
    at(0.075 + 0.05 * (h - 1), 0.58),
    at(0.13 + 0.1 * (h - 1), 0.76),
    at(0.155 + 0.12 * (h - 1), 0.92),
    at(0.11 + 0.1 * (h - 1), 1.02),
    at(0.02, 1.04),
    at(-0.06 - 0.04 * (h - 1), 1.0),
    at(-0.1 - 0.05 * (h - 1), 0.86),
    at(-0.08 - 0.04 * (h - 1), 0.68),
  ]);
}

/** Film response, local contrast, grain, collimation. */
function expose(random: Random, dense: Field, width: number, height: number): Field {
  const u = Math.max(width, height) / 256;
  const soft = blur(dense, width, height, random.uniform(0.3, 0.9) * u);
  const local = random.uniform(0, 1.3);
  const far = blurWide(soft, width, height, random.uniform(8, 22) * u);
  const black = random.uniform(-0.02, 0.1);
  const white = random.uniform(0.84, 1.2);
  const gamma = random.uniform(0.5, 1.15);
  const knee = random.uniform(0, 0.8);
  const lift = random.uniform(0, 0.08);
  const grain = random.uniform(0.003, 0.022);
  const noise = whiteField(random, width, height);
  const noiseSoft = random.chance(0.6) ? blur(noise, width, height, 0.5 * u) : noise;
  const negative = random.chance(0.02);
  const shade = random.chance(0.4) ? random.uniform(-0.25, 0.25) : 0;
  const table = Float32Array.from({ length: 1025 }, (_, k) => {
    const v = (k / 1024) ** gamma;
    const s = v * v * (3 - 2 * v);
    const out = lift + (1 - lift) * (v + knee * (s - v)) * 0.97;
    return negative ? 1 - out : out;
  });
  const frame = random.chance(0.3) ? Array.from({ length: 4 }, () => random.uniform(-0.03, 0.05)) : undefined;
  const frameValue = random.chance(0.8) ? random.uniform(0, 0.05) : random.uniform(0.9, 1);
  const scale = 1024 / (white - black);
  const bent = (1024 * shade) / width;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const near = soft[i]!;
      const k = (near + local * (near - far[i]!) - black) * scale + bent * (x - 0.5 * width);
      soft[i] = table[k <= 0 ? 0 : k >= 1024 ? 1024 : k | 0]! + grain * noiseSoft[i]!;
    }
  }
  if (frame !== undefined) {
    const [top, bottom, left, right] = frame as [number, number, number, number];
    for (let y = 0, i = 0; y < height; y++) {
      const out = y < top * height || y >= (1 - bottom) * height;
      for (let x = 0; x < width; x++, i++)
        if (out || x < left * width || x >= (1 - right) * width) soft[i] = frameValue;
    }
  }
  return soft;
}

/** Words for the picture. */
function describe(random: Random, patient: ChestPatient, masks: ReadonlyMap<number, Mask>) {
  const image = random.choice(IMAGE_WORDS);
  const questions: PhantomQuestion[] = [];
  const parts: CaptionPart[] = [];
  const opacity = masks.get(OPACITY);
  const opacityFacts = opacity && maskFacts(opacity);
  const words = diseaseWords(patient.disease, opacityFacts);
  const nouns = [
    { classId: LUNG, noun: 'lungs', plural: true },
    { classId: HEART, noun: 'heart' },
    { classId: OPACITY, noun: patient.disease.kind === 'nodule' ? 'nodule' : 'opacity' },
  ];
  for (const noun of nouns) {
    const mask = masks.get(noun.classId);
    const facts = mask && maskFacts(mask);
    if (facts === undefined) continue;
    questions.push(...factQuestions(random, facts, { ...noun, image }));
    if (noun.classId === LUNG || (noun.classId === OPACITY && random.chance(0.7)) || random.chance(0.2))
      parts.push({ facts, ...noun });
  }
  const ask = (classId: number, question: string, answer: string) =>
    questions.push({ kind: 'condition', classId, question, answer });
  ask(LUNG, random.choice(['What is the condition of the lungs?', 'How are the lungs?']), words.lungs);
  ask(
    LUNG,
    'What is the condition of the lungs in this chest x-ray, and where are the pathologies located?',
    words.full,
  );
  ask(LUNG, 'Is there a pleural effusion?', patient.disease.kind === 'effusion' ? 'yes' : 'no');
  ask(
    OPACITY,
    random.choice(['Is there an opacity in the lungs?', 'Is an opacity visible?']),
    opacity ? 'yes' : 'no',
  );
  ask(
    HEART,
    random.choice(['Is the heart enlarged?', 'Is there cardiomegaly?']),
    patient.disease.kind === 'cardiomegaly' ? 'yes' : 'no',
  );
  return { captions: captionsOf(random, image, parts, [words.full]), questions };
}
