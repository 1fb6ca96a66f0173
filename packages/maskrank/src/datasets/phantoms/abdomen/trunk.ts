// The trunk around the organs at one point: skin, fat, muscles, cavity, lungs, vertebrae with canal and processes, ribs.
// All in reference millimetres (x left, y posterior, z superior; the vertebral bodies' axis is near x = y = 0, the disc
// L1/L2 at z = 0). Not here: iliac bones and femora (bones.ts), organs (organs.ts).

import type { Random } from '../../../util/random.ts';
import { valueNoise } from './field.ts';
import type { Patient } from './patient.ts';
import { PLAIN_HU } from './phases.ts';

/** What varies slowly about one point: it is computed on a lattice and blended between. */
export type TrunkOutline = {
  /** Distance to the wall of the cavity of chest, belly and pelvis, mm, negative inside. */
  cavityMm: number;
  /** Height above the diaphragm, mm: positive in the chest. */
  chestMm: number;
  /** Thickness of the wall without and with the fat over it, mm. */
  wallMm: number;
  skinMm: number;
  /** Cosine of the direction from the middle: -1 the front, 1 the back. */
  back: number;
};

/** What stands at one point; one object is filled again and again. */
export type TrunkPoint = {
  hu: number;
  /** Inside the skin. */
  body: boolean;
  /** Gives way to organs (0: fat, lung), not to the fat around them (1: muscle), or to no organ at all (2: bone). */
  firm: 0 | 1 | 2;
};

export type Trunk = {
  readonly outline: (x: number, y: number, z: number, out: TrunkOutline) => void;
  readonly tissue: (x: number, y: number, z: number, at: TrunkOutline, out: TrunkPoint) => void;
};

/** Beyond this distance from the middle line to the sides, or in front of it, stand neither spine nor psoas, mm. */
export const AXIS_MM = { side: 85, front: -50 } as const;
/** Below this height there is only fat between the organs away from that axis, mm. */
export const CHEST_FROM_MM = 5;

const VERTEBRA_MM = 35;
const RIB_SPACING_MM = 27;
/** Wall and fat are nowhere thicker. */
const MOST_WALL_MM = 140;

export function makeTrunk(patient: Patient, random: Random): Trunk {
  const { hu, subcutaneousMm: fatMm } = patient;
  const [wide, deep] = patient.girth;
  const r = random.fork('trunk');
  const ribShift = r.uniform(0, RIB_SPACING_MM);
  const texture = valueNoise(r.uint32(), 5);
  const strands = valueNoise(r.uint32(), 9);
  const vessels = valueNoise(r.uint32(), 7);
  const trabecularHu = PLAIN_HU.trabecular + r.uniform(-60, 45);
  const domeMm = { right: r.uniform(108, 124), left: r.uniform(94, 112) };
  const bulge = patient.sex === 'female' ? 1.25 : 1;
  const front = r.uniform(0.5, 1.3);

  const halfWidth = (z: number) =>
    wide *
    (z > 20
      ? 128 + 4 * smooth(20, 90, z)
      : z > -90
        ? 124 + 4 * smooth(-90, 20, z)
        : 124 - 44 * smooth(-100, -215, z));
  const halfDepth = (z: number) => deep * (z > 0 ? 84 : z > -150 ? 84 : 84 + 4 * smooth(-150, -230, z));

  const outline: Trunk['outline'] = (x, y, z, out) => {
    const u = x / halfWidth(z);
    const v = (y + 40) / halfDepth(z);
    const uu = u * u;
    const vv = v * v;
    const sum = uu + vv;
    out.chestMm = z > CHEST_FROM_MM ? aboveDiaphragm(x, y, z) : -100;
    if (sum > 9) {
      // Far outside; the distance need not be exact.
      out.cavityMm = MOST_WALL_MM;
      out.wallMm = 0;
      out.skinMm = 0;
      out.back = v < 0 ? -0.7 : 0.7;
      return;
    }
    // Squircle of Fong (2014): between an ellipse and a rectangle.
    const k = Math.sqrt((sum + Math.sqrt(Math.max(0, sum * sum - 0.75 * uu * vv))) / 2) * 1.0001 + 1e-6;
    const radius = Math.sqrt(x * x + (y + 40) * (y + 40));
    out.cavityMm = radius * (1 - 1 / k);
    const back = v / k;
    const pelvic = smooth(-90, -170, z);
    const wall =
      9 +
      5 * pelvic +
      26 * smooth(0.45, 0.95, back) +
      14 * pelvic * smooth(-0.35, 0.5, back) +
      34 * smooth(-150, -225, z) * smooth(0.25, 0.85, Math.abs(u / k)) * smooth(-0.8, -0.3, back);
    const fat =
      fatMm *
        (0.75 +
          0.35 * smooth(0.2, -0.8, back) * front +
          0.2 * smooth(0.2, 0.8, back) +
          0.4 * pelvic * bulge) -
      0.3 * fatMm * smooth(20, 90, z) +
      1.5;
    out.back = back;
    out.wallMm = wall;
    // The furrow over the spinous processes.
    out.skinMm = wall + fat - (back > 0.5 ? 5 * Math.exp(-(x * x) / 220) * smooth(0.5, 0.9, back) : 0);
  };

  const tissue: Trunk['tissue'] = (x, y, z, at, out) => {
    const d = at.cavityMm;
    out.body = d < at.skinMm + 2;
    out.firm = d > 0 ? 1 : 0;
    if (!out.body) {
      out.hu = PLAIN_HU.air;
      return;
    }
    if (d <= 0) inside(x, y, z, at, out);
    else if (d > at.skinMm) out.hu = PLAIN_HU.skin;
    else if (d > at.wallMm) out.hu = PLAIN_HU.fat;
    else out.hu = wallHu(x, y, z, d, at.wallMm, at.back, levelOf(z).pelvic);
    if (y > -40) spine(x, y, z, out);
  };

  const levels: (Level | undefined)[] = [];
  /** What depends on height alone, to a quarter of a millimetre. */
  function levelOf(z: number): Level {
    const index = Math.round((z + 400) * 2);
    let level = levels[index];
    if (level === undefined) {
      level = makeLevel(index / 2 - 400);
      levels[index] = level;
    }
    return level;
  }

  function wallHu(
    x: number,
    y: number,
    z: number,
    d: number,
    wall: number,
    back: number,
    pelvic: number,
  ): number {
    const { muscle } = hu;
    if (back > 0.62 && z > -170) {
      // Paraspinal muscles with fat between them; quadratus lumborum beside them.
      const ax = Math.abs(x);
      const erector = sq((ax - 27) / 31) + sq((y - 49) / 25);
      if (erector < 1) return streaky(muscle, strands(x * 1.3, y * 0.5, z * 0.3));
      const lateral = sq((ax - 72) / 32) + sq((y - 34) / 17);
      if (lateral < 1 || d < 6) return muscle;
      return PLAIN_HU.fat + 15;
    }
    if (z > -20 + 60 * smooth(0.2, -0.7, back)) {
      const rib = ribHu(z, d, back);
      if (rib !== undefined) return rib;
    }
    // Rectus beside the white line in front; three layers at the flank, with thin fat between them; gluteal planes.
    if (back < -0.72 && Math.abs(x) < 5) return d < 3 ? -10 : PLAIN_HU.fat;
    if (back < -0.6 && Math.abs(x) > 61 && Math.abs(x) < 64) return muscle - 60;
    if (pelvic > 0.3 && d > 12) {
      const plane = d + 9 * strands(x * 0.4, y * 0.4, z * 0.4) - 0.12 * Math.abs(x) - 14;
      return Math.abs(plane) < 1.5 || (Math.abs(x) < 7 && back > 0.5) ? PLAIN_HU.fat + 15 : muscle;
    }
    const layer = d / wall;
    return back > -0.6 && (Math.abs(layer - 0.36) < 0.05 || Math.abs(layer - 0.68) < 0.05)
      ? muscle - 95
      : muscle;
  }

  function ribHu(z: number, d: number, back: number): number | undefined {
    if (d < 1.5 || d > 10.2) return undefined;
    // Angle from the spine (0) to the sternum (about 3.1); each rib falls towards the front.
    const turn = Math.acos(Math.max(-1, Math.min(1, back)));
    const height = z + 52 * turn + ribShift;
    const index = Math.floor(height / RIB_SPACING_MM);
    const across = height - index * RIB_SPACING_MM - RIB_SPACING_MM / 2;
    const length = 1.15 + 0.32 * (index - 1);
    if (turn > length || turn < 0.2) return undefined;
    const e = sq(across / 7) + sq((d - 5.8) / 4.2);
    if (e > 1) return undefined;
    if (turn > 2.25) return e < 0.8 ? 95 : 160; // cartilage
    return e > 0.42 ? PLAIN_HU.cortical : 190;
  }

  function inside(x: number, y: number, z: number, at: TrunkOutline, out: TrunkPoint): void {
    out.hu = PLAIN_HU.fat;
    if (at.cavityMm > -2.2 && z < 60) out.hu = hu.muscle - 12; // peritoneum and transversalis
    if (z > CHEST_FROM_MM) chest(x, y, z, at.chestMm, out);
    if (z < 70 && y > AXIS_MM.front && x > -AXIS_MM.side && x < AXIS_MM.side) {
      // Psoas, and the crura of the diaphragm on both sides of the aorta.
      const { psoasX, psoasY, psoasSize } = levelOf(z);
      const px = (Math.abs(x) - psoasX) / psoasSize;
      const py = (y - psoasY) / (psoasSize * 1.15);
      if (z < 35 && px * px + py * py < 1) firm(out, hu.muscle, 1);
      const crus = sq((Math.abs(x - 3) - 21) / 5.5) + sq((y + 22) / 14);
      if (z > -20 && crus < 1) firm(out, hu.muscle, 1);
    }
  }

  /** Height over the domes of the diaphragm, mm. */
  function aboveDiaphragm(x: number, y: number, z: number): number {
    const lobe = x < 0 ? domeMm.right : domeMm.left;
    const spread = sq((Math.abs(x) - 66) / 92) + sq((y + 42) / (y > -42 ? 92 : 100));
    return z - (lobe - 98 * spread - (y > 0 ? 0.35 * y : 0));
  }

  /** Lungs over the domes of the diaphragm, and the mediastinum between them. */
  function chest(x: number, y: number, z: number, above: number, out: TrunkPoint): void {
    if (above > 0 && z > 25) {
      const mediastinum = Math.abs(x - 6) < 26 && y > -48;
      const front = sq((x - 12) / 42) + sq((y + 118) / 24) < 1;
      if (mediastinum || front) return;
      out.hu = PLAIN_HU.lung + 40 * smooth(-60, 30, y) + (vessels(x, y, z * 0.6) > 0.62 ? 720 : 0);
    } else if (above > -3.2 && z > 25) out.hu = hu.muscle - 5; // diaphragm
  }

  function spine(x: number, y: number, z: number, out: TrunkPoint): void {
    if (x < -70 || x > 70 || y < -40 || z < -245) return;
    const { spineY, waist } = levelOf(z);
    const yy = y - spineY;
    const ax = Math.abs(x);
    if (z < -150) {
      const width = z > -185 ? 52 : 52 - 0.62 * (-185 - z);
      const e = sq(x / width) + sq((yy - 8 - 0.002 * x * x) / (20 - 0.12 * (-150 - z)));
      if (e < 1) firm(out, e > 0.8 ? PLAIN_HU.cortical - 150 : trabecularHu + 40 * texture(x, y, z), 2);
      return;
    }
    const p = overPlate(z);
    const dent = yy > 10 ? 0.012 * sq(Math.max(0, 13 - ax)) : 0;
    const body = sq(ax / (24 * waist)) + sq((yy + dent * 2) / (18 * waist));
    const canal = sq(ax / 11) + sq((yy - 27) / 9);
    if (body < 1) {
      if (p < 7) firm(out, body > 0.75 ? PLAIN_HU.disc + 20 : PLAIN_HU.disc, 2);
      else if (p < 10 || p > 32.5 || body > 0.83) firm(out, PLAIN_HU.cortical - 180, 2);
      else firm(out, trabecularHu + 45 * texture(x * 1.6, y * 1.6, z), 2);
    } else if (canal < 1) firm(out, canal < 0.72 ? PLAIN_HU.cord : -40, 2);
    else {
      const ring = sq(ax / 18) + sq((yy - 27) / 15) < 1 && (p > 14 || yy > 27) && p > 9;
      const facet = sq(ax - 17) + sq(yy - 36) < (p > 26 || p < 12 ? 64 : 16);
      const spinous = ax < 3.2 && yy > 36 && yy < 66 && p > 3 && p < 26;
      const transverse = Math.abs(yy - 27 - 0.12 * ax) < 3.6 && ax < 40 && p > 17 && p < 28;
      if (ring || facet || spinous || transverse)
        firm(out, PLAIN_HU.cortical - 120 * Math.abs(texture(x * 2, y * 2, z)), 2);
    }
  }

  return { outline, tissue };
}

/** What depends on height alone. */
type Level = {
  /** 0 above the pelvis, 1 in it. */
  readonly pelvic: number;
  /** Middle of the psoas beside the axis and behind it, and its half width, mm. */
  readonly psoasX: number;
  readonly psoasY: number;
  readonly psoasSize: number;
  /** Middle of the vertebral bodies: lumbar lordosis, and the sacrum's backward slope, mm. */
  readonly spineY: number;
  /** How much narrower a vertebral body is than at its plates. */
  readonly waist: number;
};

/** Height over the lower plate of a vertebra, mm. */
const overPlate = (z: number): number => (((z + 4) % VERTEBRA_MM) + VERTEBRA_MM) % VERTEBRA_MM;

const makeLevel = (z: number): Level => ({
  pelvic: smooth(-90, -170, z),
  psoasX: 37 + 0.06 * Math.max(0, -z) - (z < -170 ? 0.12 * (z + 170) : 0),
  psoasY: 6 - 0.14 * Math.max(0, -z - 90),
  psoasSize: 17 * smooth(35, -70, z) + 3,
  spineY: z > -150 ? 4 - 8 * Math.sin((z + 170) / 75) * smooth(60, -40, z) : 8 + 0.42 * (-150 - z),
  waist: 1 - 0.1 * Math.sin((Math.PI * (overPlate(z) - 8)) / 27),
});

/** 0 at `from`, 1 at `to`, smooth between; `from` may be the larger. */
export function smooth(from: number, to: number, x: number): number {
  const t = (x - from) / (to - from);
  return t <= 0 ? 0 : t >= 1 ? 1 : t * t * (3 - 2 * t);
}

function firm(out: TrunkPoint, hu: number, firmness: 1 | 2): void {
  out.hu = hu;
  out.firm = firmness;
}

const sq = (x: number): number => x * x;
const streaky = (hu: number, n: number): number => (n > 0.55 ? hu - 70 * (n - 0.55) * 4 : hu);
