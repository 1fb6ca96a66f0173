// `maskrank prompt` as a person meets it: from nothing to a whole file, stopped and gone on, in parts, with text, with mistakes.

import { EventEmitter } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/datasets/cases.ts';
import { SPLIT_NAMES } from '../../src/datasets/schema.ts';
import { readSplits } from '../../src/datasets/splits.ts';
import { readTextFeatures } from '../../src/prompting/text/features.ts';
import { allTexts, wholeText } from '../../src/prompting/text/parts.ts';
import { bytesOf, linesOf, makeData, must } from '../pipeline/prompt-fixture.ts';
import { runCli } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-prompt-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
let data = '';
let config = '';
/** Cases of the division. */
let n = 0;
let runs = 0;
const fresh = () => join(dir, `run${runs++}`);
const prompt = (run: string, ...argv: string[]) => [
  'prompt',
  data,
  '--run',
  run,
  '--config',
  config,
  ...argv,
];

beforeAll(async () => {
  ({ data, config } = await makeData(dir));
  const splits = await readSplits(join(data, 'splits.json'), await openDataset(data));
  n = SPLIT_NAMES.reduce((sum, name) => sum + splits[name].length, 0);
}, 60_000);

describe('maskrank prompt', () => {
  const whole = join(dir, 'whole');

  it('makes a line for every case of the division and class, in its order', async () => {
    const { stdout, stderr } = await must(prompt(whole));
    const dataset = await openDataset(data);
    const { labelled, unlabelled, validation, test } = await readSplits(join(data, 'splits.json'), dataset);
    const lines = linesOf(whole);
    const mostRegions = dataset.dataset.classes[0]?.maxComponents ?? 1;
    expect(lines.map((line) => line.case)).toEqual([...labelled, ...unlabelled, ...validation, ...test]);
    for (const { boxes, points, provenance } of lines) {
      expect(provenance).toMatchObject({
        source: 'saliency',
        identity: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      expect(boxes.length).toBeGreaterThanOrEqual(1);
      expect(boxes.length).toBeLessThanOrEqual(mostRegions);
      for (const { x, y } of points) expect([x, y].every((v) => v >= 0 && v < 64)).toBe(true);
    }
    expect(stderr).toContain('RANDOM WEIGHTS');
    expect(stdout).toMatch(/class +prompts +found/);
    expect(stdout).toMatch(/labelled +lesion +centre box/);
    expect(stdout).toMatch(/next: maskrank finetune .*--prompts.unlabelled saliency/);
  });

  it('measures labelled and validation cases only, and the others on request, saying so', async () => {
    const report = () => JSON.parse(readFileSync(join(whole, 'prompt-quality.json'), 'utf8'));
    const splits = () => [...new Set(report().rows.map((row: { split: string }) => row.split))];
    expect(splits()).toEqual(['labelled', 'validation']);
    expect(report().hiddenMasks).toBe(false);
    const { stderr } = await must(prompt(whole, '--quality'));
    expect(splits()).toEqual(['labelled', 'unlabelled', 'validation', 'test']);
    expect(report()).toMatchObject({ hiddenMasks: true, measuredAgainst: expect.stringContaining('hidden') });
    expect(stderr).toContain('HIDDEN MASKS');
  });

  it('makes nothing twice, and all anew when a setting changes', async () => {
    const before = bytesOf(whole);
    const again = await must(prompt(whole, '--json'));
    expect(again.json().result).toMatchObject({ made: 0, reused: n, complete: true });
    expect(bytesOf(whole)).toBe(before);
    const other = await must(prompt(whole, '--json', '--regions.boxes.margin-share', '0.1'));
    expect(other.json().result).toMatchObject({ made: n, reused: 0 });
    expect(linesOf(whole)).toHaveLength(n);
    const back = await must(prompt(whole, '--regions.boxes.margin-share', 'none'));
    expect(bytesOf(whole)).toBe(before);
    expect(back.stdout).toContain(`${n} prompts made`);
  });

  it('leaves a person’s lines alone', async () => {
    const run = fresh();
    await must(prompt(run));
    const [first, ...others] = linesOf(run);
    const own = { ...first, boxes: [{ x0: 1, y0: 2, x1: 30, y1: 40 }], provenance: { source: 'file' } };
    writeFileSync(join(run, 'prompts.jsonl'), `${JSON.stringify(own)}\n`);
    const result = (await must(prompt(run, '--json'))).json().result;
    expect(result).toMatchObject({ made: others.length, kept: 1 });
    expect(linesOf(run)).toEqual([own, ...others]);
  });

  it('goes on after Ctrl-C and after a torn line, to the same bytes', async () => {
    const run = fresh();
    const signals = new EventEmitter();
    let isOver = false;
    const running = runCli(prompt(run), { signals }).finally(() => {
      isOver = true;
    });
    const file = join(run, 'prompts.jsonl');
    while (!isOver && (!existsSync(file) || linesOf(run).length < 3))
      await new Promise((resolve) => setTimeout(resolve, 5));
    signals.emit('SIGINT');
    const stopped = await running;
    expect(stopped.code, stopped.stderr).toBe(130);
    const partial = readFileSync(file, 'utf8');
    expect(linesOf(run).length).toBeLessThan(n);
    writeFileSync(file, partial.slice(0, -40));
    await must(prompt(run));
    expect(bytesOf(run)).toBe(bytesOf(whole));
  });

  it('makes the same file in parts, whichever ends last', async () => {
    const run = fresh();
    const first = await must(prompt(run, '--shard', '2/3'));
    expect(first.stdout).toMatch(/prompts are still missing: the last part puts them together/);
    expect(existsSync(join(run, 'prompts.jsonl'))).toBe(false);
    expect(readdirSync(run)).toContain('prompts.shard-2-of-3.jsonl');
    const early = await runCli(prompt(run, '--merge'));
    expect(early.code).toBe(3);
    expect(early.stderr).toMatch(/\d prompts are still missing; run the parts/);
    await Promise.all([must(prompt(run, '--shard', '3/3')), must(prompt(run, '--shard', '1/3'))]);
    if (!existsSync(join(run, 'prompts.jsonl'))) await must(prompt(run, '--merge'));
    expect(bytesOf(run)).toBe(bytesOf(whole));
    expect(readdirSync(run).filter((name) => name.includes('shard') || name.endsWith('.lock'))).toEqual([]);
    const { history } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
    expect(history.map((entry: { exitCode: number }) => entry.exitCode)).toEqual(
      expect.arrayContaining([0, 3, 0, 0]),
    );
  });

  it('takes over what parts made when it goes on without them', async () => {
    const run = fresh();
    await must(prompt(run, '--shard', '1/2'));
    const { result } = (await must(prompt(run, '--json'))).json();
    expect(result).toMatchObject({ made: Math.floor(n / 2), reused: Math.ceil(n / 2), complete: true });
    expect(bytesOf(run)).toBe(bytesOf(whole));
  });

  it('writes text and the features of all texts that stages may ask for', async () => {
    const run = fresh();
    const answers = join(dir, 'answers.jsonl');
    const cases = linesOf(whole).map((line) => line.case);
    const recorded = cases.slice(1).map((id) => ({ case: id, class: 1, answer: `An oval in ${id}.` }));
    writeFileSync(answers, recorded.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const text = [
      '--prompts',
      'box,point,vqa,knowledge',
      '--text.answers',
      'recorded',
      '--text.recorded',
      answers,
    ];
    const { stderr } = await must(prompt(run, ...text));
    expect(stderr).toContain(`1 of ${n} questions have no answer`);
    const lines = linesOf(run);
    expect(lines[0]?.text?.answer).toBeUndefined();
    expect(lines[0]?.provenance.answer).toMatchObject({ unanswered: 'not recorded' });
    expect(lines[1]?.text?.answer).toBe(`An oval in ${cases[1]}.`);
    expect(new Set(lines.map((line) => line.text?.knowledge)).size).toBe(1);
    expect(lines[0]?.text?.knowledge).toMatch(/breast/);
    const features = await readTextFeatures(join(run, 'cache', 'text-features.safetensors'));
    for (const line of lines)
      for (const one of allTexts(line.text ?? {})) expect(features.get(wholeText(one))).toBeDefined();
    // A later command, which finds knowledge and answers as they were kept, writes the same lines.
    const before = bytesOf(run);
    writeFileSync(join(run, 'prompts.jsonl'), before.split('\n').slice(0, 2).join('\n'));
    await must(prompt(run, ...text));
    expect(bytesOf(run)).toBe(before);
    // Places do not depend on texts.
    expect(lines.map(({ boxes }) => boxes)).toEqual(linesOf(whole).map(({ boxes }) => boxes));
  });

  it('writes maps, and draws what it did', async () => {
    await must(prompt(whole, '--maps', '--preview', '--preview-cases', '3'));
    const pictures = readdirSync(join(whole, 'prompt-maps', '1'));
    expect(pictures).toHaveLength(n);
    const first = pictures[0] as string;
    const map = await sharp(join(whole, 'prompt-maps', '1', first)).metadata();
    const image = await sharp(join(data, 'images', first)).metadata();
    expect(map).toMatchObject({ width: image.width, height: image.height, format: 'png' });
    const sheet = await sharp(join(whole, 'prompt-preview.png')).metadata();
    expect(sheet.width).toBeGreaterThan(800);
    expect(sheet.height).toBeGreaterThan(3 * 220);
  });
});

describe('two classes with two regions', () => {
  it('boxes as many regions as the class may have, and points of each in turn', async () => {
    const chest = await makeData(dir, { family: 'chest', cases: 4 });
    const run = fresh();
    await must([
      'prompt',
      chest.data,
      '--run',
      run,
      '--config',
      chest.config,
      '--crf.enabled',
      'false',
      '--regions.foreground.kind',
      'threshold',
      '--regions.foreground.threshold',
      '0.5',
    ]);
    const lines = linesOf(run);
    expect(lines.some(({ boxes }) => boxes.length === 2)).toBe(true);
    for (const { boxes, points } of lines) {
      expect(boxes.length).toBeLessThanOrEqual(2);
      if (boxes.length < 2) continue;
      const [first, second] = boxes.map(
        ({ x0, y0, x1, y1 }) =>
          (p: { x: number; y: number }) =>
            p.x >= x0 && p.x < x1 && p.y >= y0 && p.y < y1,
      );
      expect(first?.(points[0] as never) || second?.(points[0] as never)).toBe(true);
      expect(first?.(points[1] as never) || second?.(points[1] as never)).toBe(true);
    }
  });
});

describe('fallbacks', () => {
  it.each([
    ['whole-image', /got a box around the whole image/],
    ['peak', /took the highest values/],
    ['no-prompt', /got no prompt/],
  ])('%s is counted and told', async (fallback, words) => {
    const run = fresh();
    const { stderr, json } = await must(
      prompt(run, '--json', '--regions.keep.min-area-px', '4097', '--regions.fallback', fallback),
    );
    expect(stderr).toMatch(words);
    const { counts } = json().result as { counts: { found: number; fallbacks: Record<string, number> }[] };
    expect(counts[0]).toMatchObject({ found: 0, fallbacks: { [fallback.replace('no-prompt', 'none')]: n } });
  });
});

describe('mistakes', () => {
  it.each([
    [['--prompts', 'box,vqa'], 2, /vqa, but text.answers = none/],
    [['--prompts', 'vqa', '--text.answers', 'recorded'], 2, /needs text.recorded/],
    [['--prompts', 'vqa', '--text.answers', 'endpoint'], 2, /needs text.endpoint.baseUrl/],
    [['--prompts', 'knowledge', '--text.knowledge', 'none'], 2, /knowledge, but text.knowledge = none/],
    [['--prompts', 'boxes'], 2, /allowed: list of box, point, vqa, knowledge/],
    [['--shard', '3/2'], 2, /'3\/2' is no part, allowed: i\/n/],
    [['--shard', '1/2', '--merge'], 2, /give it without --shard/],
    [['--clip.weights', 'nothing'], 2, /nothing/],
    [['--clip.weights', 'nothing.safetensors'], 3, /nothing.safetensors/],
    [['--saliency.layer', 'last-stage'], 2, /has no layer 'last-stage'/],
    [['--regions.keep.connectivity', '5'], 2, /multiple of 4/],
    [['--preview-cases', '0'], 2, /a whole number from 1/],
  ])('%j', async (argv, code, words) => {
    const result = await runCli(prompt(fresh(), ...argv));
    expect(result.stderr).toMatch(words);
    expect(result.stderr.match(/^error: /gm)).toHaveLength(1);
    expect(result.code).toBe(code);
  });
});
