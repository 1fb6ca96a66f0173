// The order of jobs, several at a time, failures, kills, corrupt results, full disks and parts of the work, with commands that only
// write small files.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataError } from '@maskrank/torch/errors';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Graph, type Job, shardOf } from '../../src/experiments/graph.ts';
import { Store } from '../../src/experiments/store.ts';
import { ARMS, failed, fakeStep, graphOf, schedule } from './fake.ts';

let dir = '';
let store: Store;
beforeEach(() => {
  const made = mkdtempSync(join(tmpdir(), 'maskrank-schedule-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  mkdirSync(join(made, 'data'));
  dir = made;
  store = new Store(join(made, 'out'));
});

/** Commands in the order in which they began. */
const recorded = (before: Parameters<typeof fakeStep>[0] = () => {}) => {
  const verbs: string[] = [];
  const step = fakeStep((verb, argv, signal) => {
    verbs.push(verb);
    return before(verb, argv, signal);
  });
  return { verbs, step };
};

const jobsOf = (graph: Graph, kind: Job['kind']) =>
  [...graph.jobs.values()].filter((job) => job.kind === kind);

describe('a graph', () => {
  it('shares what rows have in common: one stage 1 under two variants of stage 2', async () => {
    const graph = await graphOf(dir);
    const count = (kind: Job['kind']) => jobsOf(graph, kind).length;
    expect([
      count('split'),
      count('stage1'),
      count('stage2'),
      count('evaluation'),
      count('baseline'),
    ]).toEqual([2, 1, 2, 3, 1]);
    const [a, b] = jobsOf(graph, 'stage2');
    expect(a!.from).toBe(b!.from);
  });

  it.each([
    ['training.steps', 5, ['stage1', 'stage2', 'evaluation']],
    ['alignment.steps', 5, ['stage2', 'evaluation']],
    ['evaluation.threshold', 0.4, ['evaluation', 'baseline']],
    ['prompts.test', 'none', ['evaluation']],
    ['baselines.unet.steps', 5, ['baseline']],
    ['saliency.k', 7, []],
  ])('%s changes the keys of what it shapes', async (path, value, kinds) => {
    const [before, now] = [await graphOf(dir), await graphOf(dir, ARMS, { person: { [path]: value } })];
    for (const kind of ['split', 'stage1', 'stage2', 'evaluation', 'baseline'] as const) {
      const changed = jobsOf(now, kind).filter(({ key }) => !before.jobs.has(key));
      // Of some kinds only those that look at the value.
      expect(changed.length > 0, kind).toBe(kinds.includes(kind));
    }
  });

  it('makes prompts once for all seeds and shares, with every text that a row wants', async () => {
    const set = { 'prompts.test': 'saliency' };
    const arms = [
      { name: 'a', title: 'a', method: 'stage1', labelled: [0.1, 0.5], set },
      {
        name: 'b',
        title: 'b',
        method: 'stage1',
        labelled: 0.1,
        set: { 'prompts.use': ['knowledge', 'point'] },
      },
    ];
    const graph = await graphOf(dir, arms, { seeds: [0, 1] });
    const prompts = jobsOf(graph, 'prompts');
    expect(prompts).toHaveLength(1);
    expect(prompts[0]!.given['prompts.use']).toEqual(['box', 'point', 'knowledge']);
    // What the prompts were made with does not stay with stage 1, which is given less.
    const given = jobsOf(graph, 'stage1').map((job) => job.given['prompts.use']);
    expect(given).toContainEqual(['point', 'knowledge']);
    expect(given).toContainEqual(['box', 'point']);
  });

  it('refuses prompts of one run and unknown keys', async () => {
    const arm = (set: object) => [{ name: 'a', title: 'a', method: 'stage1', labelled: 0.1, set }];
    await expect(graphOf(dir, arm({ 'prompts.test': 'file' }))).rejects.toThrow(/belong to one run/);
    await expect(graphOf(dir, arm({ 'scoring.noize': 1 }))).rejects.toThrow(/unknown key.*scoring\.noise/s);
    await expect(graphOf(dir, arm({ 'scoring.noise': 3 }))).rejects.toThrow(/scoring\.noise.*allowed/);
  });
});

describe('jobs', () => {
  it('are done after those that they need, and never twice', async () => {
    const graph = await graphOf(dir);
    const first = recorded();
    const { done } = await schedule(graph, store, first.step).result;
    expect(done.size).toBe(graph.jobs.size);
    for (const job of graph.jobs.values()) expect((await store.check(job)).state).toBe('done');
    const again = recorded();
    await schedule(graph, store, again.step).result;
    expect(again.verbs).toEqual([]);
    // Another experiment in the same folder has them, too.
    const other = await graphOf(dir, [{ ...ARMS[1], name: 'other' }]);
    await schedule(other, store, again.step).result;
    expect(again.verbs).toEqual([]);
  });

  /** Commands that wait until `wanted` of them have been at work at once, but not for ever. */
  const together = (wanted: number) => {
    const seen = { now: 0, most: 0 };
    const { step } = recorded(async () => {
      seen.now += 1;
      seen.most = Math.max(seen.most, seen.now);
      for (let i = 0; i < 400 && seen.most < wanted; i++) await sleep(5);
      seen.now -= 1;
    });
    return { seen, step };
  };

  it('run several at a time, no more than asked', async () => {
    const { seen, step } = together(3);
    await schedule(await graphOf(dir, ARMS, { seeds: [0, 1, 2] }), store, step, { parallel: 3 }).result;
    expect(seen.most).toBe(3);
  });

  it('wait where memory is short by what their kind took before, but one always runs', async () => {
    const graph = await graphOf(dir, ARMS, { seeds: [0, 1] });
    const alone = together(1);
    await schedule(graph, store, alone.step, { parallel: 3, freeMemory: () => 1001 }).result;
    expect(alone.seen.most).toBe(1);
    // A command of the fake says 1000 bytes; a tenth is added.
    for (const { job } of [graph.cells[0]!, graph.cells.at(-1)!])
      rmSync(store.folder(graph.jobs.get(job)!), { recursive: true });
    const both = together(2);
    await schedule(graph, store, both.step, { parallel: 3, freeMemory: () => 1101 }).result;
    expect(both.seen.most).toBe(2);
  });

  it('that fail stop only those that need them; the whole error is kept, and the next command tries again', async () => {
    const graph = await graphOf(dir);
    const noise = (argv: readonly string[]) => readFileSync(argv[argv.indexOf('--config') + 1]!, 'utf8');
    const { step } = recorded((verb, argv) =>
      verb === 'align' && noise(argv).includes('0.1') ? failed('defect', 'it broke', 1) : undefined,
    );
    const { failed: failures, blocked, done } = await schedule(graph, store, step).result;
    expect(failures.map(({ job, message }) => [job.kind, message])).toEqual([['stage2', 'it broke']]);
    expect(blocked.map(({ kind }) => kind)).toEqual(['evaluation']);
    expect(done.size).toBe(graph.jobs.size - 2);
    expect(readFileSync(store.error(failures[0]!.job), 'utf8')).toMatch(
      /\$ maskrank align .*\ndefect, exit code 1\n.*at somewhere/s,
    );
    const again = recorded();
    await schedule(graph, store, again.step).result;
    expect(again.verbs).toEqual(['align', 'evaluate']);
    expect(existsSync(store.error(failures[0]!.job))).toBe(false);
  });

  it('that were killed go on with what they left; those that failed on their data begin anew', async () => {
    const graph = await graphOf(dir, [ARMS[1]]);
    const [stage1] = jobsOf(graph, 'stage1') as [Job];
    const leave = (kind: string) =>
      recorded((verb) => {
        if (verb !== 'finetune') return;
        mkdirSync(store.run(stage1), { recursive: true });
        writeFileSync(join(store.run(stage1), 'left'), '');
        return failed(kind, 'gone', kind === 'killed' ? null : 3);
      }).step;
    const remains = async (): Promise<boolean> => {
      let there = false;
      const { step } = recorded((verb) => {
        if (verb === 'finetune') there = existsSync(join(store.run(stage1), 'left'));
      });
      await schedule(graph, store, step).result;
      rmSync(store.dir, { recursive: true });
      store = new Store(store.dir);
      return there;
    };
    await schedule(graph, store, leave('killed')).result;
    expect(await remains()).toBe(true);
    await schedule(graph, store, leave('data')).result;
    expect(await remains()).toBe(false);
  });

  it('with a result that is damaged, torn or gone are done again', async () => {
    const graph = await graphOf(dir, [ARMS[1]]);
    const [evaluation] = jobsOf(graph, 'evaluation') as [Job];
    await schedule(graph, store, fakeStep()).result;
    const result = join(store.folder(evaluation), 'result.json');
    const file = join(store.run(evaluation), 'evaluation.json');
    for (const [spoil, why] of [
      [() => writeFileSync(file, readFileSync(file, 'utf8').replace('evaluate', 'evaluatf')), /SHA-256/],
      [() => writeFileSync(file, ''), /has 0 bytes/],
      [() => rmSync(file), /gone/],
      [() => writeFileSync(result, '{"schemaVersion": 1'), /no record/],
    ] as const) {
      spoil();
      const { verbs, step } = recorded();
      const { result: outcome, events } = schedule(graph, store, step);
      await outcome;
      expect(verbs).toEqual(['evaluate']);
      expect(events.find(({ kind }) => kind === 'corrupt')).toMatchObject({
        why: expect.stringMatching(why),
      });
      expect((await store.check(evaluation)).state).toBe('done');
    }
  });

  it('stop on request and go on with the next command', async () => {
    const graph = await graphOf(dir);
    const controller = new AbortController();
    const { step } = recorded((verb, _argv, signal) => {
      if (verb !== 'align') return;
      controller.abort(new Error('stopped by request'));
      expect(signal.aborted).toBe(true);
      return { ...failed('', ''), code: 130, failure: null, interrupted: true };
    });
    const { result } = schedule(graph, store, step, { signal: controller.signal });
    await expect(result).rejects.toThrow('stopped by request');
    const again = recorded();
    await schedule(graph, store, again.step).result;
    expect(again.verbs.filter((verb) => verb === 'align')).toHaveLength(2);
    for (const job of graph.jobs.values())
      expect(existsSync(join(store.folder(job), 'claim.lock'))).toBe(false);
  });

  it('wait for a command that a killed one left at work in a run', async () => {
    let refusals = 2;
    const { verbs, step } = recorded((verb) => {
      if (verb === 'finetune' && refusals-- > 0) return failed('in-use', 'in use by process 7', 2);
    });
    const { result, events } = schedule(await graphOf(dir, [ARMS[1]]), store, step);
    expect((await result).failed).toEqual([]);
    expect(verbs.filter((verb) => verb === 'finetune')).toHaveLength(3);
    expect(events.filter(({ kind }) => kind === 'waiting')).toHaveLength(2);
  });

  it('share the finished network instead of copying it, and take over nothing of the evaluation', async () => {
    const graph = await graphOf(dir);
    await schedule(graph, store, fakeStep()).result;
    const [stage2] = jobsOf(graph, 'stage2') as [Job];
    expect(readdirSync(join(store.run(stage2), 'checkpoints')).sort()).toEqual([
      'stage1.safetensors',
      'stage2.safetensors',
    ]);
    expect(existsSync(join(store.run(stage2), 'evaluation.json'))).toBe(false);
  });
});

describe('a full disk', () => {
  it.each([
    ['of a command', 'write failed: ENOSPC: no space left on device'],
    ['in words', 'cannot be written (no space left on the disk)'],
  ])('%s stops everything with a clear message; nothing is lost', async (_what, message) => {
    const graph = await graphOf(dir);
    const { step } = recorded((verb) => (verb === 'align' ? failed('data', message) : undefined));
    const { result } = schedule(graph, store, step);
    await expect(result).rejects.toThrow(DataError);
    await expect(result).rejects.toThrow(/the disk is full.*Every finished job is kept.*same command/);
    const again = recorded();
    await schedule(graph, store, again.step).result;
    expect(again.verbs.filter((verb) => verb === 'finetune').length).toBeLessThan(2);
    for (const job of graph.jobs.values()) expect((await store.check(job)).state).toBe('done');
  });

  it('is seen before a job begins', async () => {
    const { verbs, step } = recorded();
    const { result } = schedule(await graphOf(dir), store, step, { freeDisk: () => 2 ** 20 });
    await expect(result).rejects.toThrow(/disk is full \(1 MiB are left\)/);
    expect(verbs).toEqual([]);
  });
});

describe('parts of the work', () => {
  it('are whole rows, all together everything, and what they share is done once', async () => {
    const graph = await graphOf(dir, ARMS, { seeds: [0, 1, 2] });
    const parts = [1, 2, 3].map((index) => shardOf(graph, { index, count: 3 }));
    expect(new Set(parts.flatMap((part) => [...part])).size).toBe(graph.jobs.size);
    for (const kind of ['stage2', 'evaluation', 'baseline'] as const)
      for (const { key } of jobsOf(graph, kind))
        expect(parts.filter((part) => part.has(key))).toHaveLength(1);
    const { verbs, step } = recorded(() => sleep(3));
    // Three commands at once on one folder.
    const outcomes = await Promise.all(
      parts.map((mine) => schedule(graph, new Store(store.dir), step, { mine }).result),
    );
    expect(outcomes.flatMap((outcome) => outcome.failed)).toEqual([]);
    expect(verbs).toHaveLength(graph.jobs.size);
    for (const job of graph.jobs.values()) expect((await store.check(job)).state).toBe('done');
  });

  it('leave a job to the machine that has it, and take its result', async () => {
    const graph = await graphOf(dir, [ARMS[1]]);
    const [split] = jobsOf(graph, 'split') as [Job];
    const claim = join(store.folder(split), 'claim.lock');
    mkdirSync(store.folder(split), { recursive: true });
    writeFileSync(
      claim,
      JSON.stringify({ pid: 1, hostname: `not ${hostname()}`, incarnation: null, since: '', command: '' }),
    );
    const { verbs, step } = recorded();
    const { result, events } = schedule(graph, store, step);
    while (!events.some(({ kind }) => kind === 'waiting')) await sleep(5);
    expect(verbs).toEqual([]);
    // The other machine finishes.
    const elsewhere = new Store(join(dir, 'elsewhere'));
    await schedule({ ...graph, cells: [{ ...graph.cells[0]!, job: split.key }] }, elsewhere, fakeStep())
      .result;
    for (const name of ['splits.json', 'result.json'])
      writeFileSync(join(store.folder(split), name), readFileSync(join(elsewhere.folder(split), name)));
    rmSync(claim);
    expect((await result).failed).toEqual([]);
    expect(verbs).toEqual(['finetune', 'evaluate']);
  });
});
