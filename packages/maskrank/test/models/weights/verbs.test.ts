// The weights verbs in-process with the real registry, and a run that starts from weights by name. No network is used.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { overlapWarnings } from '../../../src/models/weights/index.ts';
import { startingModel } from '../../../src/pipeline/model.ts';
import type { Workspace } from '../../../src/pipeline/workspace.ts';
import { configSchema } from '../../../src/run/config.ts';
import { runCli } from '../../cli/harness.ts';
import { SMALL } from '../sam/small.ts';
import { temporaryFolder, writeSmall } from './support.ts';

const folder = temporaryFolder();
let small: string;
beforeAll(async () => {
  vi.stubEnv('MASKRANK_HOME', folder.path('home'));
  small = await writeSmall(folder.path('small.safetensors'));
});
afterEach(() => {
  vi.unstubAllGlobals();
});

describe('maskrank weights', () => {
  it('lists what is known before anything is here', async () => {
    const { code, stdout } = await runCli(['weights', 'list']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^name +architecture +MB +licence +here\n/);
    expect(stdout).toMatch(/\nbiomedclip-tiny .* comes with maskrank\n/);
    expect(stdout).toMatch(/\nsam_vit_b +sam_vit_b +375 +Apache-2\.0 +no\n/);
    expect(stdout).toMatch(/sam-med2d_b +sam-med2d_b +– +Apache-2\.0 +no/);
    const { stdout: verified, code: verifyCode } = await runCli(['weights', 'verify']);
    expect([verifyCode, verified]).toEqual([0, expect.stringMatching(/^biomedclip-tiny: as it was\n/)]);
  });

  it('adds a file, verifies it, finds damage', async () => {
    const added = await runCli(['weights', 'add', 'own', small]);
    expect(added.stderr).toBe('');
    expect(added.stdout).toMatch(
      /^own: added; .*64 px.*\nin .*own-[0-9a-f]{8}\.safetensors\nnext: maskrank finetune /,
    );
    expect((await runCli(['weights', 'verify', 'own'])).stdout).toBe('own: as it was\n');
    const { result } = (await runCli(['weights', 'list', '--json'])).json() as {
      result: { folder: string; weights: { name: string; state: string; path: string }[] };
    };
    expect(result.folder).toBe(join(folder.path('home'), 'weights'));
    const own = result.weights.find(({ name }) => name === 'own')!;
    expect(own.state).toBe('present');

    writeFileSync(own.path, 'damaged');
    const verified = await runCli(['weights', 'verify', '--json']);
    expect(verified.code).toBe(3);
    expect(verified.json()).toMatchObject({ ok: false, error: { kind: 'data' } });
    const listed = await runCli(['weights', 'list']);
    expect(listed.stdout).toMatch(/own +unknown +– +your own +damaged/);
    expect(listed.stderr).toMatch(/^warning: .*has 7 bytes, recorded are \d+\. Add the file again: /);
    const refused = await runCli(['weights', 'add', 'own', small]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/damaged weights .*--replace/)]);
    expect((await runCli(['weights', 'add', 'own', small, '--replace'])).code).toBe(0);
  });

  it.each([
    [['add', 'Own', 'x.pth'], 2, /'Own' cannot be a name of weights/],
    [['add', 'own2'], 2, /missing FILE/],
    [['add', 'own2', 'none.pth'], 3, /none\.pth: cannot be read \(no such file or folder\)/],
    [['verify', 'sam_vit_x'], 2, /no weights are named 'sam_vit_x'\. Did you mean "sam_vit_b"\?/],
    [['verify', 'sam_vit_b'], 3, /sam_vit_b is not here\. Fetch it: maskrank weights pull sam_vit_b/],
    [
      ['pull', 'sam-med2d_b'],
      3,
      /no address for download.*github\.com\/OpenGVLab\/SAM-Med2D.*weights add sam-med2d_b/,
    ],
    [
      ['pull', 'sam_vit_b'],
      3,
      /dl\.fbaipublicfiles\.com cannot be reached \(EAI_AGAIN\).*weights add sam_vit_b/,
    ],
  ])('%j ends with %i', async (argv, exitCode, message) => {
    const offline = Object.assign(new Error('getaddrinfo'), { code: 'EAI_AGAIN' });
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('fetch failed', { cause: offline })));
    const { code, stderr } = await runCli(['weights', ...argv]);
    expect(stderr).toMatch(message);
    expect(stderr.match(/^error: /gm)).toHaveLength(1);
    expect(code).toBe(exitCode);
  });

  it('refuses another file under a public name', async () => {
    const { code, stderr } = await runCli(['weights', 'add', 'sam_vit_b', small]);
    expect(stderr).toMatch(/that of the public sam_vit_b_01ec64\.pth is ec2df627/);
    expect(code).toBe(3);
    expect((await runCli(['weights', 'add', 'sam-med2d_b', small])).stderr).toMatch(/sam-med2d_b has 256 px/);
  });
});

describe('a run', () => {
  it('starts from weights by name, and warns of what they may have seen', async () => {
    await runCli(['weights', 'add', 'sam-med2d-own', small]);
    const cases = [{ id: 'amos_1', image: 'a.png', masks: {}, group: 'a' }];
    const workspace = {
      architecture: SMALL,
      device: 'cpu',
      dataset: { dataset: { schemaVersion: 1, name: 'd', modality: 'ct', classes: [], cases } },
    } as unknown as Workspace;
    const config = configSchema.parse({ model: { weights: 'sam-med2d-own' } });
    const warnings: string[] = [];
    const sam = await startingModel(workspace, config, (text) => warnings.push(text));
    expect(warnings).toEqual([expect.stringMatching(/sam-med2d-own was trained on AMOS/)]);
    expect(overlapWarnings(workspace.dataset.dataset, 'sam-med2d-tiny')).toEqual([]); // comes with maskrank, saw no patient
    sam.dispose();
  });
});
