// Numbers and times as text. Pure, and the same on every machine: no locale, no time zone but UTC.

/** What stands where a number is missing. */
export const MISSING = '–';

/** `0.8379` with the given decimals; a real minus sign; missing or non-finite values as a dash (infinity as ∞). */
export function decimal(value: number | null | undefined, digits: number): string {
  if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** A fraction 0..1 as percent without the sign: 0.8379 -> `83.8`. */
export function percent(fraction: number | null | undefined, digits = 1): string {
  return decimal(fraction === null || fraction === undefined ? fraction : fraction * 100, digits);
}

/** A signed number: `+6.1`, `−0.4`, `0.0`. */
export function signed(value: number | null | undefined, digits: number): string {
  const text = decimal(value, digits);
  return value !== null && value !== undefined && value > 0 && Number(text) !== 0 ? `+${text}` : text;
}

/** A difference of two fractions as percentage points: 0.061 -> `+6.1`. */
export function points(difference: number | null | undefined, digits = 1): string {
  return signed(difference === null || difference === undefined ? difference : difference * 100, digits);
}

/** `[4.9, 7.2]`, each end written by `write`. */
export function interval(
  ends: readonly [number, number] | null | undefined,
  write: (value: number) => string,
): string {
  return ends === null || ends === undefined || ends.some(Number.isNaN)
    ? MISSING
    : `[${write(ends[0])}, ${write(ends[1])}]`;
}

/** Up to `significant` digits without trailing zeros; 1e-4 style below 0.001 and from a million. For axes and settings. */
export function compact(value: number, significant = 4): string {
  if (!Number.isFinite(value)) return decimal(value, 0);
  if (value === 0) return '0';
  const size = Math.abs(value);
  const text =
    size < 1e-3 || size >= 1e6
      ? size
          .toExponential(significant - 1)
          .replace(/\.?0+e/, 'e')
          .replace('e+', 'e')
      : String(Number(size.toPrecision(significant)));
  return value < 0 ? `−${text}` : text;
}

/** A whole number with thousands set apart by commas. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  const text = Math.abs(Math.round(value))
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return value < 0 && text !== '0' ? `−${text}` : text;
}

/** `p = 0.012`, `p < 0.001`. */
export function probability(p: number | null | undefined): string {
  if (p === null || p === undefined || !Number.isFinite(p)) return MISSING;
  return p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(3)}`;
}

/** ISO time as `2026-11-23 04:41 UTC`; anything else is given back unchanged. */
export function dateTime(iso: string): string {
  const time = Date.parse(iso);
  if (Number.isNaN(time)) return iso;
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** `840 ms`, `12.4 s`, `3 min 20 s`, `2 h 05 min`. */
export function duration(elapsedMs: number | null | undefined): string {
  if (elapsedMs === null || elapsedMs === undefined || !Number.isFinite(elapsedMs) || elapsedMs < 0)
    return MISSING;
  if (elapsedMs < 1000) return `${Math.round(elapsedMs)} ms`;
  if (elapsedMs < 59_950) return `${(elapsedMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(elapsedMs / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** `1 image`, `3 images`. */
export function plural(value: number, singular: string, many = `${singular}s`): string {
  return `${count(value)} ${value === 1 ? singular : many}`;
}

/** A value of the configuration as short text: strings bare, the rest as JSON. */
export function setting(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === undefined) return MISSING;
  return JSON.stringify(value) ?? String(value);
}
