// The kinds of labelled shapes of the mixed family, as exact masks. n: pixels a side; shapes are placed and sized in
// shares of the image. Not here: how they look (appearance.ts).

import type { Random } from '../../../util/random.ts';
import { closedCurve, fillPolygon, type Vertex } from '../draw/lines.ts';

/** Writes 1 where the shape is; `out` holds n * n zeros. */
export type Outline = (out: Uint8Array, n: number, random: Random) => void;

/** A small share of the pictures has large shapes, most have medium and small ones. */
const radiusOf = (random: Random, lo: number, hi: number): number => lo + (hi - lo) * random.next() ** 1.6;

function place(random: Random, n: number, radius: number): Vertex {
  const margin = Math.min(0.45, radius * 0.75);
  return { x: n * random.uniform(margin, 1 - margin), y: n * random.uniform(margin, 1 - margin) };
}

/** A smooth closed outline around a point; `waviness` is the spread of its radius. */
function blobAround(random: Random, centre: Vertex, rx: number, ry: number, waviness: number): Vertex[] {
  const points = random.int(6, 13);
  const turn = random.uniform(0, 2 * Math.PI);
  const [c, s] = [Math.cos(turn), Math.sin(turn)];
  const control = Array.from({ length: points }, (_, k): Vertex => {
    const angle = (2 * Math.PI * (k + random.uniform(-0.2, 0.2))) / points;
    const r = 1 + waviness * random.uniform(-1, 1);
    const [u, v] = [rx * r * Math.cos(angle), ry * r * Math.sin(angle)];
    return { x: centre.x + c * u - s * v, y: centre.y + s * u + c * v };
  });
  return closedCurve(control, 8);
}

function ellipseAround(centre: Vertex, rx: number, ry: number, turn: number): Vertex[] {
  const [c, s] = [Math.cos(turn), Math.sin(turn)];
  return Array.from({ length: 64 }, (_, k): Vertex => {
    const angle = (2 * Math.PI * k) / 64;
    const [u, v] = [rx * Math.cos(angle), ry * Math.sin(angle)];
    return { x: centre.x + c * u - s * v, y: centre.y + s * u + c * v };
  });
}

const blob: Outline = (out, n, random) => {
  const r = radiusOf(random, 0.05, 0.26);
  const stretch = random.uniform(0.6, 1);
  fillPolygon(
    out,
    n,
    n,
    blobAround(random, place(random, n, r), r * n, r * stretch * n, random.uniform(0.1, 0.4)),
  );
};

const ellipse: Outline = (out, n, random) => {
  const r = radiusOf(random, 0.04, 0.28);
  const turn = random.uniform(0, Math.PI);
  fillPolygon(out, n, n, ellipseAround(place(random, n, r), r * n, r * n * random.uniform(0.4, 1), turn));
};

const polygon: Outline = (out, n, random) => {
  const r = radiusOf(random, 0.06, 0.26);
  const centre = place(random, n, r);
  const corners = random.int(3, 8);
  const start = random.uniform(0, 2 * Math.PI);
  const vertices = Array.from({ length: corners }, (_, k): Vertex => {
    const angle = start + (2 * Math.PI * (k + random.uniform(-0.25, 0.25))) / corners;
    const d = r * n * random.uniform(0.65, 1);
    return { x: centre.x + d * Math.cos(angle), y: centre.y + d * Math.sin(angle) };
  });
  fillPolygon(out, n, n, vertices);
};

const tube: Outline = (out, n, random) => {
  const width = n * radiusOf(random, 0.012, 0.05);
  const step = n * 0.03;
  let { x, y } = place(random, n, 0.3);
  let heading = random.uniform(0, 2 * Math.PI);
  let bend = 0;
  const steps = random.int(10, 26);
  for (let k = 0; k < steps; k++) {
    bend = 0.85 * bend + random.uniform(-0.14, 0.14);
    heading += bend;
    const next: Vertex = { x: x + step * Math.cos(heading), y: y + step * Math.sin(heading) };
    const w = width * (1 - (0.5 * k) / steps);
    const [nx, ny] = [-w * Math.sin(heading), w * Math.cos(heading)];
    fillPolygon(out, n, n, [
      { x: x + nx, y: y + ny },
      { x: next.x + nx, y: next.y + ny },
      { x: next.x - nx, y: next.y - ny },
      { x: x - nx, y: y - ny },
    ]);
    fillPolygon(out, n, n, ellipseAround(next, w, w, 0));
    ({ x, y } = next);
  }
};

const ring: Outline = (out, n, random) => {
  const r = radiusOf(random, 0.07, 0.27);
  const centre = place(random, n, r);
  const [rx, ry] = [r * n, r * n * random.uniform(0.7, 1)];
  const turn = random.uniform(0, Math.PI);
  const hole = random.uniform(0.45, 0.8);
  const aside = {
    x: centre.x + 0.08 * rx * random.uniform(-1, 1),
    y: centre.y + 0.08 * ry * random.uniform(-1, 1),
  };
  fillPolygon(out, n, n, ellipseAround(centre, rx, ry, turn));
  fillPolygon(out, n, n, ellipseAround(aside, rx * hole, ry * hole, turn), 0);
};

/** Two alike on both sides of the midline, as lungs and kidneys are. */
const pair: Outline = (out, n, random) => {
  const r = radiusOf(random, 0.06, 0.2);
  const [rx, ry] = [r * n, r * n * random.uniform(0.9, 1.7)];
  const apart = random.uniform(Math.max(0.14, r + 0.02), 0.3) * n;
  const y = n * random.uniform(0.3, 0.7);
  const middle = n * random.uniform(0.46, 0.54);
  const points = random.int(7, 11);
  const radii = Array.from({ length: points }, () => 1 + random.uniform(-0.2, 0.2));
  for (const side of [-1, 1]) {
    const tilt = side * random.uniform(-0.25, 0.25);
    const control = radii.map((radius, k): Vertex => {
      const angle = (2 * Math.PI * k) / points;
      const own = radius + random.uniform(-0.06, 0.06);
      const [u, v] = [rx * own * Math.cos(angle), ry * own * Math.sin(angle)];
      return { x: middle + side * (apart + u) - tilt * v, y: y + v + tilt * u };
    });
    fillPolygon(out, n, n, closedCurve(control, 8));
  }
};

export const OUTLINES = { blob, ellipse, polygon, tube, ring, pair } as const;
export type ShapeKind = keyof typeof OUTLINES;
