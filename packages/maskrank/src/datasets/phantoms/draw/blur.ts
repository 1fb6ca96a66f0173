// Blurs by box sums with edges repeated. W, H width and height in pixels; a field is row-major.
// Not here: which blur a scanner has.

import { clamp, type Field, upsample } from './field.ts';
import { lend, withScratch } from './scratch.ts';

/** About a Gaussian blur: two boxes an axis, one (a plain box) for small deviations or by `passes`. The input stays as it is. */
export function blur(
  field: Field,
  width: number,
  height: number,
  sigmaX: number,
  sigmaY = sigmaX,
  passes = 2,
): Field {
  return withScratch(() => {
    let out = field;
    for (const radius of boxRadii(sigmaX, passes)) out = boxRows(out, width, height, radius);
    for (const radius of boxRadii(sigmaY, passes)) out = boxColumns(out, width, height, radius);
    if (out !== field) return out;
    const copy = lend(field.length);
    copy.set(field);
    return copy;
  });
}

/** A wide blur, done on every fourth pixel: for deviations from about 6 px. */
export function blurWide(
  field: Field,
  width: number,
  height: number,
  sigmaX: number,
  sigmaY = sigmaX,
): Field {
  const step = 4;
  const [columns, rows] = [Math.ceil(width / step) + 1, Math.ceil(height / step) + 1];
  return withScratch(() => {
    const small = lend(columns * rows);
    // Four pixels of each cell stand for all: what is finer than the cell is blurred away anyhow.
    for (let r = 0, i = 0; r < rows; r++) {
      const up = Math.min(height - 1, Math.max(0, r * step - 1)) * width;
      const down = Math.min(height - 1, r * step + 1) * width;
      for (let c = 0; c < columns; c++, i++) {
        const left = Math.min(width - 1, Math.max(0, c * step - 1));
        const right = Math.min(width - 1, c * step + 1);
        small[i] =
          0.25 * (field[up + left]! + field[up + right]! + field[down + left]! + field[down + right]!);
      }
    }
    const soft = blur(small, columns, rows, sigmaX / step, sigmaY / step);
    return upsample(soft, columns, step, lend(width * height), width, height);
  });
}

/** Fractional radii of boxes whose variances add up to sigma squared: one box where a small one will do. */
function boxRadii(sigma: number, most: number): readonly number[] {
  if (sigma <= 0.05) return [];
  const passes = sigma < 0.8 ? 1 : most;
  // A box with half-width h has variance h^2 / 3.
  const half = Math.sqrt((3 * sigma * sigma) / passes + 0.25) - 0.5;
  return Array.from({ length: passes }, () => Math.max(0, half));
}

function boxRows(field: Field, width: number, height: number, radius: number): Field {
  const out = lend(field.length);
  const whole = Math.floor(radius);
  const part = radius - whole;
  const norm = 1 / (2 * radius + 1);
  if (whole === 0) {
    for (let y = 0, i = 0; y < height; y++) {
      let before = field[i]!;
      let here = before;
      for (const last = i + width - 1; i < last; i++) {
        const after = field[i + 1]!;
        out[i] = (here + part * (before + after)) * norm;
        before = here;
        here = after;
      }
      out[i++] = (here + part * (before + here)) * norm;
    }
    return out;
  }
  const inner = part * norm;
  const last = width - 1;
  // Where the window and its fractional ends lie inside the row.
  const from = Math.min(width, whole + 1);
  const to = Math.max(from, width - whole - 1);
  // Two rows at a time, as each sum waits for the one before it.
  for (let y = 0; y < height; y += 2) {
    const a = y * width;
    const b = Math.min(y + 1, height - 1) * width;
    let [sumA, sumB] = [0, 0];
    for (let k = -whole; k <= whole; k++) {
      sumA += field[a + clamp(k, 0, last)]!;
      sumB += field[b + clamp(k, 0, last)]!;
    }
    for (let x = 0; x < width; x++) {
      if (x === from) {
        for (let head = x + whole + 1, tail = x - whole; x < to; x++, head++, tail++) {
          const headA = field[a + head]!;
          const headB = field[b + head]!;
          out[a + x] = sumA * norm + inner * (headA + field[a + tail - 1]!);
          out[b + x] = sumB * norm + inner * (headB + field[b + tail - 1]!);
          sumA += headA - field[a + tail]!;
          sumB += headB - field[b + tail]!;
        }
        if (x === width) break;
      }
      const head = x + whole + 1 < last ? x + whole + 1 : last;
      const tail = x > whole ? x - whole : 0;
      const before = x > whole ? x - whole - 1 : 0;
      out[a + x] = sumA * norm + inner * (field[a + head]! + field[a + before]!);
      out[b + x] = sumB * norm + inner * (field[b + head]! + field[b + before]!);
      sumA += field[a + head]! - field[a + tail]!;
      sumB += field[b + head]! - field[b + tail]!;
    }
  }
  return out;
}

function boxColumns(field: Field, width: number, height: number, radius: number): Field {
  const out = lend(field.length);
  const whole = Math.floor(radius);
  const part = radius - whole;
  const norm = 1 / (2 * radius + 1);
  const inner = part * norm;
  const rowAt = (y: number) => clamp(y, 0, height - 1) * width;
  const sums = new Float64Array(width);
  for (let k = -whole; k <= whole; k++) {
    const from = rowAt(k);
    for (let x = 0; x < width; x++) sums[x]! += field[from + x]!;
  }
  // Two rows at a time share what they read. The lower is written first: past the last row it falls on the upper.
  for (let y = 0; y < height; y += 2) {
    const upper = y * width;
    const lower = rowAt(y + 1);
    const [head, nextHead] = [rowAt(y + whole + 1), rowAt(y + whole + 2)];
    const [before, tail, nextTail] = [rowAt(y - whole - 1), rowAt(y - whole), rowAt(y - whole + 1)];
    if (whole === 0) {
      for (let x = 0; x < width; x++) {
        const a = field[upper + x]!;
        const b = field[lower + x]!;
        out[lower + x] = (b + part * (a + field[nextHead + x]!)) * norm;
        out[upper + x] = (a + part * (field[before + x]! + b)) * norm;
      }
      continue;
    }
    for (let x = 0; x < width; x++) {
      const sum = sums[x]!;
      const a = field[head + x]!;
      const b = field[nextHead + x]!;
      const c = field[tail + x]!;
      const next = sum + a - c;
      out[lower + x] = next * norm + inner * (b + c);
      out[upper + x] = sum * norm + inner * (a + field[before + x]!);
      sums[x] = next + b - field[nextTail + x]!;
    }
  }
  return out;
}
