// One axial slice of a patient: the anatomy at two levels of the slice's thickness, averaged (partial volume), blurred
// as the kernel does, with noise and streaks. Rows run from anterior to posterior, columns from the patient's right to
// the patient's left, as radiologists look at it. Labels are those of the middle level, exact to the pixel.

import type { Random } from '../../../util/random.ts';
import { blur, whiteField } from '../draw/field.ts';
import { type Anatomy, heightMm } from './anatomy.ts';
import { valueNoise } from './field.ts';
import type { Layer } from './layers.ts';
import { SLICE_MM } from './patient.ts';
import { PLAIN_HU } from './phases.ts';
import type { Part } from './solids.ts';
import type { TrunkPoint } from './trunk.ts';

export type AbdomenSlice = {
  readonly sizePx: number;
  /** Attenuation, HU, row-major. */
  readonly hu: Int16Array;
  /** AMOS ids, 0 background. */
  readonly labels: Uint8Array;
  /** 1 inside the skin. */
  readonly body: Uint8Array;
};

/** Partial volume: this level (as a part of the thickness) counts with this weight, drawn at half the resolution. */
const SIDE = { level: 0.36, weight: 0.35 } as const;
/** Distance between points where the displacement is computed, pixels of a 256-pixel slice. */
const WARP_CELLS = 16;
const HU_RANGE = [-1024, 3071] as const;

export function drawSlice(anatomy: Anatomy, slice: number, sizePx: number): AbdomenSlice {
  const heightOf = (level: number) => heightMm(anatomy, slice) + level * SLICE_MM;
  const { hu: middle, labels, body } = new Canvas(anatomy, sizePx).paint(heightOf(0));
  const side = new Canvas(anatomy, Math.ceil(sizePx / 2)).paint(heightOf(SIDE.level));
  const sum = middle.map((hu) => hu * (1 - SIDE.weight));
  addEnlarged(sum, sizePx, side.hu, side.n, SIDE.weight);
  const spacingMm = anatomy.patient.fieldOfViewMm / sizePx;
  addTable(sum, sizePx, anatomy, body);
  const smooth = blur(sum, sizePx, sizePx, anatomy.patient.blurMm / spacingMm);
  return {
    sizePx,
    hu: scan(smooth, sizePx, anatomy, anatomy.noise(slice), heightMm(anatomy, slice)),
    labels,
    body,
  };
}

/** Columns and rows of pixels: left, right, top, bottom; right and bottom are exclusive. */
type Box = readonly [number, number, number, number];

/** The anatomy at one level; its buffers are used again for the next. */
class Canvas {
  readonly hu: Float32Array;
  readonly labels: Uint8Array;
  readonly body: Uint8Array;
  private readonly anatomy: Anatomy;
  readonly n: number;
  /** Reference anatomy of each pixel, mm. */
  private readonly x: Float32Array;
  private readonly y: Float32Array;
  private readonly z: Float32Array;
  private readonly cavityMm: Float32Array;
  private readonly chestMm: Float32Array;
  private readonly firm: Uint8Array;
  private readonly distance: Float32Array;
  private zRange: readonly [number, number] = [0, 0];

  constructor(anatomy: Anatomy, sizePx: number) {
    const count = sizePx * sizePx;
    this.anatomy = anatomy;
    this.n = sizePx;
    this.hu = new Float32Array(count);
    this.labels = new Uint8Array(count);
    this.body = new Uint8Array(count);
    this.x = new Float32Array(count);
    this.y = new Float32Array(count);
    this.z = new Float32Array(count);
    this.cavityMm = new Float32Array(count);
    this.chestMm = new Float32Array(count);
    this.firm = new Uint8Array(count);
    this.distance = new Float32Array(count);
  }

  paint(zPatientMm: number): this {
    this.place(zPatientMm / this.anatomy.patient.scale);
    this.paintTrunk();
    for (const layer of this.anatomy.layers) this.paintLayer(layer);
    return this;
  }

  /** Millimetres of reference anatomy a pixel, and pixel of the spine. */
  private geometry() {
    const { fieldOfViewMm, scale, centre } = this.anatomy.patient;
    return { mm: fieldOfViewMm / scale / this.n, cx: centre[0] * this.n, cy: centre[1] * this.n };
  }

  private place(z: number): void {
    const { n, x: xs, y: ys, z: zs } = this;
    const { mm, cx, cy } = this.geometry();
    const [wx, wy, wz] = this.anatomy.patient.warp;
    const cells = WARP_CELLS;
    const grid = new Float32Array((cells + 1) * (cells + 1) * 3);
    let [low, high] = [Infinity, -Infinity];
    for (let j = 0, g = 0; j <= cells; j++) {
      for (let i = 0; i <= cells; i++, g += 3) {
        const x = ((i * n) / cells - cx) * mm;
        const y = ((j * n) / cells - cy) * mm;
        grid[g] = x + wx(x, y, z);
        grid[g + 1] = y + wy(x, y, z);
        const dz = z + wz(x, y, z);
        grid[g + 2] = dz;
        low = Math.min(low, dz);
        high = Math.max(high, dz);
      }
    }
    this.zRange = [low, high];
    for (let row = 0, p = 0; row < n; row++) {
      const v = ((row + 0.5) * cells) / n;
      const j = Math.min(cells - 1, Math.floor(v));
      const b = v - j;
      for (let column = 0; column < n; column++, p++) {
        const u = ((column + 0.5) * cells) / n;
        const i = Math.min(cells - 1, Math.floor(u));
        const a = u - i;
        const g = (j * (cells + 1) + i) * 3;
        const h = g + (cells + 1) * 3;
        const w11 = a * b;
        const w10 = a - w11;
        const w01 = b - w11;
        const w00 = 1 - a - w01;
        xs[p] = grid[g]! * w00 + grid[g + 3]! * w10 + grid[h]! * w01 + grid[h + 3]! * w11;
        ys[p] = grid[g + 1]! * w00 + grid[g + 4]! * w10 + grid[h + 1]! * w01 + grid[h + 4]! * w11;
        zs[p] = grid[g + 2]! * w00 + grid[g + 5]! * w10 + grid[h + 2]! * w01 + grid[h + 5]! * w11;
      }
    }
  }

  private paintTrunk(): void {
    const { at } = this.anatomy.trunk;
    const point: TrunkPoint = { hu: 0, cavityMm: 0, chestMm: 0, body: false, firm: 0 };
    for (let p = 0; p < this.hu.length; p++) {
      at(this.x[p]!, this.y[p]!, this.z[p]!, point);
      this.hu[p] = point.hu;
      this.cavityMm[p] = point.cavityMm;
      this.chestMm[p] = point.chestMm;
      this.body[p] = point.body ? 1 : 0;
      this.firm[p] = point.firm;
      this.labels[p] = 0;
    }
  }

  private paintLayer(layer: Layer): void {
    const halo = layer.haloMm ?? 0;
    const reach = halo + (layer.bumps === undefined ? 0 : 5);
    const cut = layer.solid.filter(
      (part) => part.bounds[4] - reach < this.zRange[1] && part.bounds[5] + reach > this.zRange[0],
    );
    if (cut.length === 0) return;
    const boxes = cut.map((part) => this.boxOf(part, reach));
    const x0 = Math.min(...boxes.map((b) => b[0]));
    const x1 = Math.max(...boxes.map((b) => b[1]));
    const y0 = Math.min(...boxes.map((b) => b[2]));
    const y1 = Math.max(...boxes.map((b) => b[3]));
    const { n, distance } = this;
    for (let row = y0; row < y1; row++) distance.fill(Infinity, row * n + x0, row * n + Math.max(x0, x1));
    cut.forEach((part, i) => {
      if (part.capsule === undefined) this.measure(part, boxes[i]!, reach, layer.room);
      else this.measureCapsule(part.capsule, boxes[i]!, reach);
    });
    for (let row = y0; row < y1; row++) {
      for (let p = row * n + x0; p < row * n + x1; p++) if (distance[p]! < reach) this.fill(layer, p, halo);
    }
  }

  /** Lowers `distance` to that of a part, where a pixel lies in the part's bounds and in the room. */
  private measure({ bounds: b, distance: of }: Part, box: Box, reach: number, room: Layer['room']): void {
    const { n, x: xs, y: ys, z: zs, distance, cavityMm } = this;
    const [left, right, top, bottom] = box;
    const anywhere = room === 'trunk';
    for (let row = top; row < bottom; row++) {
      for (let p = row * n + left; p < row * n + right; p++) {
        if (!anywhere && cavityMm[p]! > 0) continue;
        const x = xs[p]!;
        const y = ys[p]!;
        const z = zs[p]!;
        if (x < b[0] - reach || x > b[1] + reach || y < b[2] - reach || y > b[3] + reach) continue;
        if (z < b[4] - reach || z > b[5] + reach) continue;
        const d = of(x, y, z);
        if (d < distance[p]!) distance[p] = d;
      }
    }
  }

  /** The same for a capsule, without a call a pixel. */
  private measureCapsule(c: Float64Array, [left, right, top, bottom]: Box, reach: number): void {
    const { n, x: xs, y: ys, z: zs, distance } = this;
    const ax = c[0]!;
    const ay = c[1]!;
    const az = c[2]!;
    const dx = c[3]!;
    const dy = c[4]!;
    const dz = c[5]!;
    const inverse = c[6]!;
    const radius = c[7]!;
    const grows = c[8]!;
    const limit = reach + Math.max(radius, radius + grows);
    for (let row = top; row < bottom; row++) {
      for (let p = row * n + left; p < row * n + right; p++) {
        const px = xs[p]! - ax;
        const py = ys[p]! - ay;
        const pz = zs[p]! - az;
        const along = (px * dx + py * dy + pz * dz) * inverse;
        const t = along < 0 ? 0 : along > 1 ? 1 : along;
        const qx = px - t * dx;
        const qy = py - t * dy;
        const qz = pz - t * dz;
        const square = qx * qx + qy * qy + qz * qz;
        if (square > limit * limit) continue;
        const d = Math.sqrt(square) - radius - t * grows;
        if (d < distance[p]!) distance[p] = d;
      }
    }
  }

  private fill(layer: Layer, p: number, halo: number): void {
    const inset = layer.insetMm ?? 1;
    const x = this.x[p]!;
    const y = this.y[p]!;
    const z = this.z[p]!;
    const d = this.distance[p]! - (layer.bumps === undefined ? 0 : layer.bumps(x, y, z));
    if (d >= halo) return;
    if (layer.room === 'trunk') {
      if (this.body[p] === 1 && d < 0) {
        this.hu[p] = layer.hu(x, y, z, d);
        this.labels[p] = 0;
      }
      return;
    }
    if (layer.within !== undefined && this.labels[p] !== layer.within) return;
    if (this.firm[p] === 2) return;
    const wall = this.cavityMm[p]! + inset;
    const room = layer.room === 'abdomen' ? Math.max(wall, this.chestMm[p]! + 3) : wall;
    const depth = d > room ? d : room;
    if (depth < 0) {
      this.hu[p] = layer.hu(x, y, z, depth);
      this.labels[p] = layer.classId;
    } else if (depth < halo && room < 0 && this.firm[p] === 0) {
      this.hu[p] = PLAIN_HU.fat;
      this.labels[p] = 0;
    }
  }

  /** Pixels a part can reach: its box, moved by the displacement at its middle, with room for how that varies. */
  private boxOf({ bounds: b }: Part, reach: number): Box {
    const { mm, cx, cy } = this.geometry();
    const [wx, wy] = this.anatomy.patient.warp;
    const zMiddle = (this.zRange[0] + this.zRange[1]) / 2;
    const [xm, ym] = [(b[0] + b[1]) / 2, (b[2] + b[3]) / 2];
    const [ux, uy] = [wx(xm, ym, zMiddle), wy(xm, ym, zMiddle)];
    const half = Math.max(b[1] - b[0], b[3] - b[2]) / 2;
    const pad = reach + 2.5 + 0.3 * half;
    const px = (v: number) => Math.min(this.n, Math.max(0, v));
    return [
      px(Math.floor((b[0] - ux - pad) / mm + cx)),
      px(Math.ceil((b[1] - ux + pad) / mm + cx)),
      px(Math.floor((b[2] - uy - pad) / mm + cy)),
      px(Math.ceil((b[3] - uy + pad) / mm + cy)),
    ];
  }
}

/** Adds `weight` times an image of `m` pixels a side, enlarged to `n` (bilinear, as both cover the same field of view). */
function addEnlarged(sum: Float32Array, n: number, small: Float32Array, m: number, weight: number): void {
  const ratio = m / n;
  for (let row = 0, p = 0; row < n; row++) {
    const v = Math.max(0, (row + 0.5) * ratio - 0.5);
    const j = Math.min(m - 1, Math.floor(v));
    const above = j * m;
    const below = Math.min(m - 1, j + 1) * m;
    const b = v - j;
    for (let column = 0; column < n; column++, p++) {
      const u = Math.max(0, (column + 0.5) * ratio - 0.5);
      const i = Math.min(m - 1, Math.floor(u));
      const next = Math.min(m - 1, i + 1);
      const a = u - i;
      const upper = small[above + i]! * (1 - a) + small[above + next]! * a;
      const lower = small[below + i]! * (1 - a) + small[below + next]! * a;
      sum[p] = sum[p]! + weight * (upper * (1 - b) + lower * b);
    }
  }
}

/** The table's shell under the patient, where there is only air. */
function addTable(hu: Float32Array, n: number, { patient }: Anatomy, body: Uint8Array): void {
  const mm = patient.fieldOfViewMm / n;
  let lowest = 0;
  for (let p = body.length - 1; p >= 0 && lowest === 0; p--) if (body[p] === 1) lowest = Math.floor(p / n);
  const bottom = (lowest + 1.5) * mm + 5;
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < n; column++) {
      const p = row * n + column;
      if (body[p] === 1) continue;
      const across = (column - patient.centre[0] * n) * mm;
      const away = Math.abs(row * mm - (bottom - (across * across) / 1500));
      if (Math.abs(across) < 205 && away < 0.6 * mm + 0.8) hu[p] = 260 - 160 * Math.max(0, away - 0.3 * mm);
    }
  }
}

/** Noise that grows towards the middle, streaks along the widest absorption, and the scanner's range. */
function scan(hu: Float32Array, n: number, { patient }: Anatomy, random: Random, z: number): Int16Array {
  const sigma = 0.75 * Math.max(0.6, n / patient.fieldOfViewMm);
  const grain = blur(whiteField(random, n, n), n, n, sigma);
  // So that `noiseHu` is the standard deviation of what is added.
  const gain = patient.noiseHu / deviation(grain);
  const streakHu = patient.streakHu * (z < -170 || z > 60 ? 1 : 0.25);
  const streak = valueNoise(random.uint32(), 1);
  const out = new Int16Array(n * n);
  const low = HU_RANGE[0];
  const high = HU_RANGE[1];
  for (let row = 0, p = 0; row < n; row++) {
    const v = (row / n - patient.centre[1] + 0.1) * 3;
    for (let column = 0; column < n; column++, p++) {
      const u = (column / n - patient.centre[0]) * 2.2;
      const level = hu[p]!;
      const middle = 1.25 / (1 + u * u + v * v);
      let value = level + grain[p]! * gain * middle;
      if (streakHu > 1 && level > -500)
        value += streakHu * streak((column * 14) / n, (row * 150) / n + (column / n) * 6, 0) * middle;
      out[p] = Math.round(value < low ? low : value > high ? high : value);
    }
  }
  return out;
}

function deviation(field: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < field.length; i++) squares += field[i]! * field[i]!;
  return Math.sqrt(squares / field.length);
}
