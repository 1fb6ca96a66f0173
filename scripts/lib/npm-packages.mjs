// Whether node_modules is what package-lock.json asks for, and making it so.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, run, StepError, step, tail } from './steps.mjs';

/** Installs with `npm ci` when something is missing or of another version. */
export async function ensureNpmPackages(root = ROOT) {
  if (!npmPackagesStale(root)) return;
  await step('installing npm packages', async () => {
    const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
    // No package of ours needs an install script; the variable keeps one of them from downloading a GPU runtime.
    const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    const { status, output } = await run(npm[0], [...npm.slice(1), ...args], {
      cwd: root,
      env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
    });
    if (status !== 0) {
      throw new StepError(
        `\`npm ci\` failed (exit ${status}):\n${tail(output)}\nIs the npm registry reachable?`,
      );
    }
  });
}

/** Compares npm's own record of what it installed with the lock file; touching the lock file alone changes nothing. */
export function npmPackagesStale(root) {
  const lockFile = join(root, 'package-lock.json');
  const installedFile = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return true;
  if (statSync(installedFile).mtimeMs >= statSync(lockFile).mtimeMs) return false;
  const wanted = JSON.parse(readFileSync(lockFile, 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  return Object.entries(wanted).some(([path, { version, optional, link }]) => {
    if (path === '' || optional) return false; // optional: builds for other platforms
    if (link) return installed[path] === undefined;
    return path.startsWith('node_modules/') && installed[path]?.version !== version;
  });
}
