import { spawnSync } from 'node:child_process';
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder, write } from './fake-engine.ts';

const SCRIPTS = fileURLToPath(new URL('../../../../scripts/', import.meta.url));
const { npmPackagesStale } = await import(join(SCRIPTS, 'lib/npm-packages.mjs'));

describe('npmPackagesStale', () => {
  const lock = (packages: object): string =>
    JSON.stringify({ lockfileVersion: 3, packages: { '': {}, ...packages } });
  /** A lock file that is newer than what npm noted when it installed. */
  const touched = (wanted: object, installed: object | null): string => {
    const root = temporaryFolder();
    const file = write(join(root, 'package-lock.json'), lock(wanted));
    if (installed) write(join(root, 'node_modules/.package-lock.json'), lock(installed));
    utimesSync(file, new Date(Date.now() + 5000), new Date(Date.now() + 5000));
    return root;
  };
  const a = { 'node_modules/a': { version: '1.0.0' } };

  it('is stale when nothing is installed, something is missing, or of another version', () => {
    expect(npmPackagesStale(touched(a, null))).toBe(true);
    expect(npmPackagesStale(touched(a, {}))).toBe(true);
    expect(npmPackagesStale(touched(a, { 'node_modules/a': { version: '0.9.0' } }))).toBe(true);
    expect(npmPackagesStale(touched({ ...a, 'node_modules/own': { link: true } }, a))).toBe(true);
  });

  it('is not stale because of a date, or of builds for other platforms', () => {
    expect(npmPackagesStale(touched(a, a))).toBe(false);
    expect(
      npmPackagesStale(touched({ ...a, 'node_modules/b': { version: '1.0.0', optional: true } }, a)),
    ).toBe(false);
  });
});

describe('npm run setup, npm run prove', () => {
  const run = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8' });

  it('refuses an unknown option with the allowed ones', () => {
    const { status, stderr } = run(join(SCRIPTS, 'setup.mjs'), '--fast');
    expect(status).toBe(2);
    expect(stderr).toContain('unknown option --fast, allowed: --search --no-system-packages --help');
  });

  it('refuses an unknown proof with the known ones', () => {
    const { status, stderr } = run(join(SCRIPTS, 'prove.mjs'), 'everything');
    expect(status).toBe(2);
    expect(stderr).toContain('no proof is called everything');
  });
});
