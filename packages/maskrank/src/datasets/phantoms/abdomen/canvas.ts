// The anatomy at one level of a patient, painted: attenuation, labels, and what is inside the skin. What varies slowly is
// computed on a lattice of some pixels and blended between; distances to an organ's surface are computed pixel by pixel
// only in cells of the lattice that the surface can cross. Not here: the scanner (slice.ts).

import { upsample } from '../draw/field.ts';
import { lend } from '../draw/scratch.ts';
import type { Anatomy } from './anatomy.ts';
import type { Layer } from './layers.ts';
import { PLAIN_HU } from './phases.ts';
import type { Part } from './solids.ts';
import { AXIS_MM, CHEST_FROM_MM, type TrunkOutline, type TrunkPoint } from './trunk.ts';

/** Cells along a side where the displacement of anatomy is computed. */
const WARP_CELLS = 16;
/** Pixels of a cell of the lattice, in a picture of 256. */
const CELL_PX = 4;
/** Solids' distances change by at most this much a mm. */
const STEEPEST = 1.6;
/** Bumps of a surface are nowhere larger, mm. */
const MOST_BUMP_MM = 5;
/** Numbers of a lattice point's outline: cavity, chest, wall, skin, back. */
const OUTLINE = 5;

/** Columns and rows of pixels: left, right, top, bottom; right and bottom are exclusive. */
type Box = readonly [number, number, number, number];

export class Canvas {
  readonly n: number;
  readonly hu: Float32Array<ArrayBuffer>;
  readonly labels: Uint8Array;
  readonly body: Uint8Array;
  private readonly anatomy: Anatomy;
  private readonly cell: number;
  /** Points of the lattice along a side; the first stands on the first pixel. */
  private readonly points: number;
  /** Reference anatomy of the lattice, mm. */
  private readonly gx: Float32Array<ArrayBuffer>;
  private readonly gy: Float32Array<ArrayBuffer>;
  private readonly gz: Float32Array<ArrayBuffer>;
  /** Distances of a part, or bumps of a layer, on the lattice. */
  private readonly corners: Float32Array<ArrayBuffer>;
  /** Reference anatomy of each pixel, mm. */
  private readonly x: Float32Array;
  private readonly y: Float32Array;
  private readonly z: Float32Array;
  private readonly cavityMm: Float32Array;
  private readonly chestMm: Float32Array;
  private readonly firm: Uint8Array;
  /** Distance to the layer at hand where it was measured, else Infinity; and those pixels, in no order. */
  private readonly distance: Float32Array;
  private readonly near: Int32Array;
  private nearCount = 0;
  private readonly zRange: readonly [number, number];

  /** Paints at once; all but labels and body is lent until the next picture. */
  constructor(anatomy: Anatomy, sizePx: number, zPatientMm: number) {
    const count = sizePx * sizePx;
    this.anatomy = anatomy;
    this.n = sizePx;
    this.cell = Math.max(2, Math.round((CELL_PX * sizePx) / 256));
    this.points = Math.ceil(sizePx / this.cell) + 1;
    const lattice = this.points * this.points;
    [this.gx, this.gy, this.gz, this.corners] = [lend(lattice), lend(lattice), lend(lattice), lend(lattice)];
    this.hu = lend(count);
    this.labels = new Uint8Array(count);
    this.body = new Uint8Array(count);
    this.firm = new Uint8Array(count);
    this.distance = lend(count).fill(Infinity);
    this.near = new Int32Array(count);
    this.zRange = this.place(zPatientMm / anatomy.patient.scale);
    this.x = this.blended(this.gx);
    this.y = this.blended(this.gy);
    this.z = this.blended(this.gz);
    const outlines = this.outlines();
    this.cavityMm = this.blended(this.corners.map((_, g) => outlines[g * OUTLINE]!));
    this.chestMm = this.blended(this.corners.map((_, g) => outlines[g * OUTLINE + 1]!));
    this.paintTrunk(outlines);
    for (const layer of anatomy.layers) this.paintLayer(layer);
  }

  private blended(lattice: Float32Array<ArrayBuffer>): Float32Array {
    return upsample(lattice, this.points, this.cell, lend(this.n * this.n), this.n, this.n);
  }

  /** Millimetres of reference anatomy a pixel, and pixel of the spine. */
  private geometry() {
    const { fieldOfViewMm, scale, centre } = this.anatomy.patient;
    return { mm: fieldOfViewMm / scale / this.n, cx: centre[0] * this.n, cy: centre[1] * this.n };
  }

  /** Places the lattice in the reference anatomy; gives the range of its heights. */
  private place(z: number): readonly [number, number] {
    const { n, points, cell, gx, gy, gz } = this;
    const { mm, cx, cy } = this.geometry();
    const [wx, wy, wz] = this.anatomy.patient.warp;
    const cells = WARP_CELLS;
    const moved = new Float32Array((cells + 1) * (cells + 1) * 3);
    for (let j = 0, g = 0; j <= cells; j++) {
      for (let i = 0; i <= cells; i++, g += 3) {
        const x = ((i * n) / cells - cx) * mm;
        const y = ((j * n) / cells - cy) * mm;
        moved[g] = wx(x, y, z);
        moved[g + 1] = wy(x, y, z);
        moved[g + 2] = wz(x, y, z);
      }
    }
    let [low, high] = [Infinity, -Infinity];
    for (let row = 0, p = 0; row < points; row++) {
      const v = (Math.min(n, row * cell + 0.5) * cells) / n;
      const j = Math.min(cells - 1, Math.floor(v));
      const b = v - j;
      for (let column = 0; column < points; column++, p++) {
        const u = (Math.min(n, column * cell + 0.5) * cells) / n;
        const i = Math.min(cells - 1, Math.floor(u));
        const a = u - i;
        const g = (j * (cells + 1) + i) * 3;
        const h = g + (cells + 1) * 3;
        const w11 = a * b;
        const w10 = a - w11;
        const w01 = b - w11;
        const w00 = 1 - a - w01;
        gx[p] =
          (column * cell + 0.5 - cx) * mm +
          (moved[g]! * w00 + moved[g + 3]! * w10 + moved[h]! * w01 + moved[h + 3]! * w11);
        gy[p] =
          (row * cell + 0.5 - cy) * mm +
          (moved[g + 1]! * w00 + moved[g + 4]! * w10 + moved[h + 1]! * w01 + moved[h + 4]! * w11);
        const here =
          z + (moved[g + 2]! * w00 + moved[g + 5]! * w10 + moved[h + 2]! * w01 + moved[h + 5]! * w11);
        gz[p] = here;
        if (here < low) low = here;
        if (here > high) high = here;
      }
    }
    return [low, high];
  }

  private outlines(): Float32Array {
    const { gx, gy, gz } = this;
    const { outline } = this.anatomy.trunk;
    const at: TrunkOutline = { cavityMm: 0, chestMm: 0, wallMm: 0, skinMm: 0, back: 0 };
    const out = new Float32Array(gx.length * OUTLINE);
    for (let g = 0, to = 0; g < gx.length; g++, to += OUTLINE) {
      outline(gx[g]!, gy[g]!, gz[g]!, at);
      out[to] = at.cavityMm;
      out[to + 1] = at.chestMm;
      out[to + 2] = at.wallMm;
      out[to + 3] = at.skinMm;
      out[to + 4] = at.back;
    }
    return out;
  }

  private paintTrunk(outlines: Float32Array): void {
    const { n, cell, points, gx, gy, gz } = this;
    const stride = points * OUTLINE;
    for (let row = 0; row + 1 < points; row++) {
      for (let column = 0; column + 1 < points; column++) {
        const g = row * points + column;
        const o = g * OUTLINE;
        let [nearest, farthest] = [Infinity, -Infinity];
        for (let corner = 0; corner < 4; corner++) {
          const k = o + (corner & 1) * OUTLINE + (corner >> 1) * stride;
          const cavity = outlines[k]!;
          const skin = cavity - outlines[k + 3]!;
          if (skin < nearest) nearest = skin;
          if (cavity > farthest) farthest = cavity;
        }
        const box: Box = [
          column * cell,
          Math.min(n, (column + 1) * cell),
          row * cell,
          Math.min(n, (row + 1) * cell),
        ];
        const slack = 2 * Math.abs(gx[g + 1]! - gx[g]!);
        const axis = Math.abs(gx[g]!) < AXIS_MM.side + slack && gy[g]! > AXIS_MM.front - slack && gz[g]! < 90;
        const top = Math.max(gz[g]!, gz[g + 1]!, gz[g + points]!, gz[g + points + 1]!);
        if (nearest > 4) this.paintCell(box, PLAIN_HU.air, 0);
        else if (farthest < -4 && !axis && top < CHEST_FROM_MM) this.paintCell(box, PLAIN_HU.fat, 1);
        else this.paintTissue(box, outlines, o, stride);
      }
    }
  }

  private paintCell([left, right, top, bottom]: Box, hu: number, body: 0 | 1): void {
    for (let row = top; row < bottom; row++) {
      for (let p = row * this.n + left; p < row * this.n + right; p++) {
        this.hu[p] = hu;
        this.body[p] = body;
        this.firm[p] = 1 - body;
      }
    }
  }

  /** Pixel by pixel, with the outline blended between the cell's corners. */
  private paintTissue(
    [left, right, top, bottom]: Box,
    outlines: Float32Array,
    o: number,
    stride: number,
  ): void {
    const { n, cell, x: xs, y: ys, z: zs, cavityMm, chestMm } = this;
    const { tissue } = this.anatomy.trunk;
    for (let row = top; row < bottom; row++) {
      const b = (row - top) / cell;
      for (let column = left; column < right; column++) {
        const p = row * n + column;
        const a = (column - left) / cell;
        OUTLINE_AT.cavityMm = cavityMm[p]!;
        OUTLINE_AT.chestMm = chestMm[p]!;
        // In the cavity nobody asks for the wall, and all is inside the skin.
        if (OUTLINE_AT.cavityMm > 0) {
          OUTLINE_AT.wallMm = bilinear(outlines, o + 2, stride, a, b);
          OUTLINE_AT.skinMm = bilinear(outlines, o + 3, stride, a, b);
          OUTLINE_AT.back = bilinear(outlines, o + 4, stride, a, b);
        }
        tissue(xs[p]!, ys[p]!, zs[p]!, OUTLINE_AT, TISSUE_AT);
        this.hu[p] = TISSUE_AT.hu;
        this.body[p] = TISSUE_AT.body ? 1 : 0;
        this.firm[p] = TISSUE_AT.firm;
      }
    }
  }

  private paintLayer(layer: Layer): void {
    const halo = layer.haloMm ?? 0;
    const reach = halo + (layer.bumps === undefined ? 0 : MOST_BUMP_MM);
    const [low, high] = this.zRange;
    let [x0, x1, y0, y1] = [this.n, 0, this.n, 0];
    const cut: { part: Part; box: Box }[] = [];
    for (const part of layer.solid) {
      if (part.bounds[4] - reach >= high || part.bounds[5] + reach <= low) continue;
      const box = this.boxOf(part, reach);
      if (box[0] >= box[1] || box[2] >= box[3]) continue;
      cut.push({ part, box });
      [x0, x1] = [Math.min(x0, box[0]), Math.max(x1, box[1])];
      [y0, y1] = [Math.min(y0, box[2]), Math.max(y1, box[3])];
    }
    if (cut.length === 0) return;
    for (const { part, box } of cut) {
      if (part.capsule === undefined) this.measure(part, box, reach, layer.room);
      else this.measureCapsule(part.capsule, box, reach);
    }
    if (layer.bumps !== undefined) this.lattice(layer.bumps, [x0, x1, y0, y1]);
    const { near, distance } = this;
    for (let k = 0; k < this.nearCount; k++) {
      this.fill(layer, near[k]!, halo);
      distance[near[k]!] = Infinity;
    }
    this.nearCount = 0;
  }

  /** Lowers the distance of a pixel. */
  private lower(p: number, d: number): void {
    if (this.distance[p] === Infinity) this.near[this.nearCount++] = p;
    this.distance[p] = d;
  }

  /** A function of space on the lattice's points around a box of pixels, into `corners`. */
  private lattice(of: (x: number, y: number, z: number) => number, [left, right, top, bottom]: Box): void {
    const { gx, gy, gz, corners, points, cell } = this;
    const last = Math.ceil(bottom / cell);
    const end = Math.ceil(right / cell);
    for (let j = Math.floor(top / cell); j <= last; j++)
      for (let i = Math.floor(left / cell); i <= end; i++) {
        const g = j * points + i;
        corners[g] = of(gx[g]!, gy[g]!, gz[g]!);
      }
  }

  /** Lowers `distance` to that of a part, where a pixel lies in the part's bounds and in the room. */
  private measure(part: Part, box: Box, reach: number, room: Layer['room']): void {
    const { n, points, cell, corners, distance } = this;
    this.lattice(part.distance, box);
    const [left, right, top, bottom] = box;
    const slack = 0.75 * STEEPEST * cell * this.geometry().mm;
    const anywhere = room === 'trunk';
    for (let j = Math.floor(top / cell); j * cell < bottom; j++) {
      for (let i = Math.floor(left / cell); i * cell < right; i++) {
        const g = j * points + i;
        const a = corners[g]!;
        const b = corners[g + 1]!;
        const c = corners[g + points]!;
        const d = corners[g + points + 1]!;
        if (Math.min(a, b, c, d) > reach + slack) continue;
        const cellBox: Box = [
          Math.max(left, i * cell),
          Math.min(right, (i + 1) * cell),
          Math.max(top, j * cell),
          Math.min(bottom, (j + 1) * cell),
        ];
        if (Math.max(a, b, c, d) > -slack) {
          this.measureExactly(part, cellBox, reach, anywhere);
          continue;
        }
        for (let row = cellBox[2]; row < cellBox[3]; row++) {
          const v = (row - j * cell) / cell;
          const start = a + v * (c - a);
          const slope = (b + v * (d - b) - start) / cell;
          for (let column = cellBox[0]; column < cellBox[1]; column++) {
            const here = start + slope * (column - i * cell);
            if (here < reach && here < distance[row * n + column]!) this.lower(row * n + column, here);
          }
        }
      }
    }
  }

  private measureExactly(
    { bounds: b, distance: of }: Part,
    [left, right, top, bottom]: Box,
    reach: number,
    anywhere: boolean,
  ): void {
    const { n, x: xs, y: ys, z: zs, distance, cavityMm } = this;
    for (let row = top; row < bottom; row++) {
      for (let p = row * n + left; p < row * n + right; p++) {
        if (!anywhere && cavityMm[p]! > 0) continue;
        const x = xs[p]!;
        const y = ys[p]!;
        const z = zs[p]!;
        if (x < b[0] - reach || x > b[1] + reach || y < b[2] - reach || y > b[3] + reach) continue;
        if (z < b[4] - reach || z > b[5] + reach) continue;
        const d = of(x, y, z);
        if (d < reach && d < distance[p]!) this.lower(p, d);
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
        if (d < reach && d < distance[p]!) this.lower(p, d);
      }
    }
  }

  private fill(layer: Layer, p: number, halo: number): void {
    const inset = layer.insetMm ?? 1;
    let d = this.distance[p]!;
    if (layer.bumps !== undefined) {
      const { n, cell, points, corners } = this;
      const row = Math.floor(p / n);
      const column = p - row * n;
      const j = Math.floor(row / cell);
      const i = Math.floor(column / cell);
      d -= bilinearScalar(corners, j * points + i, points, column / cell - i, row / cell - j);
    }
    if (d >= halo) return;
    const x = this.x[p]!;
    const y = this.y[p]!;
    const z = this.z[p]!;
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

const OUTLINE_AT: TrunkOutline = { cavityMm: 0, chestMm: 0, wallMm: 0, skinMm: 0, back: 0 };
const TISSUE_AT: TrunkPoint = { hu: 0, body: false, firm: 0 };

/** One number of the outline between the four corners of a cell. */
function bilinear(of: Float32Array, o: number, stride: number, a: number, b: number): number {
  const upper = of[o]! + a * (of[o + OUTLINE]! - of[o]!);
  const lower = of[o + stride]! + a * (of[o + stride + OUTLINE]! - of[o + stride]!);
  return upper + b * (lower - upper);
}

function bilinearScalar(of: Float32Array, g: number, stride: number, a: number, b: number): number {
  const upper = of[g]! + a * (of[g + 1]! - of[g]!);
  const lower = of[g + stride]! + a * (of[g + stride + 1]! - of[g + stride]!);
  return upper + b * (lower - upper);
}
