// What the npm package of maskrank has beside its code: definitions of experiments, the small weights, licence and README, which lie
// at the root of a checkout. `npm pack` calls this before (copy) and after (remove), in packages/maskrank.

import { cpSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const PACKAGE = join(ROOT, 'packages/maskrank');
const NAMES = ['experiments', 'weights', 'LICENSE', 'README.md'];

const [what] = process.argv.slice(2);
if (what !== 'copy' && what !== 'remove') throw new Error(`${what}: allowed: copy, remove`);
for (const name of NAMES) {
  const copy = join(PACKAGE, name);
  rmSync(copy, { recursive: true, force: true });
  if (what === 'copy') cpSync(join(ROOT, name), copy, { recursive: true });
}
