// Implicit shapes in anatomic millimetres: x to the patient's left, y posterior, z superior. A solid is a union of parts,
// each with a bounding box (so that a slice visits only what it cuts) and an approximate signed distance, negative inside.

import type { Field } from './field.ts';

export type Vec = readonly [number, number, number];

export type Part = {
  /** x0, x1, y0, y1, z0, z1 in mm; outside it the part's distance counts as "far outside". */
  readonly bounds: readonly [number, number, number, number, number, number];
  readonly distance: Field;
  /** A capsule's numbers (start, end minus start, 1 / length squared, radii): most parts are capsules, so slices inline them. */
  readonly capsule?: Float64Array;
};

/** Beyond this distance from a surface nobody asks for more than the side, mm. */
const FAR_MM = 14;

/** The union of its parts. */
export type Solid = readonly Part[];

const boundsOf = (c: Vec, rx: number, ry: number, rz: number): Part['bounds'] => [
  c[0] - rx,
  c[0] + rx,
  c[1] - ry,
  c[1] + ry,
  c[2] - rz,
  c[2] + rz,
];

export type EllipsoidOptions = {
  readonly centre: Vec;
  readonly radii: Vec;
  /** Turn in the axial plane, radians, from x towards y. */
  readonly yaw?: number;
  /** How far the centre moves in x and y a mm of z. */
  readonly lean?: readonly [number, number];
  /** 2 is an ellipsoid; up to 4 is boxier. */
  readonly exponent?: number;
};

export function ellipsoid({ centre, radii, yaw = 0, lean = [0, 0], exponent = 2 }: EllipsoidOptions): Part {
  const [cx, cy, cz] = centre;
  const [rx, ry, rz] = radii;
  const [cos, sin] = [Math.cos(yaw), Math.sin(yaw)];
  const smallest = Math.min(rx, ry, rz);
  const reach = Math.max(rx, ry) * (exponent > 2 ? 1.2 : 1);
  return {
    bounds: boundsOf(centre, reach + Math.abs(lean[0]) * rz, reach + Math.abs(lean[1]) * rz, rz),
    distance: (x, y, z) => {
      const dz = z - cz;
      const dx = x - cx - lean[0] * dz;
      const dy = y - cy - lean[1] * dz;
      const u = Math.abs((dx * cos + dy * sin) / rx);
      const v = Math.abs((dy * cos - dx * sin) / ry);
      const w = Math.abs(dz / rz);
      const norm = exponent === 2 ? Math.sqrt(u * u + v * v + w * w) : boxy(u, v, w, exponent);
      return norm < 1e-6
        ? -smallest
        : (norm - 1) * Math.min(smallest * 1.6, Math.sqrt(dx * dx + dy * dy + dz * dz) / norm);
    },
  };
}

/** Between the ellipsoid's norm and the box's, with square roots only (a power for each pixel would be slow). */
function boxy(u: number, v: number, w: number, exponent: number): number {
  const round = Math.sqrt(u * u + v * v + w * w);
  const quartic = Math.sqrt(Math.sqrt(u * u * u * u + v * v * v * v + w * w * w * w));
  const share = Math.min(1, (exponent - 2) / 2);
  return round + (quartic - round) * share;
}

/** A cone with round ends between two balls. */
export function capsule(a: Vec, b: Vec, ra: number, rb: number): Part {
  const ax = a[0];
  const ay = a[1];
  const az = a[2];
  const dx = b[0] - ax;
  const dy = b[1] - ay;
  const dz = b[2] - az;
  const inverse = 1 / (dx * dx + dy * dy + dz * dz + 1e-9);
  const lo = (i: 0 | 1 | 2) => Math.min(a[i] - ra, b[i] - rb);
  const hi = (i: 0 | 1 | 2) => Math.max(a[i] + ra, b[i] + rb);
  return {
    bounds: [lo(0), hi(0), lo(1), hi(1), lo(2), hi(2)],
    capsule: Float64Array.of(ax, ay, az, dx, dy, dz, inverse, ra, rb - ra),
    distance: (x, y, z) => {
      const px = x - ax;
      const py = y - ay;
      const pz = z - az;
      const along = (px * dx + py * dy + pz * dz) * inverse;
      const t = along < 0 ? 0 : along > 1 ? 1 : along;
      const qx = px - t * dx;
      const qy = py - t * dy;
      const qz = pz - t * dz;
      return Math.sqrt(qx * qx + qy * qy + qz * qz) - (ra + (rb - ra) * t);
    },
  };
}

/** A centre line's knot: position and radius, mm. */
export type Knot = readonly [number, number, number, number];

/** A tube swept along a Catmull-Rom curve through the knots; `swell(s)` scales the radius at `s` mm from the start. */
export function tube(knots: readonly Knot[], stepMm = 9, swell: (sMm: number) => number = () => 1): Solid {
  const parts: Part[] = [];
  const [x, y, z, first] = knots[0]!;
  let previous: Vec = [x, y, z];
  let s = 0;
  let radius = first * swell(0);
  for (let i = 0; i + 1 < knots.length; i++) {
    const [p0, p1, p2, p3] = [
      knots[Math.max(0, i - 1)]!,
      knots[i]!,
      knots[i + 1]!,
      knots[Math.min(knots.length - 1, i + 2)]!,
    ];
    const length = Math.hypot(p2[0] - p1[0], p2[1] - p1[1], p2[2] - p1[2]);
    const steps = Math.max(1, Math.round(length / stepMm));
    for (let n = 1; n <= steps; n++) {
      const t = n / steps;
      const at = (c: 0 | 1 | 2 | 3) => catmullRom(p0[c], p1[c], p2[c], p3[c], t);
      const point: Vec = [at(0), at(1), at(2)];
      s += length / steps;
      const next = Math.max(0.8, at(3) * swell(s));
      parts.push(capsule(previous, point, radius, next));
      previous = point;
      radius = next;
    }
  }
  return parts;
}

function catmullRom(a: number, b: number, c: number, d: number, t: number): number {
  return (
    0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t)
  );
}

/** A thin plate: line segments in the axial plane, thickened, between two levels; the ends are rounded. */
export function sheet(
  line: readonly (readonly [number, number])[],
  halfMm: number,
  z0: number,
  z1: number,
  lean: readonly [number, number] = [0, 0],
): Solid {
  const middle = (z0 + z1) / 2;
  return line.slice(1).map((end, i) => {
    const start = line[i]!;
    const flat = capsule([start[0], start[1], 0], [end[0], end[1], 0], halfMm, halfMm);
    const reach = Math.abs(z1 - z0) / 2;
    const b = flat.bounds;
    const [lx, ly] = [Math.abs(lean[0]) * reach, Math.abs(lean[1]) * reach];
    return {
      bounds: [b[0] - lx, b[1] + lx, b[2] - ly, b[3] + ly, z0, z1],
      distance: (x, y, z) =>
        Math.max(
          flat.distance(x - lean[0] * (z - middle), y - lean[1] * (z - middle), 0),
          Math.abs(z - middle) - reach,
        ),
    };
  });
}

/** One part that is the smooth union of several (polynomial minimum, Quilez), with a blend of `blendMm`. */
export function blend(parts: readonly Part[], blendMm: number): Part {
  const fold = (pick: (a: number, b: number) => number, i: number) =>
    parts.map((p) => p.bounds[i]!).reduce((a, b) => pick(a, b));
  return {
    bounds: [
      fold(Math.min, 0) - blendMm,
      fold(Math.max, 1) + blendMm,
      fold(Math.min, 2) - blendMm,
      fold(Math.max, 3) + blendMm,
      fold(Math.min, 4) - blendMm,
      fold(Math.max, 5) + blendMm,
    ],
    distance: (x, y, z) => {
      let d = parts[0]!.distance(x, y, z);
      for (let i = 1; i < parts.length; i++) {
        const e = parts[i]!.distance(x, y, z);
        const h = Math.max(0, blendMm - Math.abs(d - e)) / blendMm;
        d = Math.min(d, e) - h * h * blendMm * 0.25;
      }
      return d;
    },
  };
}

/** `part` without `hole`. */
export function carve(part: Part, hole: Part): Part {
  return {
    bounds: part.bounds,
    distance: (x, y, z) => {
      const d = part.distance(x, y, z);
      // Far outside the hole makes no difference.
      return d > FAR_MM ? d : Math.max(d, -hole.distance(x, y, z));
    },
  };
}

/** `part` with its surface moved outwards by `bumps` mm; `mostMm` is the largest value of `bumps`. */
export function rough(part: Part, bumps: Field, mostMm: number): Part {
  const b = part.bounds;
  return {
    bounds: [b[0] - mostMm, b[1] + mostMm, b[2] - mostMm, b[3] + mostMm, b[4] - mostMm, b[5] + mostMm],
    // Far from the surface its bumps make no difference.
    distance: (x, y, z) => {
      const d = part.distance(x, y, z);
      return d > FAR_MM + mostMm || d < -FAR_MM - mostMm ? d : d - bumps(x, y, z);
    },
  };
}
