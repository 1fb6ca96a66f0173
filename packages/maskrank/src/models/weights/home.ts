// Where this machine keeps weights: MASKRANK_HOME, else the platform's folder for caches. Nothing is created here.

import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** The folder of everything that outlives a run and belongs to no dataset; absolute. */
export function maskrankHome(
  env: Environment = process.env,
  { platform = process.platform as string, home = homedir() } = {},
): string {
  if (env.MASKRANK_HOME) return resolve(env.MASKRANK_HOME);
  if (platform === 'win32') return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), 'maskrank');
  // The XDG specification: a relative path is to be ignored.
  const cache =
    env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME) ? env.XDG_CACHE_HOME : join(home, '.cache');
  return join(cache, 'maskrank');
}
