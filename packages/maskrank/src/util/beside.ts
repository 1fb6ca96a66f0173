// Folders that come with maskrank and are no code: `experiments`, `weights`. In a checkout they lie at its root, in the npm
// package inside it (scripts/package-folders.mjs puts them there when it is packed).

import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Of the sources and of what is compiled from them. */
const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Absolute path; null where it was left out.
 *
 * @param packageDir folder of the package, with its `package.json`
 */
export function folderBeside(name: string, packageDir = PACKAGE): string | null {
  const parent = dirname(join(packageDir, '.'));
  // Copies inside a checkout are those of a packing that was cut off, and may be old.
  const root = basename(parent) === 'packages' ? dirname(parent) : packageDir;
  const folder = join(root, name);
  return existsSync(folder) ? folder : null;
}
