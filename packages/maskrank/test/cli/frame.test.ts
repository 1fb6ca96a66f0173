import { EventEmitter } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError, EngineError, UsageError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { defineVerb } from '../../src/cli/verb.ts';
import { safePoint } from '../../src/run/interrupt.ts';
import { readJsonl } from '../../src/run/jsonl.ts';
import { type RunCliOptions, runCli } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-cli-'));
afterAll(() => rmSync(dir, { recursive: true }));
let folders = 0;
const fresh = () => join(dir, `run${folders++}`);

const train = defineVerb({
  name: 'train',
  summary: 'a verb with everything',
  details: 'It reads nothing and returns what it was given.',
  examples: [['maskrank train data --run runs/a', 'begin, or go on']],
  args: { dataset: { name: 'DATASET', describe: 'folder of the dataset' } },
  options: {
    restart: { describe: 'discard what was done' },
    share: { describe: 'part', value: 'NUMBER', parse: Number },
  },
  sections: ['training', 'model'],
  shortcuts: { model: 'model.name', batchSize: 'training.batchSize' },
  runFolder: { mode: 'create' },
  run: async ({ args, options, config, origins, runFolder, log, out, progress, warn }) => {
    log.info({ step: 1 }, 'trained');
    const task = progress.task('training', { total: 2, unit: 'steps' });
    task.tick();
    warn('the seed is odd');
    out(`model ${config.model.name}`);
    task.tick();
    task.end();
    const share: number | undefined = options.share;
    const result = { dataset: args.dataset, restart: options.restart, share, model: config.model.name };
    return {
      result: { ...result, batchSize: config.training.batchSize, origin: origins['training.batchSize'] },
      next: `maskrank look --run ${runFolder.dir}`,
    };
  },
});

const look = defineVerb({
  name: 'look',
  summary: 'reads a run',
  examples: [['maskrank look --run runs/a', 'look']],
  runFolder: { mode: 'read' },
  sections: ['evaluation'],
  run: ({ config }) => ({ result: { batchSize: config.training.batchSize } }),
});

const pack = defineVerb({
  name: 'group pack',
  summary: 'a verb of a group',
  examples: [['maskrank group pack a b --out x', 'pack']],
  args: { files: { name: 'FILES', describe: 'what to pack', variadic: true } },
  options: { out: { describe: 'where to', value: 'DIR', required: true } },
  run: ({ args, options }) => ({ result: { files: args.files, out: options.out.toUpperCase() } }),
});

const failures: Record<string, () => unknown> = {
  usage: () => new UsageError('colour = mauve, allowed: grey.'),
  data: () => new DataError('a.png: truncated.'),
  engine: () => new EngineError('no libtorch.'),
  system: () =>
    Object.assign(new Error("ENOSPC: no space left on device, write '/x'"), {
      code: 'ENOSPC',
      syscall: 'write',
    }),
  defect: () => new TypeError('x is not a function', { cause: new Error('deep') }),
  text: () => 'thrown text',
};
const fail = defineVerb({
  name: 'fail',
  summary: 'fails in a chosen way',
  examples: [['maskrank fail data', 'fail']],
  args: { how: { name: 'HOW', describe: 'kind' } },
  options: { late: { describe: 'after the work' } },
  run: ({ args, options, out }) => {
    const error = failures[args.how]!();
    if (!options.late) throw error;
    out('found 1 problem');
    return { result: { problems: 1 }, failure: error as Error, next: 'maskrank never' };
  },
});

const verbs = [train, look, pack, fail];
const run = (argv: string[], options: RunCliOptions = {}) => runCli(argv, { verbs, ...options });

describe('a verb', () => {
  it('gets arguments, options, configuration and a run folder; prints its text and the next command', async () => {
    const path = fresh();
    const { code, stdout, stderr } = await run([
      'train',
      'data',
      '--run',
      path,
      '--training.batch-size',
      '4',
      '--share',
      '0.5',
    ]);
    expect(stdout).toBe(`model sam-med2d-tiny\nnext: maskrank look --run ${path}\n`);
    expect(stderr).toContain('warning: the seed is odd\n');
    expect(stderr).toMatch(/^training: 2 steps in /m);
    expect(code).toBe(0);
    const lines = readJsonl(join(path, 'log.jsonl'), { what: 'log' }).entries;
    expect(lines.map((line) => line.msg)).toEqual(['started', 'trained', 'the seed is odd', 'ended']);
    const record = JSON.parse(readFileSync(join(path, 'run.json'), 'utf8'));
    expect(record.history).toHaveLength(1);
    expect(record.history[0]).toMatchObject({
      exitCode: 0,
      command: expect.stringMatching(/^maskrank train data --run/),
    });
  });

  it('prints exactly one JSON document with --json, everything else on stderr', async () => {
    const { code, stdout, stderr, json } = await run([
      '--json',
      'train',
      'data',
      '--run',
      fresh(),
      '--model',
      'sam_vit_b',
      '--restart',
    ]);
    expect(code).toBe(0);
    expect(json()).toMatchObject({
      verb: 'train',
      ok: true,
      result: { dataset: 'data', restart: true, model: 'sam_vit_b', batchSize: 8, origin: 'default' },
      next: [expect.stringContaining('maskrank look')],
    });
    expect(stdout.trim().startsWith('{')).toBe(true);
    expect(stderr).toContain('warning:');
  });

  it('is quiet with --quiet but still gives its result', async () => {
    const { stdout, stderr } = await run(['train', 'data', '--run', fresh(), '--quiet']);
    expect(stdout).toBe('model sam-med2d-tiny\n');
    expect(stderr).toBe('warning: the seed is odd\n');
  });

  it('inherits what the run fixed; the file and flags win', async () => {
    const path = fresh();
    await run(['train', 'data', '--run', path, '--training.batch-size', '4', '--training.epochs', '2']);
    expect((await run(['look', '--run', path, '--json'])).json()).toMatchObject({ result: { batchSize: 4 } });
    const file = join(dir, 'config.json');
    writeFileSync(file, '{"training": {"batchSize": 6}}');
    const { json } = await run(['train', 'data', '--run', path, '--config', file, '--json']);
    expect(json()).toMatchObject({ result: { batchSize: 6, origin: `file ${file}` } });
  });

  it('of a group, with several files', async () => {
    const { json } = await run(['group', 'pack', 'a', 'b', '--out', 'here', '--json']);
    expect(json()).toMatchObject({ verb: 'group pack', result: { files: ['a', 'b'], out: 'HERE' } });
  });

  it('takes shortcuts of several words and switches that begin with no', async () => {
    const verb = defineVerb({
      name: 'odd',
      summary: 'odd flags',
      examples: [['maskrank odd', 'nothing']],
      sections: ['training'],
      shortcuts: { 'batch-size': 'training.batchSize', firstRate: 'training.learningRate' },
      options: {
        noControls: { describe: 'leave the controls out' },
        how: { describe: 'way', choices: ['a', 'b'] },
      },
      run: ({ config: { training }, options, origins }) => {
        const how: 'a' | 'b' | undefined = options.how;
        const result = {
          batch: training.batchSize,
          rate: training.learningRate,
          off: options.noControls,
          how,
        };
        return { result: { ...result, origin: origins['training.batchSize'] } };
      },
    });
    const given = await run(
      ['odd', '--batch-size', '3', '--first-rate', '0.5', '--no-controls', '--how', 'b', '--json'],
      { verbs: [verb] },
    );
    expect(given.json()).toMatchObject({
      result: { batch: 3, rate: 0.5, off: true, how: 'b', origin: 'flag --batch-size' },
    });
    expect((await run(['odd', '--json'], { verbs: [verb] })).json()).toMatchObject({
      result: { batch: 8, off: false },
    });
    expect((await run(['odd', '--how', 'c'], { verbs: [verb] })).stderr).toMatch(
      /--how: 'c' is not allowed here: a, b/,
    );
  });

  it('prints the resolved configuration with origins and does nothing', async () => {
    const path = fresh();
    const { code, stdout } = await run(['train', '--run', path, '--print-config', '--seed', '11']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^seed = 11 +flag --seed$/m);
    expect(existsSync(path)).toBe(false);
    const { json } = await run(['train', '--print-config', '--json']);
    expect(json()).toMatchObject({ config: { training: { batchSize: 8 } }, origins: { seed: 'default' } });
  });
});

describe('bad input', () => {
  it.each([
    [['trian'], /unknown command 'trian'\. Did you mean train\?/],
    [['group', 'pakc'], /unknown command 'pakc'\. Did you mean pack\?/],
    [
      ['train', 'd', '--training.batchsize', '4'],
      /unknown option '--training\.batchsize'\. Did you mean --training\.batch-size\?/,
    ],
    [
      ['train', 'd', '--evaluation.split', 'test'],
      /--evaluation\.split: this verb does not use evaluation\.split; look does/,
    ],
    [['train', 'd', '--training.batch-size'], /option '--training\.batch-size <integer>' argument missing/],
    [['train', 'd', 'e'], /too many arguments/],
    [['train'], /maskrank train: missing DATASET \(folder of the dataset\), --run RUN/],
    [
      ['group', 'pack'],
      /missing FILES \(what to pack\), --out DIR \(where to \(required\)\)|missing FILES \(what to pack\), --out DIR \(where to\)/,
    ],
    [['train', 'd', '--run', 'r', '--seed', 'lucky'], /seed \(flag --seed\) = 'lucky', allowed: integer/],
    [
      ['train', 'd', '--run', 'r', '--device', 'gpu'],
      /device \(flag --device\) = 'gpu', allowed: auto, cpu, cuda/,
    ],
    [
      ['train', 'd', '--model', 'a', '--model.name', 'b'],
      /--model = a and --model\.name = b: the same key twice/,
    ],
  ])('%j is a usage error', async (argv, message) => {
    const { code, stderr, stdout } = await run(argv);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^error: .*\nhint: maskrank .*--help\n$/s);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it('a run that is no run, and a config file that is none, are data errors', async () => {
    const missing = await run(['look', '--run', join(dir, 'nowhere')]);
    expect(missing.stderr).toMatch(/nowhere: is not a run \(no run\.json\)/);
    expect(missing.code).toBe(3);
    const file = await run(['train', 'd', '--run', 'r', '--config', join(dir, 'no.json')]);
    expect(file.stderr).toMatch(/no\.json: the configuration file cannot be read/);
    expect(file.code).toBe(3);
  });

  it('an unknown key of the configuration file names the nearest', async () => {
    const file = join(dir, 'wrong.json');
    writeFileSync(file, '{"training": {"learningrate": 1}}');
    const { code, stderr } = await run(['train', 'd', '--run', 'r', '--config', file]);
    expect(stderr).toMatch(/unknown key training\.learningrate .*Did you mean training\.learningRate\?/);
    expect(code).toBe(2);
  });

  it('a run in use says who works in it, is no mistake of the command, and is left alone', async () => {
    const path = fresh();
    await run(['train', 'd', '--run', path]);
    const lock = JSON.stringify({
      pid: process.ppid,
      hostname: hostname(),
      incarnation: null,
      since: 'noon',
      command: 'maskrank train',
    });
    writeFileSync(join(path, 'run.lock'), lock);
    const { code, stderr } = await run(['train', 'd', '--run', path]);
    expect(stderr).toMatch(
      new RegExp(
        `^error: .*run\\.lock: in use by process ${process.ppid} on .* \\(maskrank train\\)\\. Wait for it, or stop it`,
      ),
    );
    expect(stderr).not.toMatch(/hint|--help/);
    expect(code).toBe(2);
    const document = (await run(['train', 'd', '--run', path, '--json'])).json();
    expect(document).toMatchObject({ ok: false, error: { kind: 'in-use', hint: null }, exitCode: 2 });
    expect(readFileSync(join(path, 'run.lock'), 'utf8')).toBe(lock);
  });
});

describe('failures', () => {
  it.each([
    ['usage', 2, /^error: colour = mauve, allowed: grey\.\nhint: maskrank fail --help\n$/],
    ['data', 3, /^error: a\.png: truncated\.\n$/],
    ['engine', 4, /^error: no libtorch\.\nhint: maskrank doctor says/],
    ['system', 3, /^error: ENOSPC: no space left.*\nhint: check the path/],
    [
      'defect',
      1,
      /^error: unexpected failure: TypeError: x is not a function\nhint: this is a defect.*\n {2}maskrank 0\.1\.0, node .*\n {2}maskrank fail defect\n$/,
    ],
    ['text', 1, /^error: unexpected failure: thrown text/],
  ])('%s ends with code %i', async (how, exitCode, message) => {
    const { code, stderr } = await run(['fail', how]);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\bat .*\.ts/);
    expect(code).toBe(exitCode);
  });

  it('show the stack and its causes with --debug', async () => {
    const { stderr } = await run(['fail', 'defect', '--debug']);
    expect(stderr).toMatch(/TypeError: x is not a function\n +at /);
    expect(stderr).toMatch(/caused by: Error: deep/);
  });

  it('are one JSON document with --json, also when parsing fails', async () => {
    expect((await run(['fail', 'data', '--json'])).json()).toEqual({
      verb: 'fail',
      ok: false,
      error: { kind: 'data', message: 'a.png: truncated.', hint: null },
      exitCode: 3,
    });
    expect((await run(['trian', '--json'])).json()).toMatchObject({
      verb: null,
      ok: false,
      error: { kind: 'usage' },
    });
  });

  it('after the work keep the result', async () => {
    const { code, stdout, stderr } = await run(['fail', 'data', '--late']);
    expect([code, stdout, stderr]).toEqual([3, 'found 1 problem\n', 'error: a.png: truncated.\n']);
    const document = (await run(['fail', 'data', '--late', '--json'])).json();
    expect(document).toMatchObject({ ok: false, result: { problems: 1 }, error: { kind: 'data' } });
  });
});

describe('Ctrl-C', () => {
  const loop = (onStep: (step: number) => void) =>
    defineVerb({
      name: 'loop',
      summary: 'works for ever',
      examples: [['maskrank loop --run r', 'work']],
      runFolder: { mode: 'create' },
      run: async ({ signal }) => {
        for (let step = 0; step < 1000; step++) {
          onStep(step);
          await safePoint(signal);
        }
        return { result: null };
      },
    });

  it('stops at the next safe point, says how to go on, and releases the run', async () => {
    const signals = new EventEmitter();
    const path = fresh();
    const verb = loop((step) => step === 3 && signals.emit('SIGINT'));
    const { code, stderr, exits } = await run(['loop', '--run', path], { verbs: [verb], signals });
    expect(code).toBe(130);
    expect(stderr).toBe(
      `stopping at the next safe point; Ctrl-C again stops at once\nstopped; nothing is lost. The same command goes on: maskrank loop --run ${path}\n`,
    );
    expect(exits).toEqual([]);
    expect(existsSync(join(path, 'run.lock'))).toBe(false);
    expect(JSON.parse(readFileSync(join(path, 'run.json'), 'utf8')).history[0].exitCode).toBe(130);
    expect(signals.listenerCount('SIGINT') + signals.listenerCount('SIGTERM')).toBe(0);
  });

  it('the second time ends the process at once', async () => {
    const signals = new EventEmitter();
    const verb = loop((step) => {
      if (step === 3) for (const name of ['SIGTERM', 'SIGINT']) signals.emit(name);
    });
    const { exits, json } = await run(['loop', '--run', fresh(), '--json'], { verbs: [verb], signals });
    expect(exits).toEqual([130]);
    expect(json()).toMatchObject({
      verb: 'loop',
      ok: false,
      interrupted: true,
      resume: expect.stringContaining('maskrank loop'),
    });
  });
});

describe('help', () => {
  it('lists the verbs in order with those of groups', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    expect(stdout.indexOf('  train ')).toBeLessThan(stdout.indexOf('  look '));
    expect(stdout).toMatch(/^ {2}group pack +a verb of a group$/m);
    expect((await run([])).stdout).toBe(stdout);
  });

  it('of a verb shows usage, keys by section with their defaults, and examples', async () => {
    const { stdout } = await run(['train', '--help']);
    expect(stdout).toMatch(/^Usage: maskrank train DATASET --run RUN \[options\]$/m);
    expect(stdout).toMatch(/^Stage 1: fine-tuning on the labelled cases:$/m);
    expect(stdout).toMatch(/--training\.batch-size <integer> +images a step \(default: 8\)/);
    expect(stdout).toMatch(/--model <text> +short for --model\.name/);
    expect(stdout).toMatch(/Examples:\n {2}maskrank train data --run runs\/a {3}begin, or go on/);
    expect(stdout).not.toContain('--evaluation.');
    expect((await run(['help', 'train'])).stdout).toBe(stdout);
  });

  it('of a group is shown when its verb is missing', async () => {
    const { code, stdout } = await run(['group']);
    expect(code).toBe(2);
    expect(stdout).toMatch(/pack +a verb of a group/);
  });

  it('prints the version', async () => {
    expect((await run(['--version'])).stdout).toMatch(/^maskrank \d+\.\d+\.\d+\n$/);
  });
});
