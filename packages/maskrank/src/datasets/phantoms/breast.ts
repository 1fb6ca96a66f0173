// Phantoms of breast ultrasound. Echo strength in dB is painted in beam coordinates (skin, fat with septa, gland with
// fibrils, muscle, ribs, lesions), attenuation is integrated along each beam (so cysts enhance, cancers and ribs shade),
// then speckle whose lateral grain widens with depth, log compression, probe geometry, and what scanners write on top.
// Not here: wave physics, Doppler, elastography. Outlines and anatomy of lesions: breast-lesion.ts;
// beams to brightness: breast-scan.ts.

import type { Mask } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';
import {
  type BreastLesion,
  drawLesions,
  type LesionKind,
  type Margin,
  paintLesion,
  type Tissue,
} from './breast-lesion.ts';
import { scan, scanConvert } from './breast-scan.ts';
import { clamp, type Field, paintCoarse, ramp } from './draw/field.ts';
import { degrade, toBytes } from './draw/finish.ts';
import { Noise } from './draw/noise.ts';
import { lend, lendZeros, startPicture } from './draw/scratch.ts';
import { calliper, fillRect, writeText } from './draw/text.ts';
import { maskFacts } from './facts.ts';
import { captionsOf, factQuestions } from './language.ts';
import type { PhantomFamily, PhantomImage, PhantomQuestion } from './types.ts';

const IMAGE_WORDS = [
  'breast ultrasound image',
  'ultrasound image of the breast',
  'breast ultrasound',
] as const;
const LESION_WORDS = ['tumor', 'lesion', 'mass', 'breast tumor', 'breast lesion', 'breast mass'] as const;

export const breastPhantoms: PhantomFamily = {
  name: 'breast',
  modality: 'ultrasound',
  classes: [
    {
      id: 1,
      name: 'lesion',
      prompts: ['breast tumor', 'benign breast tumor', 'malignant breast tumor', 'breast lesion'],
      maxComponents: 2,
    },
  ],
  draw: drawBreast,
};

/** What all pictures of one patient share. */
type Patient = {
  readonly pathology: 'benign' | 'malignant' | 'normal';
  /** Depths as shares of the picture's height. */
  readonly fatEnd: number;
  readonly glandEnd: number;
  /** Share of gland in the gland layer; the rest is fat. */
  readonly density: number;
  readonly fatDb: number;
  readonly glandDb: number;
  readonly muscleDb: number;
  readonly fibrilDb: number;
  readonly ribs: boolean;
};

function drawPatient(random: Random): Patient {
  const u = random.next();
  const glandDb = random.uniform(-21, -9);
  const fatEnd = random.uniform(0.1, 0.38);
  return {
    pathology: u < 0.12 ? 'normal' : u < 0.6 ? 'benign' : 'malignant',
    fatEnd,
    glandEnd: fatEnd + random.uniform(0.22, 0.6),
    density: random.uniform(0.15, 1),
    glandDb,
    fatDb: glandDb - random.uniform(2, 14),
    muscleDb: glandDb - random.uniform(0, 12),
    fibrilDb: random.uniform(3, 13),
    ribs: random.chance(0.3),
  };
}

function drawBreast(patientStream: Random, random: Random, sizePx: number): PhantomImage {
  const patient = drawPatient(patientStream);
  const aspect = random.chance(0.8) ? random.uniform(1, 1.6) : random.uniform(0.72, 1);
  const width = aspect >= 1 ? sizePx : Math.round(sizePx * aspect);
  const height = aspect >= 1 ? Math.round(sizePx / aspect) : sizePx;
  startPicture(sizePx * sizePx);
  const tissue = paintTissue(random.fork('tissue'), patient, width, height);
  const lesions =
    patient.pathology === 'normal'
      ? []
      : drawLesions(random.fork('lesions'), patient.pathology, patient, width, height);
  let mask = new Uint8Array(width * height);
  for (const lesion of lesions) paintLesion(tissue, mask, lesion, patient.glandDb);
  let grey = scan(random.fork('scanner'), tissue);
  const probe = random.fork('probe');
  const curved = probe.chance(0.1);
  if (curved) ({ grey, mask } = scanConvert(probe, grey, mask, width, height));
  grey = degrade(random.fork('degrade'), grey, width, height, {
    coarseChance: 0.25,
    sharpenChance: 0.3,
    blocksChance: 0.25,
  });
  overlays(random.fork('overlays'), grey, mask, width, height);
  const lesionMask: Mask = { width, height, data: mask };
  return {
    image: { width, height, channels: 1, data: toBytes(grey) },
    ...describe(random.fork('language'), patient, lesions, lesionMask),
    tags: {
      pathology: patient.pathology,
      finding: lesions[0]?.kind ?? 'none',
      probe: curved ? 'curved' : 'linear',
    },
  };
}

/** Layers of tissue as echo and attenuation. */
function paintTissue(random: Random, patient: Patient, width: number, height: number): Tissue {
  const u = Math.max(width, height) / 256;
  const bend = new Noise(random, random.uniform(30, 70) * u, random.uniform(18, 45) * u);
  const bendPx = random.uniform(2, 9) * u;
  const tilt = random.normal() * 0.05;
  const shift = bend.paint(width, height, bendPx);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) shift[i]! += tilt * (x - width / 2);
  const borderA = new Noise(random, random.uniform(14, 50) * u);
  const borderB = new Noise(random, random.uniform(14, 50) * u);
  const rough = random.uniform(1, 8) * u;
  const skinPx = random.uniform(0.006, 0.035) * height;
  const skinDb = random.uniform(-14, -2);
  const softPx = random.uniform(0.8, 3) * u;

  // Mosaic of gland and fat, bright capsules around lobules of fat, and lines of connective tissue along the layers.
  const alongLayers = (noise: Noise): Field =>
    paintCoarse(
      width,
      height,
      (x, y) => noise.at(x, y + shift[Math.min(height - 1, y) * width + Math.min(width - 1, x)]!),
      Math.max(1, Math.round(3 * u)),
    );
  const mosaics = alongLayers(new Noise(random, random.uniform(14, 34) * u, random.uniform(6, 14) * u));
  const capsules = alongLayers(new Noise(random, random.uniform(18, 42) * u, random.uniform(6, 13) * u));
  const capsuleDb = random.uniform(3, 15);
  const capsuleSharp = random.uniform(4, 12);
  const fibrils = new Noise(
    random,
    random.uniform(6, 18) * u,
    random.uniform(0.9, 2.2) * u,
    random.normal() * 0.12,
  );
  const stripes = new Noise(random, random.uniform(25, 70) * u, random.uniform(1.1, 2.4) * u);
  const stripeDb = random.uniform(3, 11);
  const cloud = new Noise(random, random.uniform(30, 60) * u, random.uniform(14, 40) * u);
  const clouds = cloud.paint(width, height, random.uniform(0.5, 4));
  const fatSpread = random.uniform(0.3, 1);
  const threshold = 1.6 - 3.2 * patient.density;
  const fatEnd = patient.fatEnd * height;
  const glandEnd = patient.glandEnd * height;
  const edgesA = Float32Array.from({ length: width }, (_, x) => fatEnd + rough * borderA.at(x, 0));
  const edgesB = Float32Array.from({ length: width }, (_, x) => glandEnd + rough * borderB.at(x, 0));
  const fasciaDb = random.uniform(0, 12);
  const beyondDb = random.uniform(0, 16);
  const { fatDb, glandDb, muscleDb, fibrilDb } = patient;

  const echo = lend(width * height);
  const loss = lendZeros(width * height);
  const lossGland = random.uniform(0, 0.05) / u;
  const perFascia = 1 / (1.6 * u);
  const lines = new Float32Array(width);
  const bands = new Float32Array(width);
  // No row above reaches muscle, however it is bent.
  const muscleFrom = Math.min(...edgesB) - softPx - 5 * bendPx - Math.abs(tilt) * width;
  const perDepth = 1 / height;
  for (let y = 0, i = 0; y < height; y++) {
    if (y < skinPx) {
      const db = skinDb + 5 * ramp(Math.abs(y / skinPx - 0.5), 0.25, 0.5);
      for (let x = 0; x < width; x++, i++) echo[i] = db + clouds[i]!;
      continue;
    }
    alongRow(lines, fibrils, shift, i, width, y);
    if (y > muscleFrom) alongRow(bands, stripes, shift, i, width, y);
    for (let x = 0; x < width; x++, i++) {
      const yy = y + shift[i]!;
      const belowA = yy - edgesA[x]!;
      const belowB = yy - edgesB[x]!;
      const inGland = ramp(belowA, -softPx, softPx);
      const inMuscle = ramp(belowB, -softPx, softPx);
      let db = fatDb;
      if (inMuscle < 1) {
        const f = lines[x]!;
        if (inGland < 1) {
          // Capsules are brightest where they lie across the beam, and break up where fibrils do.
          const z = capsules[i]! * capsuleSharp;
          db +=
            (capsuleDb * (f > -1 ? 0.7 + 0.6 * f : 0.1)) / (1 + z * z) +
            (f > 0.4 ? 0.35 * fibrilDb * (f - 0.4) : 0);
        }
        if (inGland > 0) {
          const share = ramp(mosaics[i]!, threshold - fatSpread, threshold + fatSpread);
          const gland = glandDb + (f > 0 ? fibrilDb * f : 3 * f);
          db += inGland * share * (gland - db);
          loss[i] = lossGland * share;
        }
      }
      if (inMuscle > 0) {
        const m = bands[x]!;
        const deep = belowB * perDepth;
        const muscle = muscleDb + (m > 0 ? stripeDb * m : 2 * m) - beyondDb * (deep > 1 ? 1 : deep);
        db += inMuscle * (muscle - db);
        const d = belowB * perFascia;
        db += fasciaDb / (1 + d * d);
      }
      echo[i] = db + clouds[i]!;
    }
  }
  const out: Tissue = { width, height, unit: u, echo, loss };
  if (patient.ribs) addRibs(random.fork('ribs'), out, edgesB);
  addShadows(random.fork('shadows'), out);
  addDucts(random.fork('ducts'), out, patient);
  return out;
}

/** Noise along a row of layers that `shift` has bent, computed at every second pixel. */
function alongRow(
  out: Float32Array,
  noise: Noise,
  shift: Field,
  row: number,
  width: number,
  y: number,
): void {
  let before = noise.at(0, y + shift[row]!);
  out[0] = before;
  for (let x = 2; x < width; x += 2) {
    const here = noise.at(x, y + shift[row + x]!);
    out[x - 1] = 0.5 * (before + here);
    out[x] = here;
    before = here;
  }
  if ((width & 1) === 0) out[width - 1] = before;
}

/** Bright caps of bone with nothing behind them, deep in the muscle. */
function addRibs(random: Random, tissue: Tissue, muscleTop: Float32Array): void {
  const { width, height, unit: u, echo, loss } = tissue;
  const spacing = random.uniform(0.4, 0.8) * width;
  const half = random.uniform(0.08, 0.2) * width;
  const thick = random.uniform(1.2, 3) * u;
  const bright = random.uniform(8, 22);
  for (let cx = random.uniform(0, spacing); cx < width + half; cx += spacing) {
    const top = (muscleTop[clamp(Math.round(cx), 0, width - 1)] ?? 0) + random.uniform(0.08, 0.2) * height;
    for (let x = Math.max(0, Math.floor(cx - half)); x < Math.min(width, cx + half); x++) {
      const t = (x - cx) / half;
      const y0 = top + 0.12 * height * t * t * t * t;
      const cap = bright * (1 - t * t);
      for (let y = Math.max(0, Math.floor(y0 - 4 * thick)); y < Math.min(height, y0 + 4 * thick); y++) {
        const d = (y - y0) / thick;
        echo[y * width + x]! += cap / (1 + d * d * d * d);
        if (d > 0) loss[y * width + x]! += (2.5 * (1 - t * t)) / thick;
      }
    }
  }
}

/** Shadows of ligaments, and lost contact of the probe at a side. */
function addShadows(random: Random, { width, height, unit: u, loss }: Tissue): void {
  for (let k = random.int(0, 4); k > 0; k--) {
    const cx = random.uniform(0, width);
    const half = random.uniform(2, 20) * u;
    const top = random.uniform(0.02, 0.55) * height;
    const long = random.uniform(4, 20) * u;
    const strength = random.uniform(2, 14) / long;
    const slant = random.normal() * 0.5;
    for (let y = Math.max(0, Math.floor(top)); y < Math.min(height, top + long); y++) {
      for (let x = Math.max(0, Math.floor(cx - 3 * half)); x < Math.min(width, cx + 3 * half); x++) {
        const d = (x - cx - slant * (y - top)) / half;
        loss[y * width + x]! += strength / (1 + d * d * d * d);
      }
    }
  }
  if (!random.chance(0.22)) return;
  const left = random.chance(0.5);
  const reach = random.uniform(0.04, 0.2) * width;
  const strength = random.uniform(10, 30);
  for (let x = 0; x < width; x++) loss[x]! += strength * (1 - ramp(left ? x : width - 1 - x, 0, reach));
}

/** Dark tubes and dark lobules without shadow: what a careless eye takes for a lesion. */
function addDucts(random: Random, { width, height, unit: u, echo }: Tissue, patient: Patient): void {
  for (let k = random.int(0, 4); k > 0; k--) {
    const cx = random.uniform(0, width);
    const cy = random.uniform(0.5 * patient.fatEnd, patient.glandEnd) * height;
    const a = random.uniform(6, 34) * u;
    const b = Math.max(1.5 * u, a * random.uniform(0.08, 0.4));
    const tilt = random.normal() * 0.35;
    const drop = random.uniform(2, 9);
    const rim = random.uniform(0, 6);
    const [c, s] = [Math.cos(tilt), Math.sin(tilt)];
    for (let y = Math.max(0, Math.floor(cy - a - b)); y < Math.min(height, cy + a + b); y++) {
      for (let x = Math.max(0, Math.floor(cx - 1.4 * a)); x < Math.min(width, cx + 1.4 * a); x++) {
        const dx = x - cx;
        const dy = y - cy;
        const p = (dx * c + dy * s) / a;
        const q = (dy * c - dx * s) / b;
        const r = p * p + q * q;
        if (r >= 2) continue;
        const off = r - 1.1;
        echo[y * width + x]! += rim / (1 + 30 * off * off) - drop * (1 - ramp(r, 0.6, 1.2));
      }
    }
  }
}

const NOTES = [
  'RT UOQ',
  'LT LOQ',
  'RT',
  'LT',
  'RT AXILLA',
  'LT BREAST',
  'D 13.7 MM',
  'MAMA DIR',
  'LT 3H 2 CM',
  '12 MHZ',
];

/** Callipers, labels, a corner mark, a depth scale, a dark frame. */
function overlays(random: Random, grey: Field, mask: Uint8Array, width: number, height: number): void {
  const u = Math.max(width, height) / 256;
  const ink = random.uniform(0.7, 1);
  if (random.chance(0.12)) {
    const edge = random.uniform(1, 6) * u;
    const shade = random.uniform(0, 0.15);
    fillRect(grey, width, height, 0, 0, width, edge, shade);
    if (random.chance(0.5)) fillRect(grey, width, height, 0, height - edge, width, edge, shade);
  }
  if (random.chance(0.4)) {
    const s = random.uniform(2.5, 6) * u;
    fillRect(grey, width, height, 0, 0, s, s, ink);
    fillRect(grey, width, height, s * 0.3, s * 0.3, s * 0.4, s * 0.4, 0);
  }
  if (random.chance(0.2))
    writeText(
      grey,
      width,
      height,
      random.choice(NOTES),
      random.uniform(0.03, 0.6) * width,
      random.uniform(0.85, 0.94) * height,
      Math.max(1, Math.round(random.uniform(0.7, 1.6) * u)),
      ink,
    );
  if (random.chance(0.12)) {
    const step = random.uniform(0.08, 0.2) * height;
    const x = random.chance(0.5) ? 1 : width - 4 * u;
    for (let y = step; y < height; y += step) fillRect(grey, width, height, x, y, 3 * u, 1, ink);
  }
  const first = mask.indexOf(1);
  if (first < 0 || !random.chance(0.16)) return;
  let [x0, x1, y1] = [width, 0, 0];
  for (let i = first; i < mask.length; i++) {
    if (mask[i] !== 1) continue;
    const x = i % width;
    if (x < x0) x0 = x;
    if (x > x1) x1 = x;
    y1 = (i / width) | 0;
  }
  const y0 = (first / width) | 0;
  const dotted = random.chance(0.6);
  const arm = Math.max(1, Math.round(random.uniform(1.2, 3) * u));
  const wobble = () => random.normal() * 0.05;
  const at = (tx: number, ty: number) => ({
    x: x0 + (tx + wobble()) * (x1 - x0),
    y: y0 + (ty + wobble()) * (y1 - y0),
  });
  calliper(grey, width, height, at(0, 0.5), at(1, 0.5), arm, dotted, ink);
  if (random.chance(0.7)) calliper(grey, width, height, at(0.5, 0), at(0.5, 1), arm, dotted, ink);
}

/** What is said of a kind and a margin: no more than the picture shows; the tag `finding` is finer. */
const KIND_WORDS = {
  cyst: 'cyst',
  'complicated cyst': 'cyst',
  fibroadenoma: 'fibroadenoma',
  lipoma: 'lipoma',
  carcinoma: 'carcinoma',
  'round carcinoma': 'carcinoma',
} as const satisfies Record<LesionKind, string>;
const MARGIN_WORDS = {
  smooth: 'smooth',
  lobulated: 'lobulated',
  irregular: 'irregular',
  spiculated: 'irregular',
} as const satisfies Record<Margin, string>;

/** Words for the picture. */
function describe(random: Random, patient: Patient, lesions: readonly BreastLesion[], mask: Mask) {
  const image = random.choice(IMAGE_WORDS);
  const facts = maskFacts(mask);
  const ask = (question: string, answer: string): PhantomQuestion => ({
    kind: 'condition',
    classId: 1,
    question,
    answer,
  });
  if (facts === undefined) {
    return {
      masks: new Map<number, Mask>(),
      captions: captionsOf(
        random,
        image,
        [],
        [random.choice(['normal breast tissue', 'no tumor', 'no lesion'])],
      ),
      questions: [
        ask(
          random.choice(['Is there a tumor in the image?', 'Is a lesion visible?', 'Is there a lesion?']),
          'no',
        ),
        ask(random.choice(['What is the condition of the breast?', 'What does the image show?']), 'normal'),
      ],
    };
  }
  const noun = random.choice(LESION_WORDS);
  const { pathology } = patient;
  const kind = KIND_WORDS[lesions[0]!.kind];
  const margin = MARGIN_WORDS[lesions[0]!.margin];
  return {
    masks: new Map([[1, mask]]),
    captions: captionsOf(
      random,
      image,
      [{ facts, noun: noun.startsWith('breast') ? noun : `breast ${noun}`, adjective: pathology }],
      random.chance(0.6) ? [kind, `${margin} margin`] : [],
    ),
    questions: [
      ...factQuestions(random, facts, { classId: 1, noun, image }),
      ask(
        random.choice(['Is there a tumor in the image?', 'Is a lesion visible?', 'Is there a lesion?']),
        'yes',
      ),
      ask(
        random.choice([`Is the ${noun} benign or malignant?`, `What is the condition of the ${noun}?`]),
        pathology,
      ),
      ask(random.choice([`What kind of ${noun} is it?`, `What is the ${noun}?`]), kind),
      ask(random.choice([`What is the margin of the ${noun}?`, `How is the margin of the ${noun}?`]), margin),
    ],
  };
}
