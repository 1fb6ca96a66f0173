// What a bench is and what it reports.

export type BenchOptions = {
  /** `cpu`, `cuda`: where tensors live. Benches of plain TypeScript ignore it. */
  readonly device: 'cpu' | 'cuda';
  /** Threads inside an operator, ours and the peer's. */
  readonly threads: number;
  /** Times each figure is measured; the median counts unless the bench says otherwise. */
  readonly rounds: number;
  /** Measures all of what is otherwise told as a multiple of a part. */
  readonly whole: boolean;
  /** A Python interpreter that has `torch`, for the peer's figures; null: none. */
  readonly python: string | null;
};

/** What a figure must satisfy. */
export type Aim = { readonly comparison: 'at most' | 'at least' | 'exactly'; readonly value: number };

export type BenchResult = {
  /** What was measured, in words that are unique within its bench. */
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** The same work's bound on this machine, in the figure's unit: physics, not another program. */
  readonly limit?: { readonly what: string; readonly value: number };
  /** Another program's figure for the same work, measured side by side. */
  readonly peer?: { readonly what: string; readonly value: number };
  readonly aim?: Aim;
};

export type Bench = {
  readonly name: string;
  readonly describe: string;
  readonly run: (options: BenchOptions) => Promise<BenchResult[]>;
};

/** Whether a figure is what was aimed at; null without an aim. */
export function meets({ value, aim }: BenchResult): boolean | null {
  if (aim === undefined) return null;
  switch (aim.comparison) {
    case 'at most':
      return value <= aim.value;
    case 'at least':
      return value >= aim.value;
    case 'exactly':
      return value === aim.value;
    default:
      return aim.comparison satisfies never;
  }
}
