// Killed with SIGKILL at random moments, stage 1 and stage 2 end with the same bits as a run that nobody disturbed.
// A state is saved after every step, so that many kills fall into the writing of a checkpoint.
//   npm run prove -- kill-resume [KILLS]     kills for each stage, default 50

import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killableProgram, uniform } from '../lib/kill.mjs';

const CONFIG = {
  threads: 1,
  data: { imageSize: 64 },
  prompts: { unlabelled: 'oracle-box', test: 'oracle-box', points: 1 },
  // As long and as quick as it takes until proposals differ, so that stage 2 has something to learn.
  training: {
    steps: 60,
    batchSize: 4,
    learningRate: 1e-3,
    schedule: 'constant',
    checkpointEverySteps: 1,
    logEverySteps: 4,
    ema: 0.9,
  },
  alignment: {
    steps: 120,
    batchSize: 4,
    refresh: { everySteps: 20 },
    checkpointEverySteps: 1,
    logEverySteps: 4,
    skip: { minRegionPx: 1, maxRegionFraction: 1 },
    alarms: { action: 'warn' },
  },
};

const sha = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

export const proof = {
  about:
    'kills either stage with SIGKILL at random moments; the resumed run ends with the same weights bit for bit',
  minutes: 20,
  run: async ({ root, args, log }) => {
    const kills = Number(args[0] ?? 50);
    const dir = mkdtempSync(join(tmpdir(), 'maskrank-kill-'));
    const at = (name) => join(dir, name);
    const { cli, killedAfter } = killableProgram(root);
    const results = [];
    try {
      writeFileSync(at('config.json'), JSON.stringify(CONFIG));
      cli(
        'dataset',
        'phantom',
        'breast',
        '--cases',
        '40',
        '--size',
        '64',
        '--seed',
        '3',
        '--out',
        at('data'),
      );
      cli(
        'dataset',
        'split',
        at('data'),
        '--labelled',
        '0.2',
        '--test',
        '0.2',
        '--validation',
        '0.1',
        '--seed',
        '3',
      );
      const stages = [
        { name: 'stage1', command: ['finetune', at('data'), '--config', at('config.json')] },
        { name: 'stage2', command: ['align', '--no-controls'] },
      ];
      const random = uniform(20);
      let before = null;
      for (const { name, command } of stages) {
        const whole = at(`${name}-whole`);
        if (before !== null) cpSync(before, whole, { recursive: true });
        const start = performance.now();
        cli(...command, '--run', whole);
        const elapsedMs = performance.now() - start;
        const wanted = sha(join(whole, 'checkpoints', `${name}.safetensors`));
        const broken = at(`${name}-broken`);
        let done = 0;
        let rounds = 0;
        while (done < kills) {
          rmSync(broken, { recursive: true, force: true });
          if (before !== null) cpSync(before, broken, { recursive: true });
          rounds += 1;
          let finished = false;
          // Several kills on the way of one run; most lie after start-up, where steps and writes are.
          while (!finished && done < kills) {
            finished = await killedAfter(300 + random() * 0.6 * elapsedMs, ...command, '--run', broken);
            if (!finished) done += 1;
          }
          if (!finished) cli(...command, '--run', broken);
          const leftovers = readdirSync(join(broken, 'checkpoints')).filter(
            (file) => !file.endsWith('.safetensors'),
          );
          const got = existsSync(join(broken, 'checkpoints', `${name}.safetensors`))
            ? sha(join(broken, 'checkpoints', `${name}.safetensors`))
            : 'missing';
          results.push({
            what: `${name}, run ${rounds}, ${done} kills so far: the same weights bit for bit`,
            ok: got === wanted && leftovers.length === 0,
            ...(got === wanted
              ? {}
              : { detail: `${got.slice(0, 12)}, uninterrupted ${wanted.slice(0, 12)}` }),
          });
          log(
            `${name}: ${done} kills over ${rounds} runs (one run takes ${(elapsedMs / 1000).toFixed(1)} s)`,
          );
        }
        before = whole;
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
    return results;
  },
};
