// System packages on Debian and its relatives: installed when this user may, named exactly when not.

import { existsSync } from 'node:fs';
import { run, StepError, step, tail } from './steps.mjs';

/** The oldest libtorch this project supports, as [major, minor]. */
const OLDEST_LIBTORCH = [1, 13];

/**
 * Installs `packages` with apt.
 *
 * @param {readonly string[]} packages
 * @param {{allowed: boolean, elsewhere?: string}} options `allowed`: false when the user forbade it; `elsewhere`: other
 * ways to get what is needed, told when apt cannot do it
 * @throws StepError (exit 4) with the exact command when this cannot be done here
 */
export async function installSystemPackages(packages, { allowed, elsewhere = '' }) {
  const others = elsewhere && `\nOther ways:\n${elsewhere}`;
  const refuse = (why) => {
    throw new StepError(`needed: ${packages.join(', ')}. ${why}${others}`, 4);
  };
  if (!existsSync('/usr/bin/apt-get'))
    refuse("There is no apt-get here: install them with this system's own tool.");
  const command = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  const byHand = `Run\n  sudo sh -c '${command}'\nthen \`npm run setup\` again.`;
  if (!allowed) refuse(`Nothing is installed because of --no-system-packages. ${byHand}`);
  const root = await rootCommand();
  if (!root) refuse(`This user is neither root nor may use sudo without a password. ${byHand}`);

  await step(`installing ${packages.join(', ')} with apt`, async () => {
    const apt = (...args) =>
      run(root[0], [...root.slice(1), 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', ...args]);
    const update = await apt('update');
    const updateFailure =
      update.status === 0 ? '' : `\napt-get update had failed:\n${tail(update.output, 5)}`;
    if (packages.includes('libtorch-dev')) {
      const version = await candidateVersion('libtorch-dev');
      if (!version) refuse(`apt has no libtorch-dev.${updateFailure}`);
      if (!isSupported(version))
        refuse(`apt's libtorch-dev is ${version}, allowed ${OLDEST_LIBTORCH.join('.')} or later.`);
    }
    const install = await apt('install', '-y', '--no-install-recommends', ...packages);
    if (install.status !== 0)
      refuse(`apt-get failed (exit ${install.status}):\n${tail(install.output)}${updateFailure}`);
  });
}

/** How to run something as root: an `env` to start it with, behind sudo where needed; null when not possible. */
async function rootCommand() {
  if (process.getuid?.() === 0) return ['env'];
  const { status } = await run('sudo', ['-n', 'true']);
  return status === 0 ? ['sudo', '-n', 'env'] : null;
}

/** What apt would install, such as `1.13.1+dfsg-4`. */
async function candidateVersion(name) {
  const { output } = await run('apt-cache', ['policy', name]);
  const version = /Candidate:\s*(\S+)/.exec(output)?.[1];
  return version === '(none)' ? undefined : version;
}

function isSupported(version) {
  const [major, minor] = version.replace(/^\d+:/, '').split('.').map(Number);
  return major > OLDEST_LIBTORCH[0] || (major === OLDEST_LIBTORCH[0] && minor >= OLDEST_LIBTORCH[1]);
}
