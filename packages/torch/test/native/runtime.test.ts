import { describe, expect, it } from 'vitest';
import {
  bestDevice,
  cudaMemory,
  cudaReleaseCache,
  cudaSynchronize,
  EngineError,
  engineVersion,
  Generator,
  getThreads,
  manualSeed,
  memory,
  randn,
  setDeterministic,
  setThreads,
  tidy,
  UsageError,
  zeros,
} from '../../src/index.ts';
import { numbers, thrown } from '../support/values.ts';

const draw = (generator?: Generator): number[] =>
  tidy(() => numbers(randn([5], generator ? { generator } : {})));

describe('generators', () => {
  it('the same seed gives the same stream; streams do not disturb each other', () => {
    const [a, b] = [Generator.seeded(7), Generator.seeded(7)];
    const first = draw(a);
    draw(Generator.seeded(1));
    draw();
    expect(draw(b)).toEqual(first);
    expect(draw(a)).not.toEqual(first);
    expect(draw(a.seed(7))).toEqual(first);
  });

  it('go on exactly where a saved state was taken', () => {
    const generator = Generator.seeded(2 ** 40 + 1);
    draw(generator);
    const state = generator.getState();
    const next = [draw(generator), draw(generator)];
    generator.setState(state);
    expect([draw(generator), draw(generator)]).toEqual(next);
    const other = Generator.seeded(0).setState(state);
    expect([draw(other), draw(other)]).toEqual(next);
  });

  it("a device's default stream follows manualSeed", () => {
    manualSeed(3);
    const first = draw();
    manualSeed(3);
    expect(draw()).toEqual(first);
    manualSeed(3);
    expect(draw(Generator.ofDevice('cpu'))).toEqual(first);
    const state = Generator.ofDevice().getState();
    const next = draw();
    Generator.ofDevice().setState(state);
    expect(draw()).toEqual(next);
  });

  it('refuse what is no seed, no state and no device', () => {
    for (const seed of [-1, 0.5, 2 ** 53, Number.NaN]) {
      expect(thrown(() => Generator.seeded(seed))).toBeInstanceOf(UsageError);
      expect(thrown(() => Generator.seeded(1).seed(seed))).toBeInstanceOf(UsageError);
      expect(thrown(() => manualSeed(seed))).toBeInstanceOf(UsageError);
    }
    expect(thrown(() => Generator.seeded(1).setState(new Uint8Array(3)))).toBeInstanceOf(EngineError);
    expect(thrown(() => Generator.ofDevice('moon'))).toBeInstanceOf(EngineError);
    if (engineVersion().cudaDevices === 0) {
      expect(thrown(() => Generator.ofDevice('cuda:0'))).toBeInstanceOf(EngineError);
      expect(thrown(() => Generator.seeded(1, 'cuda:0'))).toBeInstanceOf(EngineError);
    }
  });

  it('hold no tensors', () => {
    const before = memory().tensors;
    const generator = Generator.seeded(1);
    generator.setState(generator.getState());
    thrown(() => generator.setState(new Uint8Array(3)));
    expect(memory().tensors).toBe(before);
  });
});

describe('the engine', () => {
  it('tells its version', () => {
    const { version, config } = engineVersion();
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
    expect(config).toContain('PyTorch built with');
  });

  it('threads can be set', () => {
    const before = getThreads();
    setThreads(1);
    expect(getThreads()).toBe(1);
    setThreads(before);
    expect(getThreads()).toBe(before);
    for (const count of [0, -1, 1.5]) expect(thrown(() => setThreads(count))).toBeInstanceOf(UsageError);
  });

  it('its threads sleep between regions unless told otherwise', () => {
    engineVersion();
    const { OMP_WAIT_POLICY, GOMP_SPINCOUNT } = process.env;
    expect(OMP_WAIT_POLICY ?? GOMP_SPINCOUNT).toBeDefined();
  });

  it('deterministic algorithms can be asked for', () => {
    setDeterministic(true);
    setDeterministic(false);
  });

  it('without a CUDA device, CUDA is refused in words', () => {
    if (engineVersion().cudaDevices > 0) return;
    expect(bestDevice()).toBe('cpu');
    expect(cudaMemory()).toBeNull();
    cudaReleaseCache();
    expect(thrown(() => cudaSynchronize())).toBeInstanceOf(EngineError);
    tidy(() => expect(thrown(() => zeros([1]).to('cuda'))).toBeInstanceOf(EngineError));
  });

  it.skipIf(process.env.CUDA_VISIBLE_DEVICES === '' || engineVersion().cudaDevices === 0)(
    'with a CUDA device, tensors go there and back (skipped without one)',
    () => {
      tidy(() => {
        const x = randn([64, 64]);
        const there = x.to('cuda');
        expect(there.device).toBe('cuda:0');
        expect(there.to('cuda')).toBe(there);
        cudaSynchronize();
        expect(numbers(there.to('cpu'))).toEqual(numbers(x));
        const stats = cudaMemory();
        if (stats !== null) expect(stats.allocated).toBeGreaterThanOrEqual(64 * 64 * 4);
        const [a, b] = [Generator.seeded(4, 'cuda:0'), Generator.seeded(4, 'cuda:0')];
        const drawn = (generator: Generator) => numbers(randn([9], { device: 'cuda:0', generator }));
        expect(drawn(a)).toEqual(drawn(b));
        const state = a.getState();
        const next = drawn(a);
        expect(drawn(a.setState(state))).toEqual(next);
      });
      cudaReleaseCache();
    },
  );
});
