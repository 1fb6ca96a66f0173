// System packages on Debian and its relatives: installed when this user may, named exactly when not.

import { existsSync } from 'node:fs';
import { run, StepError, step, tail } from './steps.mjs';

/** The oldest libtorch this project supports, as [major, minor]. */
const OLDEST_LIBTORCH = [1, 13];

/**
 * Installs `packages` with apt.
 *
 * @param {{allowed: boolean, advice?: string}} options `allowed` false when the user forbade it
 * @throws StepError (exit 4) with the exact command when this cannot be done here
 */
export async function installSystemPackages(packages, { allowed, advice = '' }) {
  const command = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  const refuse = (why) => {
    throw new StepError(
      `${packages.join(', ')} needed, and ${why}.\n${advice || `Run as root:\n  ${command}`}`,
      4,
    );
  };
  if (!existsSync('/usr/bin/apt-get')) refuse('there is no apt-get here');
  const runAs = await privilege();
  if (!allowed || !runAs) {
    const why = allowed
      ? 'this user is neither root nor may use sudo without a password'
      : '--no-system-packages was given';
    throw new StepError(
      `${packages.join(', ')} needed, and ${why}. Run:\n  sudo sh -c '${command}'\nthen \`npm run setup\`.${advice && `\n${advice}`}`,
      4,
    );
  }
  await step(`installing ${packages.join(', ')} with apt`, async () => {
    const apt = (...args) =>
      run(runAs[0], [...runAs.slice(1), 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', ...args]);
    const update = await apt('update');
    if (packages.includes('libtorch-dev')) {
      const version = await candidateVersion('libtorch-dev');
      if (!version || !isSupported(version)) {
        const found = version
          ? `offers libtorch-dev ${version}, older than ${OLDEST_LIBTORCH.join('.')}`
          : 'has no libtorch-dev';
        const hint = update.status === 0 ? '' : `\napt-get update failed:\n${tail(update.output, 5)}`;
        throw new StepError(`apt ${found}.${hint}\n${advice}`, 4);
      }
    }
    const install = await apt('install', '-y', '--no-install-recommends', ...packages);
    if (install.status !== 0)
      throw new StepError(`apt-get failed (exit ${install.status}):\n${tail(install.output)}\n${advice}`, 4);
  });
}

/** How to run something as root: an `env` to start it with, behind sudo where needed; null when not possible. */
async function privilege() {
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
