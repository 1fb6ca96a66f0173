// What a golden check is: a fixture of the reference implementation goes in, a list of comparisons comes out.
// Not here: reading fixtures from disk and printing results (main.ts), the comparisons themselves (one file a family).

import type { TensorData } from '@maskrank/torch/io';

/** A pair NAME.json + NAME.safetensors made by a reference implementation. */
export type Fixture = {
  readonly name: string;
  /** The fixture's JSON, as parsed: configuration, calls, tolerances. Checks read sizes from here, never from constants. */
  // biome-ignore lint/suspicious/noExplicitAny: every fixture has a JSON of its own shape
  readonly json: any;
  /** Empty for fixtures that are JSON only. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** Folder of the fixture, for side files such as vocabularies. */
  readonly dir: string;
};

/** One comparison. `maxError` is the largest absolute difference (0 for exact ones that hold). */
export type CheckResult = {
  readonly what: string;
  readonly ok: boolean;
  readonly maxError: number;
  readonly tolerance: string;
  readonly detail?: string;
};

/** Checks of a family of fixtures. */
export type GoldenCheck = {
  /** Says whether this check knows the fixture. */
  readonly covers: (fixtureName: string) => boolean;
  readonly run: (fixture: Fixture) => Promise<CheckResult[]> | CheckResult[];
};
