// What a person gets who installs maskrank with npm: the package is packed from a copy of the checkout, unpacked into an empty folder,
// and its programs find what comes with them there.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { folderBeside } from '../../src/util/beside.ts';

const root = resolve(import.meta.dirname, '../../../..');
const built = existsSync(join(root, 'packages/maskrank/dist/util/beside.js'));
const dir = mkdtempSync(join(tmpdir(), 'maskrank-package-'));
afterAll(() => rmSync(dir, { recursive: true }));

describe('folders that come with maskrank', () => {
  it('are those at the root of a checkout, whatever a cut-off packing left inside', () => {
    const home = join(dir, 'checkout/packages/maskrank');
    mkdirSync(join(home, 'weights'), { recursive: true });
    expect(folderBeside('weights', home)).toBeNull();
    mkdirSync(join(dir, 'checkout/weights'));
    expect(folderBeside('weights', home)).toBe(join(dir, 'checkout/weights'));
    expect(folderBeside('weights')).toBe(join(root, 'weights'));
  });

  it('are inside an installed package, never those of the project around it', () => {
    const home = join(dir, 'project/node_modules/maskrank');
    mkdirSync(home, { recursive: true });
    mkdirSync(join(dir, 'project/weights'));
    expect(folderBeside('weights', home)).toBeNull();
    mkdirSync(join(home, 'weights'));
    expect(folderBeside('weights', `${home}/`)).toBe(join(home, 'weights'));
  });
});

describe.skipIf(!built)('the npm package (skipped until it is built)', () => {
  const project = join(dir, 'empty');
  const home = join(project, 'node_modules/maskrank');
  const maskrank = (...argv: string[]) =>
    spawnSync(process.execPath, [join(home, 'dist/cli/main.js'), ...argv], {
      cwd: project,
      env: { ...process.env, MASKRANK_HOME: join(dir, 'home') },
      encoding: 'utf8',
    });

  beforeAll(() => {
    const copy = join(dir, 'copy');
    for (const name of ['experiments', 'weights', 'LICENSE', 'README.md', 'scripts/package-folders.mjs'])
      cpSync(join(root, name), join(copy, name), { recursive: true });
    for (const name of ['package.json', 'dist', 'src'])
      cpSync(join(root, 'packages/maskrank', name), join(copy, 'packages/maskrank', name), {
        recursive: true,
      });
    const inside = join(copy, 'packages/maskrank');
    execFileSync('npm', ['pack', '--pack-destination', dir], { cwd: inside, stdio: 'pipe' });
    expect(readdirSync(inside).sort()).toEqual(['dist', 'package.json', 'src']);
    const file = readdirSync(dir).find((name) => name.endsWith('.tgz')) as string;
    mkdirSync(home, { recursive: true });
    execFileSync('tar', ['-xzf', join(dir, file), '--strip-components=1', '-C', home]);
    // What npm would fetch from the registry.
    const { dependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
    for (const name of Object.keys(dependencies)) {
      const link = join(project, 'node_modules', name);
      mkdirSync(resolve(link, '..'), { recursive: true });
      symlinkSync(join(root, 'node_modules', name), link);
    }
    writeFileSync(join(project, 'package.json'), '{}');
  }, 240_000);

  it('has the code, the definitions, the weights with their cards, licence and README', () => {
    for (const name of ['dist/cli/main.js', 'src/index.ts', 'LICENSE', 'README.md', 'experiments/paper.json'])
      expect(existsSync(join(home, name)), name).toBe(true);
    for (const name of readdirSync(join(root, 'weights')))
      expect(readdirSync(join(home, 'weights', name)).sort()).toEqual(
        readdirSync(join(root, 'weights', name)).sort(),
      );
  });

  it('lists experiments and weights from within itself', () => {
    const experiments = maskrank('experiment');
    expect(experiments.status, experiments.stderr).toBe(0);
    expect(experiments.stdout).toMatch(/^table1 /m);
    const { status, stdout, stderr } = maskrank('weights', 'list', '--json');
    expect(status, stderr).toBe(0);
    const shipped = JSON.parse(stdout).result.weights.filter((entry: { shipped: boolean }) => entry.shipped);
    expect(shipped.map(({ name }: { name: string }) => name)).toContain('sam-med2d-tiny');
    for (const { path, state } of shipped) {
      expect(state).toBe('present');
      expect(path.startsWith(join(home, 'weights'))).toBe(true);
    }
  });
});
