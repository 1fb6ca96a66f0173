import { fromTypedArray, grad, type Tensor, tensor, tidy } from '@maskrank/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  diffusionDpoLoss,
  dpoLoss,
  PAIR_LOSSES,
  type PairLossKind,
  type PairLossOptions,
} from '../../src/alignment/pair-losses.ts';
import { PREFERENCE_LOSSES } from '../../src/alignment/preference-loss.ts';
import { sequenceLogps } from '../../src/alignment/sequence-logps.ts';

type Four = readonly [chosen: number[], rejected: number[], refChosen: number[], refRejected: number[]];

const KINDS = Object.keys(PAIR_LOSSES) as PairLossKind[];
const B = 5;
const lengths = { chosenLength: [3, 1, 7, 2, 4], rejectedLength: [2, 5, 1, 6, 4] };
const settings: PairLossOptions = { beta: 0.7, labelSmoothing: 0.1, discopopTau: 0.3 };
const row = (values: readonly number[]): Tensor => fromTypedArray(Float64Array.from(values), [values.length]);

/** Losses [B] and d(sum of losses) by each of the policy's log-probabilities. */
function run(
  loss: (
    l: { [K in 'policyChosen' | 'policyRejected' | 'referenceChosen' | 'referenceRejected']: Tensor },
  ) => Tensor,
  [c, r, rc, rr]: Four,
): { losses: number[]; chosen: number[]; rejected: number[] } {
  return tidy(() => {
    const [policyChosen, policyRejected] = [row(c), row(r)];
    for (const leaf of [policyChosen, policyRejected]) leaf.requiresGrad = true;
    const losses = loss({
      policyChosen,
      policyRejected,
      referenceChosen: row(rc),
      referenceRejected: row(rr),
    });
    const gradients = grad([losses.sum()], [policyChosen, policyRejected]) as Tensor[];
    const [chosen, rejected] = gradients.map((g) => [...(g.toTypedArray() as Float64Array)]);
    return {
      losses: [...(losses.toTypedArray() as Float64Array)],
      chosen: chosen as number[],
      rejected: rejected as number[],
    };
  });
}

const pair = (kind: PairLossKind, four: Four, options: PairLossOptions = settings) =>
  run(
    (l) =>
      PAIR_LOSSES[kind](
        {
          ...l,
          chosenLength: row(lengths.chosenLength.slice(0, four[0].length)),
          rejectedLength: row(lengths.rejectedLength.slice(0, four[0].length)),
        },
        options,
      ),
    four,
  );

const number = fc.double({ min: -6, max: 6, noNaN: true });
const batch = fc.array(number, { minLength: B, maxLength: B });
const four = fc.tuple(batch, batch, batch, batch);
const total = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

/** Central differences of the summed loss by every element of one of the two policy rows. */
function differences(loss: (four: Four) => number, at: Four, which: 0 | 1): number[] {
  const h = 1e-5;
  return at[which].map((_, i) => {
    const moved = (by: number): Four =>
      at.map((values, k) => (k === which ? values.map((v, j) => (j === i ? v + by : v)) : values)) as never;
    return (loss(moved(h)) - loss(moved(-h))) / (2 * h);
  });
}

function expectClose(got: readonly number[], ref: readonly number[], tolerance: number): void {
  expect(got).toHaveLength(ref.length);
  for (const [i, r] of ref.entries()) {
    const g = got[i] as number;
    expect(Math.abs(g - r), `element ${i}: ${g}, expected ${r}`).toBeLessThanOrEqual(
      tolerance * (1 + Math.abs(r)),
    );
  }
}

// No pair sits on a kink (hinge, equal ranks in the sorted losses).
const example: Four = [
  [-3.1, -0.4, -7.43, -2.2, -5.0],
  [-4.0, -1.9, -3.11, -6.1, -0.6],
  [-2.5, -0.9, -6.8, -3.0, -4.1],
  [-3.7, -2.4, -4.5, -5.2, -1.8],
];

describe('pair losses', () => {
  it("are TRL's fourteen", () => {
    expect(KINDS.sort()).toEqual(
      [
        ...['aot', 'aot_unpaired', 'apo_down', 'apo_zero', 'bco_pair', 'discopop', 'exo_pair', 'hinge'],
        ...['ipo', 'nca_pair', 'robust', 'sigmoid', 'sigmoid_norm', 'sppo_hard'],
      ].sort(),
    );
  });

  it.each(KINDS)('%s: gradients are the finite differences', (kind) => {
    const { chosen, rejected } = pair(kind, example);
    const loss = (at: Four) => total(pair(kind, at).losses);
    expectClose(chosen, differences(loss, example, 0), 1e-7);
    expectClose(rejected, differences(loss, example, 1), 1e-7);
  });

  it.each(KINDS)('%s: stays finite at any margin, in float32 too', (kind) => {
    for (const far of [-1e4, 1e4]) {
      const { losses, chosen, rejected } = pair(kind, [[far], [-far], [0], [0]]);
      expect([...losses, ...chosen, ...rejected].every(Number.isFinite)).toBe(true);
      const single = tidy(() => {
        const at = (x: number) => tensor([x]);
        const policyChosen = at(far);
        policyChosen.requiresGrad = true;
        const loss = PAIR_LOSSES[kind](
          {
            policyChosen,
            policyRejected: at(-far),
            referenceChosen: at(0),
            referenceRejected: at(0),
            chosenLength: at(1),
            rejectedLength: at(1),
          },
          settings,
        );
        return [loss.item(), grad([loss.sum()], [policyChosen])[0]?.item() ?? Number.NaN];
      });
      expect(single.every(Number.isFinite)).toBe(true);
    }
  });

  const zero: Four = [[-3], [-3], [-2], [-2]];
  it.each([
    ['sigmoid', Math.LN2],
    ['robust', Math.LN2],
    ['aot', Math.LN2],
    ['aot_unpaired', Math.LN2],
    ['hinge', 1],
  ] as const)('%s at zero margin', (kind, expected) => {
    expect(pair(kind, zero).losses[0]).toBeCloseTo(expected, 12);
  });

  it('policy and reference alike: what each loss costs before it has learnt anything', () => {
    const same: Four = [[-3], [-1], [-3], [-1]];
    const at = (kind: PairLossKind) => pair(kind, same).losses[0] as number;
    expect(at('sigmoid')).toBeCloseTo(Math.LN2, 12);
    expect(at('nca_pair')).toBeCloseTo(2 * Math.LN2, 12);
    expect(at('bco_pair')).toBeCloseTo(2 * Math.LN2, 12);
    expect(at('discopop')).toBeCloseTo(0.5 * Math.LN2 + 0.5, 12);
    expect(at('apo_zero')).toBeCloseTo(1, 12);
    expect(at('apo_down')).toBeCloseTo(1, 12);
    expect(at('ipo')).toBeCloseTo(1 / (4 * 0.7 ** 2), 12);
    expect(at('sppo_hard')).toBeCloseTo(2 * (0.5 / 0.7) ** 2, 12);
    // KL((1/2, 1/2) || (0.9, 0.1))
    expect(at('exo_pair')).toBeCloseTo(0.5 * Math.log(0.5 / 0.9) + 0.5 * Math.log(0.5 / 0.1), 12);
  });

  const byDelta: PairLossKind[] = ['sigmoid', 'hinge', 'exo_pair', 'robust', 'discopop'];
  it.each(byDelta)('%s depends on the margin alone: the two gradients cancel', (kind) => {
    fc.assert(
      fc.property(four, (at) => {
        const { chosen, rejected } = pair(kind, at);
        expectClose(
          chosen,
          rejected.map((g) => -g),
          1e-12,
        );
      }),
      { numRuns: 30 },
    );
  });

  it.each(KINDS.filter((kind) => !kind.startsWith('aot')))('%s looks at every pair by itself', (kind) => {
    fc.assert(
      fc.property(four, fc.integer({ min: 0, max: 2 }), (at, i) => {
        const alone = at.map((values) => [values[i]]) as unknown as Four;
        const one = run(
          (l) =>
            PAIR_LOSSES[kind](
              {
                ...l,
                chosenLength: row([lengths.chosenLength[i] as number]),
                rejectedLength: row([lengths.rejectedLength[i] as number]),
              },
              settings,
            ),
          alone,
        );
        expectClose(one.losses, [pair(kind, at).losses[i] as number], 1e-12);
      }),
      { numRuns: 20 },
    );
  });

  it.each(['aot', 'aot_unpaired'] as const)('%s does not see the order of the pairs', (kind) => {
    fc.assert(
      fc.property(four, fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: B }), (at, order) => {
        const moved = at.map((values) => order.map((i) => values[i])) as unknown as Four;
        expectClose(pair(kind, moved).losses, pair(kind, at).losses, 1e-12);
      }),
      { numRuns: 30 },
    );
  });

  it('swapping the answers negates the margin: the two losses differ by it', () => {
    fc.assert(
      fc.property(four, ([c, r, rc, rr]) => {
        const margin = c.map((x, i) => 0.7 * (x - (r[i] as number) - (rc[i] as number) + (rr[i] as number)));
        const there = pair('sigmoid', [c, r, rc, rr]).losses;
        const back = pair('sigmoid', [r, c, rr, rc]).losses;
        expectClose(
          back.map((x, i) => x - (there[i] as number)),
          margin,
          1e-12,
        );
      }),
      { numRuns: 30 },
    );
  });

  it('robust is sigmoid without noise, and its expectation under flips is sigmoid', () => {
    const epsilon = 0.2;
    const noisy = { beta: 0.7, labelSmoothing: epsilon };
    fc.assert(
      fc.property(four, ([c, r, rc, rr]) => {
        const clean = pair('sigmoid', [c, r, rc, rr]).losses;
        expectClose(pair('robust', [c, r, rc, rr], { beta: 0.7 }).losses, clean, 1e-12);
        const right = pair('robust', [c, r, rc, rr], noisy).losses;
        const flipped = pair('robust', [r, c, rr, rc], noisy).losses;
        expectClose(
          right.map((x, i) => (1 - epsilon) * x + epsilon * (flipped[i] as number)),
          clean,
          1e-9,
        );
      }),
      { numRuns: 30 },
    );
  });

  it('refuses what has no meaning', () => {
    expect(() => pair('sigmoid', zero, { beta: 1, labelSmoothing: 0.5 })).toThrow(/labelSmoothing = 0.5/);
    expect(() => pair('exo_pair', zero, { beta: 1 })).toThrow(
      /exo_pair: labelSmoothing = 0, allowed: above 0/,
    );
    const without = () => run((l) => PAIR_LOSSES.ipo(l, { beta: 1 }), zero);
    expect(without).toThrow(/needs chosenLength and rejectedLength/);
  });
});

describe('dpoLoss', () => {
  const dpo = (options: Parameters<typeof dpoLoss>[1]) => (at: Four) =>
    run((l) => dpoLoss(l, options).losses, at);

  it.each([
    ['plain', { beta: 0.7 }],
    ['conservative', { beta: 0.7, labelSmoothing: 0.2 }],
    ['ipo', { beta: 0.7, ipo: true }],
    ['reference-free', { beta: 0.7, referenceFree: true }],
  ] as const)('%s: gradients are the finite differences', (_name, options) => {
    const loss = dpo(options);
    const { chosen, rejected } = loss(example);
    const summed = (at: Four) => total(loss(at).losses);
    expectClose(chosen, differences(summed, example, 0), 1e-7);
    expectClose(rejected, differences(summed, example, 1), 1e-7);
  });

  it('is ln 2 at zero margin, also with smoothing', () => {
    for (const labelSmoothing of [0, 0.2])
      expect(dpo({ beta: 0.1, labelSmoothing })([[-3], [-3], [-2], [-2]]).losses[0]).toBeCloseTo(
        Math.LN2,
        12,
      );
  });

  it('plain equals the sigmoid of the record; reference-free ignores the reference; conservative mixes both labels', () => {
    fc.assert(
      fc.property(four, ([c, r, rc, rr]) => {
        const plain = dpo({ beta: 0.7 });
        expectClose(plain([c, r, rc, rr]).losses, pair('sigmoid', [c, r, rc, rr]).losses, 1e-12);
        const none = rc.map(() => 0);
        const free = dpo({ beta: 0.7, referenceFree: true })([c, r, rc, rr]).losses;
        expectClose(free, plain([c, r, none, none]).losses, 1e-12);
        const swapped = plain([r, c, rr, rc]).losses;
        expectClose(
          dpo({ beta: 0.7, labelSmoothing: 0.3 })([c, r, rc, rr]).losses,
          plain([c, r, rc, rr]).losses.map((x, i) => 0.7 * x + 0.3 * (swapped[i] as number)),
          1e-12,
        );
      }),
      { numRuns: 30 },
    );
  });

  it('rewards carry no gradient', () => {
    tidy(() => {
      const policyChosen = row([1]);
      policyChosen.requiresGrad = true;
      const zeros = row([0]);
      const { chosenRewards } = dpoLoss(
        { policyChosen, policyRejected: zeros, referenceChosen: row([0.5]), referenceRejected: zeros },
        { beta: 0.1 },
      );
      expect(chosenRewards.requiresGrad).toBe(false);
      expect(chosenRewards.item()).toBeCloseTo(0.05, 12);
    });
  });
});

it('Diffusion-DPO is DPO on halved, negated errors', () => {
  fc.assert(
    fc.property(four, ([c, r, rc, rr]) => {
      const got = tidy(() => [
        ...(diffusionDpoLoss(
          {
            modelChosen: row(c),
            modelRejected: row(r),
            referenceChosen: row(rc),
            referenceRejected: row(rr),
          },
          { beta: 3 },
        ).toTypedArray() as Float64Array),
      ]);
      const negated = [c, r, rc, rr].map((values) => values.map((x) => -x)) as unknown as Four;
      expectClose(got, pair('sigmoid', negated, { beta: 1.5 }).losses, 1e-12);
    }),
    { numRuns: 30 },
  );
});

describe("whole orders in the literature's normalisation", () => {
  const judgement = (k: number) => ({
    coefficients: tensor([Array.from({ length: k }, () => 0)], { dtype: 'float64' }),
    order: tensor([Array.from({ length: k }, (_, i) => i)], { dtype: 'int64' }),
  });

  it('Plackett-Luce is a probability: over all orders it sums to one', () => {
    const z = [0.3, -1.2, 2.0, 0.1];
    const orders = permutations([0, 1, 2, 3]);
    const sum = tidy(() =>
      orders.reduce((acc, order) => {
        const s = tensor([order.map((i) => z[i] as number)], { dtype: 'float64' });
        return acc + Math.exp(-3 * PREFERENCE_LOSSES['plackett-luce'](s, judgement(4)).item());
      }, 0),
    );
    expect(sum).toBeCloseTo(1, 10);
  });

  it('for two candidates both are DPO', () => {
    tidy(() => {
      const s = tensor([[0.4, -0.9]], { dtype: 'float64' });
      const expected = Math.log1p(Math.exp(-1.3));
      expect(PREFERENCE_LOSSES['plackett-luce'](s, judgement(2)).item()).toBeCloseTo(expected, 12);
      expect(PREFERENCE_LOSSES['all-pairs'](s, judgement(2)).item()).toBeCloseTo(expected, 12);
    });
  });
});

describe('sequenceLogps', () => {
  const logits = [
    [
      [0, 1, 2],
      [3, 0, 0],
      [0, 0, 5],
    ],
  ];
  const logSoftmax = (z: readonly number[], i: number): number =>
    (z[i] as number) - Math.log(total(z.map(Math.exp)));

  it('the logits at a place speak of the label at the next one', () => {
    tidy(() => {
      const z = tensor(logits, { dtype: 'float64' });
      const labels = tensor([[2, 1, 0]], { dtype: 'int64' });
      const expected = logSoftmax([0, 1, 2], 1) + logSoftmax([3, 0, 0], 0);
      expect(sequenceLogps(z, labels).item()).toBeCloseTo(expected, 12);
      expect(sequenceLogps(z, labels, { average: true }).item()).toBeCloseTo(expected / 2, 12);
    });
  });

  it('ignored labels count neither in the sum nor in the mean; a sequence of nothing but them is 0', () => {
    tidy(() => {
      const z = tensor([...logits, ...logits], { dtype: 'float64' });
      const labels = tensor(
        [
          [-100, -100, 0],
          [1, -100, -100],
        ],
        { dtype: 'int64' },
      );
      const expected = [logSoftmax([3, 0, 0], 0), 0];
      for (const average of [false, true])
        expectClose(
          [...(sequenceLogps(z, labels, { average }).toTypedArray() as Float64Array)],
          expected,
          1e-12,
        );
    });
  });
});

function permutations(values: readonly number[]): number[][] {
  if (values.length <= 1) return [[...values]];
  return values.flatMap((v) => permutations(values.filter((w) => w !== v)).map((rest) => [v, ...rest]));
}
