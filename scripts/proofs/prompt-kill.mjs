// Killed with SIGKILL at random moments, `maskrank prompt` ends with the bytes of a run that nobody disturbed: in one piece, and
// in two parts that work side by side and are killed independently. No line is there twice, none is missing.
//   npm run prove -- prompt-kill [KILLS]     kills for each way, default 25

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killableProgram, uniform } from '../lib/kill.mjs';

const CONFIG = {
  threads: 1,
  data: { imageSize: 64 },
  prompts: { use: ['box', 'point', 'knowledge'] },
  clip: { architecture: 'biomedclip-nano' },
  saliency: { k: 24, batch: 8 },
};

export const proof = {
  about:
    'kills prompting with SIGKILL at random moments, whole and in parts; the file is the same byte for byte',
  minutes: 6,
  run: async ({ root, args, log }) => {
    const kills = Number(args[0] ?? 25);
    const dir = mkdtempSync(join(tmpdir(), 'maskrank-prompt-kill-'));
    const at = (name) => join(dir, name);
    const { cli, killedAfter } = killableProgram(root);
    const bytes = (run) => readFileSync(join(run, 'prompts.jsonl'), 'utf8');
    /** Parts, locks and torn temporary files that should be gone. */
    const leftovers = (run) => readdirSync(run).filter((name) => /shard|\.lock|\.takeover|\.tmp$/.test(name));
    const results = [];
    try {
      writeFileSync(at('config.json'), JSON.stringify(CONFIG));
      cli(
        ...['dataset', 'phantom', 'chest', '--classes', 'lung', '--cases', '24'],
        ...['--size', '64', '--seed', '3', '--out', at('data')],
      );
      cli(
        ...['dataset', 'split', at('data'), '--labelled', '0.2', '--unlabelled', '0.8'],
        ...['--test', '0.2', '--validation', '0.1', '--seed', '3'],
      );
      const command = (run, ...more) => [
        'prompt',
        at('data'),
        '--config',
        at('config.json'),
        '--run',
        run,
        ...more,
      ];
      const start = performance.now();
      cli(...command(at('whole')));
      const elapsedMs = performance.now() - start;
      const wanted = bytes(at('whole'));
      const lines = wanted.split('\n').length - 1;
      log(`an undisturbed run makes ${lines} lines in ${(elapsedMs / 1000).toFixed(1)} s`);
      const random = uniform(20);
      const moment = () => 300 + random() * 0.8 * elapsedMs;
      const ways = {
        whole: [[]],
        'in two parts': [
          ['--shard', '1/2'],
          ['--shard', '2/2'],
        ],
      };
      for (const [way, parts] of Object.entries(ways)) {
        let done = 0;
        for (let round = 1; done < kills; round++) {
          const run = at('broken');
          rmSync(run, { recursive: true, force: true });
          // Each part is killed and begun again by itself, until it ends or enough were killed.
          const ended = await Promise.all(
            parts.map(async (part) => {
              for (;;) {
                if (done >= kills) return false;
                if (await killedAfter(moment(), ...command(run, ...part))) return true;
                done += 1;
              }
            }),
          );
          for (const [i, part] of parts.entries()) if (!ended[i]) cli(...command(run, ...part));
          const got = bytes(run);
          const left = leftovers(run);
          results.push({
            what: `${way}, run ${round}, ${done} kills so far: the same ${lines} lines byte for byte, nothing left behind`,
            ok: got === wanted && left.length === 0,
            detail: got === wanted ? left.join(' ') : `${got.split('\n').length - 1} lines, other bytes`,
          });
          log(`${way}: ${done} kills over ${round} runs`);
        }
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
    return results;
  },
};
