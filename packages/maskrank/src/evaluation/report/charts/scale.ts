// Axis scales: a linear map from values to SVG units and its ticks. Not here: drawing.

export type Scale = {
  readonly domain: readonly [number, number];
  readonly range: readonly [number, number];
  readonly ticks: readonly number[];
  /** Value -> SVG units; values outside the domain stop at its edge. */
  at(value: number): number;
};

export type ScaleOptions = {
  /** Lowest and highest value to show. An empty or one-point span is widened. */
  readonly domain: readonly [number, number];
  /** SVG units of the domain's ends; may run backwards (a y axis does). */
  readonly range: readonly [number, number];
  /** About how many ticks. */
  readonly ticks?: number;
  /** Widen the domain to whole ticks. */
  readonly nice?: boolean;
};

const SMALLEST = 1e-6;
const LARGEST = 1e100;
/** The value, cut to what differences and sums of a chart can hold. */
export const drawable = (value: number): number => Math.min(LARGEST, Math.max(-LARGEST, value));

export function linearScale({ domain, range, ticks: wanted = 5, nice = false }: ScaleOptions): Scale {
  let [low, high] = domain.map(drawable).sort((a, b) => a - b) as [number, number];
  if (!(high - low > Math.max(Math.abs(low), Math.abs(high), SMALLEST) * 1e-9)) {
    const margin = Math.max(Math.abs(low) * 0.1, SMALLEST);
    low -= margin;
    high += margin;
  }
  const step = tickStep(high - low, wanted);
  if (nice) {
    low = clean(Math.floor(low / step + 1e-9) * step);
    high = clean(Math.ceil(high / step - 1e-9) * step);
  }
  const ticks: number[] = [];
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  for (let k = first; k <= last; k++) ticks.push(clean(k * step));
  const [a, b] = range;
  return {
    domain: [low, high],
    range,
    ticks,
    at: (value) => a + (b - a) * Math.min(1, Math.max(0, (value - low) / (high - low))),
  };
}

/** The 1-2-5 step that gives about `wanted` ticks over `span`. */
export function tickStep(span: number, wanted: number): number {
  const rough = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = rough / power;
  return power * (factor < 1.5 ? 1 : factor < 3.5 ? 2 : factor < 7.5 ? 5 : 10);
}

/** Smallest and largest finite value; undefined where there is none. */
export function extent(values: Iterable<number>): readonly [number, number] | undefined {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : undefined;
}

// 0.30000000000000004 -> 0.3
function clean(value: number): number {
  const rounded = Number(value.toPrecision(12));
  return Object.is(rounded, -0) ? 0 : rounded;
}
