// Pictures that look somewhat like breast ultrasound: wavy tissue layers under log-compressed correlated speckle, zero
// to two lesions that differ in contrast, outline and what they cast below them, and things that only resemble lesions
// (fat lobules, ducts, ligament shadows). Echo levels are in decibels. Painted by eye: no wave physics, no anatomy model.
// S side in pixels.

import type { Image, Mask } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';
import type { Field, Vertex } from './fields.ts';
import {
  addLine,
  area,
  blur,
  fillPolygon,
  paint,
  ramp,
  smoothNoise,
  toBytes,
  union,
  wave,
  whiteNoise,
} from './fields.ts';

export type BreastPicture = {
  readonly image: Image;
  /** Pixels of all lesions; empty for `normal`. */
  readonly lesion: Mask;
  readonly pathology: 'benign' | 'malignant' | 'normal';
};

type Kind = 'benign' | 'malignant';
type Lesion = { readonly centre: Vertex; readonly outline: readonly Vertex[]; readonly kind: Kind };

/** Tissue of one patient; two pictures of the same patient share it. */
export type BreastPatient = {
  readonly pathology: BreastPicture['pathology'];
  readonly fatDepth: number;
  readonly glandDepth: number;
  readonly glandDb: number;
  readonly lesionContrastDb: number;
  readonly lesionSize: number;
};

export function drawBreastPatient(random: Random): BreastPatient {
  const u = random.next();
  return {
    pathology: u < 0.08 ? 'normal' : u < 0.62 ? 'benign' : 'malignant',
    fatDepth: random.uniform(0.16, 0.36),
    glandDepth: random.uniform(0.62, 0.8),
    glandDb: random.uniform(-27, -19),
    // Some lesions are nearly as bright as the tissue around them.
    lesionContrastDb: random.uniform(5, 20),
    lesionSize: random.uniform(0.07, 0.2),
  };
}

export function drawBreast(random: Random, patient: BreastPatient, size: number): BreastPicture {
  const lesions = placeLesions(random.fork('lesions'), patient, size);
  const masks = lesions.map((lesion) => fillPolygon(lesion.outline, size));
  const echo = layers(random.fork('layers'), patient, size);
  lookalikes(random.fork('lookalikes'), echo, patient, size);
  lesions.forEach((lesion, i) => {
    addLesion(random.fork(`lesion ${i}`), echo, lesion, masks[i]!, patient, size);
  });
  shadows(random.fork('shadows'), echo, size);
  const image = compress(random.fork('scanner'), echo, size);
  return { image, lesion: union(size, masks), pathology: patient.pathology };
}

function placeLesions(random: Random, patient: BreastPatient, size: number): Lesion[] {
  const kind = patient.pathology;
  if (kind === 'normal') return [];
  const wanted = random.chance(0.07) ? 2 : 1;
  const lesions: Lesion[] = [];
  for (let tries = 0; lesions.length < wanted && tries < 50; tries++) {
    const scale = lesions.length === 0 ? 1 : 0.6;
    const lesion = outlineLesion(random, kind, patient, size, scale);
    const apart = lesions.every(
      (l) => Math.hypot(l.centre.x - lesion.centre.x, l.centre.y - lesion.centre.y) > 0.36 * size,
    );
    if (apart) lesions.push(lesion);
  }
  return lesions;
}

function outlineLesion(
  random: Random,
  kind: Kind,
  patient: BreastPatient,
  size: number,
  scale: number,
): Lesion {
  const a = patient.lesionSize * scale * random.uniform(0.85, 1.15) * size;
  const aspect = kind === 'benign' ? random.uniform(0.45, 0.75) : random.uniform(0.7, 1.15);
  const tilt = random.normal() * 0.18;
  const centre = {
    x: random.uniform(0.24, 0.76) * size,
    y: random.uniform(patient.fatDepth + 0.08, patient.glandDepth - 0.06) * size,
  };
  const roughness = kind === 'benign' ? 0.045 : 0.085;
  const harmonics = Array.from({ length: kind === 'benign' ? 4 : 10 }, (_, k) => ({
    order: k + 2,
    amplitude: (roughness * random.normal()) / Math.sqrt(k + 1),
    phase: random.uniform(0, 2 * Math.PI),
  }));
  const spikes = Array.from({ length: kind === 'benign' ? 0 : random.int(0, 6) }, () => ({
    angle: random.uniform(-Math.PI, Math.PI),
    width: random.uniform(0.08, 0.2),
    height: random.uniform(0.1, 0.32),
  }));
  const radius = (angle: number): number => {
    const wavy = harmonics.reduce((sum, h) => sum + h.amplitude * Math.cos(h.order * angle + h.phase), 1);
    return spikes.reduce((sum, s) => {
      const away = Math.atan2(Math.sin(angle - s.angle), Math.cos(angle - s.angle));
      return sum + s.height * Math.exp(-0.5 * (away / s.width) ** 2);
    }, wavy);
  };
  const outline = Array.from({ length: 180 }, (_, k) => {
    const angle = (k / 180) * 2 * Math.PI;
    const x = a * radius(angle) * Math.cos(angle);
    const y = a * aspect * radius(angle) * Math.sin(angle);
    return {
      x: centre.x + x * Math.cos(tilt) - y * Math.sin(tilt),
      y: centre.y + x * Math.sin(tilt) + y * Math.cos(tilt),
    };
  });
  return { centre, outline, kind };
}

/** Skin, fat with septa, gland, muscle with fascia lines, in dB. */
function layers(random: Random, patient: BreastPatient, size: number): Field {
  const skin = 0.035 * size;
  const skinWave = wave(random, size, 0.008 * size, 2);
  const fatWave = wave(random, size, 0.05 * size, 4);
  const glandWave = wave(random, size, 0.04 * size, 3);
  const fatDb = patient.glandDb - random.uniform(5, 14);
  const muscleDb = patient.glandDb - random.uniform(2, 9);
  const coarse = smoothNoise(random, size, 0.11 * size, 0.05 * size);
  const fine = smoothNoise(random, size, 0.04 * size, 0.02 * size);
  const streaks = smoothNoise(random, size, 0.13 * size, 0.017 * size);
  const stripes = smoothNoise(random, size, 0.3 * size, 0.012 * size);
  const streakWave = wave(random, size, 0.045 * size, 4);
  const streakDb = random.uniform(1, 7);
  const soft = 0.012 * size;
  const bent = (field: Field, x: number, y: number) => {
    const row = Math.floor(Math.min(size - 1, Math.max(0, y + streakWave[Math.floor(x)]!)));
    return field[row * size + Math.min(size - 1, Math.floor(x))]!;
  };
  const echo = paint(size, (x, y) => {
    const column = Math.min(size - 1, Math.floor(x));
    const at = Math.min(size - 1, Math.floor(y)) * size + column;
    const fatEnd = patient.fatDepth * size + fatWave[column]!;
    const glandEnd = patient.glandDepth * size + glandWave[column]!;
    const inFat = ramp(y, skin + skinWave[column]! - soft / 2, skin + skinWave[column]! + soft / 2);
    const inGland = ramp(y, fatEnd - soft, fatEnd + soft);
    const inMuscle = ramp(y, glandEnd - soft, glandEnd + soft);
    let db = -14 + (fatDb + 14 + 2.5 * coarse[at]!) * inFat;
    const streak = inGland > 0 ? streakDb * bent(streaks, x, y) : 0;
    db += (patient.glandDb - fatDb + 4 * coarse[at]! + 2.5 * fine[at]! + streak) * inGland;
    if (inMuscle > 0)
      db += (muscleDb - patient.glandDb - 2 * coarse[at]! + 7 * bent(stripes, x, y) - streak) * inMuscle;
    return db;
  });
  const septa = random.int(4, 9);
  for (let k = 0; k < septa; k++) {
    const x0 = random.uniform(-0.1, 0.9) * size;
    const y0 = random.uniform(0.05, patient.fatDepth + 0.05) * size;
    const length = random.uniform(0.15, 0.4) * size;
    const bend = random.normal() * 0.03 * size;
    addLine(
      echo,
      size,
      arc({ x: x0, y: y0 }, length, random.normal() * 0.25, bend),
      0.014 * size,
      random.uniform(4, 10),
    );
  }
  const fascia = arc(
    { x: -0.05 * size, y: (patient.glandDepth + 0.02) * size },
    1.1 * size,
    random.normal() * 0.04,
    random.normal() * 0.04 * size,
  );
  addLine(echo, size, fascia, 0.016 * size, random.uniform(4, 11));
  return echo;
}

function arc(start: Vertex, lengthPx: number, angle: number, bendPx: number): Vertex[] {
  return Array.from({ length: 13 }, (_, k) => {
    const t = k / 12;
    const along = t * lengthPx;
    const off = 4 * bendPx * t * (1 - t);
    return {
      x: start.x + along * Math.cos(angle) - off * Math.sin(angle),
      y: start.y + along * Math.sin(angle) + off * Math.cos(angle),
    };
  });
}

/** Dark ovals with bright caps (fat lobules) and dark tubes (ducts): what a careless model takes for a lesion. */
function lookalikes(random: Random, echo: Field, patient: BreastPatient, size: number): void {
  const lobules = random.int(1, 5);
  for (let k = 0; k < lobules; k++) {
    const cx = random.uniform(0, 1) * size;
    const cy = random.uniform(0.1, patient.glandDepth) * size;
    const a = random.uniform(0.05, 0.14) * size;
    const b = a * random.uniform(0.25, 0.5);
    const tilt = random.normal() * 0.2;
    const drop = random.uniform(3, 9);
    const rim = random.uniform(0, 5);
    for (let i = 0; i < echo.length; i++) {
      const dx = (i % size) + 0.5 - cx;
      const dy = Math.floor(i / size) + 0.5 - cy;
      const r = Math.hypot(
        (dx * Math.cos(tilt) + dy * Math.sin(tilt)) / a,
        (dy * Math.cos(tilt) - dx * Math.sin(tilt)) / b,
      );
      if (r > 1.6) continue;
      echo[i]! += -drop * (1 - ramp(r, 0.6, 1.15)) + rim * Math.exp(-0.5 * ((r - 1.15) / 0.1) ** 2);
    }
  }
  const ducts = random.int(0, 3);
  for (let k = 0; k < ducts; k++) {
    const start = {
      x: random.uniform(0.05, 0.7) * size,
      y: random.uniform(patient.fatDepth, patient.glandDepth) * size,
    };
    const path = arc(
      start,
      random.uniform(0.12, 0.3) * size,
      random.normal() * 0.3,
      random.normal() * 0.04 * size,
    );
    addLine(echo, size, path, random.uniform(0.014, 0.028) * size, -random.uniform(6, 14));
  }
}

function addLesion(
  random: Random,
  echo: Field,
  lesion: Lesion,
  mask: Mask,
  patient: BreastPatient,
  size: number,
): void {
  const benign = lesion.kind === 'benign';
  const inside = blur(
    new Float32Array(mask.data),
    size,
    (benign ? random.uniform(0.003, 0.008) : random.uniform(0.006, 0.016)) * size,
  );
  const texture = smoothNoise(random, size, 0.05 * size, 0.03 * size);
  const textureDb = random.uniform(1, 4.5);
  const level = patient.glandDb - patient.lesionContrastDb;
  const rimDb = benign ? random.uniform(0, 6) : random.uniform(0, 9);
  const wide = blur(new Float32Array(mask.data), size, (benign ? 0.01 : 0.028) * size);

  // What the lesion casts below itself: benign ones brighten, malignant ones shade; strength differs from none to strong.
  const castDb = benign ? random.uniform(0, 7) : -random.uniform(0, 14);
  const columns = new Float32Array(size);
  const bottoms = new Float32Array(size);
  for (let x = 0; x < size; x++) {
    for (let y = 0; y < size; y++) if (mask.data[y * size + x]) bottoms[x] = y;
  }
  const widest = area(mask) / (2 * patient.lesionSize * size);
  for (let x = 0; x < size; x++) {
    let covered = 0;
    for (let y = 0; y < size; y++) covered += mask.data[y * size + x]!;
    columns[x] = Math.min(1, covered / Math.max(1, widest));
  }
  const fade = random.uniform(0.25, 0.8) * size;
  for (let i = 0; i < echo.length; i++) {
    const x = i % size;
    const below = Math.floor(i / size) - bottoms[x]!;
    if (columns[x]! > 0 && below > 0) echo[i]! += castDb * columns[x]! * Math.exp(-below / fade);
    const t = inside[i]!;
    echo[i] = echo[i]! * (1 - t) + (level + textureDb * texture[i]!) * t;
    echo[i]! += rimDb * 4 * wide[i]! * (1 - wide[i]!) * (1 - t);
  }
}

/** Narrow vertical shadows and a loss of contact at a side. */
function shadows(random: Random, echo: Field, size: number): void {
  const count = random.int(0, 4);
  for (let k = 0; k < count; k++) {
    const x0 = random.uniform(0, 1) * size;
    const width = random.uniform(0.012, 0.05) * size;
    const top = random.uniform(0.05, 0.5) * size;
    const slant = random.normal() * 0.08;
    const depth = random.uniform(3, 11);
    for (let i = 0; i < echo.length; i++) {
      const y = Math.floor(i / size);
      const away = (i % size) - x0 - slant * (y - top);
      echo[i]! -= depth * ramp(y, top, top + 0.1 * size) * Math.exp(-0.5 * (away / width) ** 2);
    }
  }
  if (!random.chance(0.25)) return;
  const side = random.chance(0.5) ? 0 : size;
  const reach = random.uniform(0.04, 0.14) * size;
  for (let i = 0; i < echo.length; i++) echo[i]! -= 22 * (1 - ramp(Math.abs((i % size) - side), 0, reach));
}

/** Attenuation with depth, speckle of several looks whose grain widens with depth, log compression, gain. */
function compress(random: Random, echo: Field, size: number): Image {
  const looks = random.int(2, 5);
  const speckle = new Float32Array(size * size);
  const axial = random.uniform(0.6, 1.05) * (size / 256);
  const lateral = axial * random.uniform(1.3, 2.2);
  for (let look = 0; look < looks; look++) {
    const parts = [0, 1].map(() => {
      const white = whiteNoise(random, size);
      const near = blur(white, size, lateral, axial);
      return [near, blur(near, size, 1.5 * lateral, 0)] as const;
    });
    const power =
      parts.map(([near, far]) => meanSquare(near) + meanSquare(far)).reduce((a, b) => a + b, 0) / 2;
    for (let i = 0; i < speckle.length; i++) {
      const depth = i / speckle.length;
      let sum = 0;
      for (const [near, far] of parts) sum += (near[i]! * (1 - depth) + far[i]! * depth * 1.35) ** 2;
      speckle[i]! += sum / power / looks;
    }
  }
  const lossDb = random.uniform(0, 26);
  const rangeDb = random.uniform(44, 62);
  const gainDb = random.uniform(-8, 7);
  const gray = echo.map((db, i) => {
    const depth = i / echo.length;
    const level = db - lossDb * depth ** 1.7 + 10 * Math.log10(speckle[i]! + 1e-4);
    return (level + gainDb + rangeDb) / rangeDb;
  });
  return { width: size, height: size, channels: 1, data: toBytes(blur(gray, size, 0.45 * (size / 256))) };
}

const meanSquare = (field: Field): number => field.reduce((sum, v) => sum + v * v, 0) / field.length;
