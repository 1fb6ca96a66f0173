// Finds a libtorch on this machine: LIBTORCH, then Python's torch, then the system's package. An engine that was
// chosen earlier through LIBTORCH or Python is kept while it stands and nothing of higher precedence is named.
// Nothing is downloaded and Python's torch is never imported (that takes seconds): its folder is asked for, its files
// are read. Linux only. Not here: compiling (build.ts).

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { EngineError } from '../errors.ts';
import type { Engine, EngineCuda, EngineOrigin } from './types.ts';

/** Environment variables as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type LocateOptions = {
  /** Where LIBTORCH, MASKRANK_PYTHON, CUDA_HOME and PATH are read from. */
  readonly env?: Environment;
  /** The engine of the last build, kept while it stands; see the head of this file. */
  readonly recorded?: Engine | null;
  /** Prefixes of system packages. */
  readonly systemPrefixes?: readonly string[];
  /** How long an interpreter may take to answer, in milliseconds. */
  readonly pythonTimeoutMs?: number;
};

/** One place that was looked at. */
export type Attempt = { readonly where: string; readonly found: string };

export type SearchResult = { readonly engine: Engine | null; readonly attempts: readonly Attempt[] };

/** The versions this project supports: from `min` (inclusive) to `below` (exclusive). */
export const SUPPORTED = { min: [1, 13], below: [3, 0], text: '>= 1.13, < 3' } as const;

const TRIPLETS: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };
const COMPILER_SEARCHES = new Set(['/usr/include', '/usr/local/include']);
// The first of each folder that CUDA's packages come in; pip's torch brings all but the compiler's crt/.
const CUDA_HEADERS = [
  'cuda_runtime_api.h',
  'crt/host_defines.h',
  'cublas_v2.h',
  'cusparse.h',
  'cusolverDn.h',
];

/** Engines beside the system's package; also printed by `npm run setup`. */
export const OTHER_ENGINES = [
  '  GPU, or any other Linux:  pip install torch   (and a C++ compiler)',
  '  or set LIBTORCH to a folder that holds include/ and lib/, such as a torch folder of pip.',
].join('\n');

/** What to do when there is no engine. */
export const INSTALL_ADVICE = [
  'Install one of these, then run `npm run setup`:',
  '  CPU, on Debian 12, Ubuntu 24.04 or newer:  apt-get install libtorch-dev libopenblas0-pthread g++',
  OTHER_ENGINES,
].join('\n');

/**
 * The engine to build against.
 *
 * @throws EngineError when LIBTORCH or MASKRANK_PYTHON names something unusable, or nothing usable is found; the
 * message lists what was tried and what to install.
 */
export function locateEngine(options: LocateOptions = {}): Engine {
  const { engine, attempts } = searchEngine(options);
  if (engine) return engine;
  const tried = attempts.map(({ where, found }) => `  ${where}: ${found}`).join('\n');
  throw new EngineError(
    `locateEngine: no usable libtorch found (supported: ${SUPPORTED.text}). Tried\n${tried}\n${INSTALL_ADVICE}`,
  );
}

/** As `locateEngine`, but returns null where there is none. What the user named explicitly must still be usable. */
export function searchEngine(options: LocateOptions = {}): SearchResult {
  const { env = process.env, recorded = null, systemPrefixes = ['/usr', '/usr/local'] } = options;
  const attempts: Attempt[] = [];
  const look = (
    where: string,
    root: string,
    origin: EngineOrigin,
    python: string | null = null,
  ): Engine | null => {
    const found = inspectRoot(root, origin, env, python);
    attempts.push({ where, found: typeof found === 'string' ? found : `libtorch ${found.version}` });
    return typeof found === 'string' ? null : found;
  };
  const done = (engine: Engine | null): SearchResult => ({ engine, attempts });
  const demand = (variable: string, engine: Engine | null): SearchResult => {
    if (engine) return done(engine);
    throw new EngineError(
      `locateEngine: ${variable}=${env[variable]} is not usable: ${attempts.at(-1)?.found}.\n` +
        `Allowed: libtorch ${SUPPORTED.text} with headers and libraries. Correct or unset ${variable}.`,
    );
  };

  if (env.LIBTORCH) return demand('LIBTORCH', look('LIBTORCH', resolve(env.LIBTORCH), 'LIBTORCH'));
  attempts.push({ where: 'LIBTORCH', found: 'not set' });

  const fromPython = (command: string): Engine | null => {
    const answer = askPython(command, options);
    if (typeof answer === 'string') {
      attempts.push({ where: `Python (${command})`, found: answer });
      return null;
    }
    const { executable, roots } = answer;
    for (const root of roots) {
      const engine = look(`Python (${executable}), ${root}`, root, 'python', executable);
      if (engine) return engine;
    }
    return null;
  };
  if (env.MASKRANK_PYTHON) return demand('MASKRANK_PYTHON', fromPython(env.MASKRANK_PYTHON));

  const kept = (origin: EngineOrigin): Engine | null =>
    recorded?.origin === origin
      ? look(`chosen earlier (${origin}), ${recorded.root}`, recorded.root, origin, recorded.python)
      : null;
  const engine =
    kept('LIBTORCH') ??
    fromPython('python3') ??
    kept('python') ??
    first(systemPrefixes, (prefix) => look(`system package, ${prefix}`, prefix, 'system'));
  return done(engine);
}

/** Reads the engine under `root`, or says in words why there is none. */
function inspectRoot(
  root: string,
  origin: EngineOrigin,
  env: Environment,
  python: string | null,
): Engine | string {
  if (!existsSync(root)) return 'no such folder';
  const include = join(root, 'include');
  const api = join(include, 'torch/csrc/api/include');
  const version = readVersion([join(api, 'torch/version.h'), join(include, 'torch/headeronly/version.h')]);
  if (!version) return 'no libtorch headers (include/torch/csrc/api/include/torch/version.h)';
  const { major, minor } = version;
  if (!isSupported(major, minor)) return `libtorch ${version.text}, allowed ${SUPPORTED.text}`;

  const triplet = TRIPLETS[process.arch];
  const libDirs = ['lib', 'lib64', ...(triplet ? [`lib/${triplet}`] : [])].map((name) => join(root, name));
  const libDir = libDirs.find((dir) => hasLibrary(dir, 'torch_cpu') && hasLibrary(dir, 'c10'));
  if (!libDir) return `headers of libtorch ${version.text}, but no libtorch_cpu.so and libc10.so in lib/`;
  const cxx11Abi = readCxx11Abi(join(libDir, 'libc10.so'));
  if (cxx11Abi === null) return `libc10.so in ${libDir} does not tell its C++ ABI; is it damaged?`;

  const text = readFullVersion(root, version.text);
  const withCuda = hasLibrary(libDir, 'torch_cuda');
  const optional = ['torch_cuda', 'c10_cuda'].filter((name) => hasLibrary(libDir, name));
  return {
    version: text,
    major,
    minor,
    origin,
    root,
    includeDirs: [include, api].filter((dir) => !COMPILER_SEARCHES.has(dir)),
    libDir,
    libraries: [...['torch', 'torch_cpu', 'c10'].filter((name) => hasLibrary(libDir, name)), ...optional],
    cxx11Abi,
    cuda: withCuda ? findCuda(root, text, env) : null,
    python,
  };
}

function isSupported(major: number, minor: number): boolean {
  const atLeast = ([m, n]: readonly [number, number]): boolean => major > m || (major === m && minor >= n);
  return atLeast(SUPPORTED.min) && !atLeast(SUPPORTED.below);
}

function hasLibrary(dir: string, name: string): boolean {
  return existsSync(join(dir, `lib${name}.so`));
}

/** Up to 2.x the numbers stand in the API's version.h; later that file includes headeronly/version.h. */
function readVersion(files: readonly string[]): { major: number; minor: number; text: string } | null {
  return first(files, (file) => {
    const text = readIfThere(file) ?? '';
    const parts = ['MAJOR', 'MINOR', 'PATCH'].map(
      (part) => new RegExp(`#define TORCH_VERSION_${part}\\s+(\\d+)`).exec(text)?.[1],
    );
    if (parts.some((part) => part === undefined)) return null;
    return { major: Number(parts[0]), minor: Number(parts[1]), text: parts.join('.') };
  });
}

/** The version with its local label (`+cu132`): pip says it in version.py, the zip of pytorch.org in build-version. */
function readFullVersion(root: string, fallback: string): string {
  const pip = /__version__\s*=\s*['"]([^'"]+)/.exec(readIfThere(join(root, 'version.py')) ?? '')?.[1];
  const zip = readIfThere(join(root, 'build-version'))?.trim();
  const full = pip ?? zip;
  return full?.startsWith(fallback) ? full : fallback;
}

/** c10's check function takes a std::string, so its mangled name tells which std::string that is. */
function readCxx11Abi(libc10: string): boolean | null {
  const bytes = readFileSync(libc10);
  if (bytes.includes('torchCheckFailEPKcS2_jRKNSt7__cxx11')) return true;
  if (bytes.includes('torchCheckFailEPKcS2_jRKSs')) return false;
  return null;
}

/** Toolkit version and header folders: pip's nvidia packages beside torch, CUDA_HOME, then /usr/local/cuda. */
function findCuda(root: string, version: string, env: Environment): EngineCuda {
  const label = /\+cu(\d+)(\d)$/.exec(version);
  const text = /^cuda[^=]*=\s*['"]([\d.]+)/m.exec(readIfThere(join(root, 'version.py')) ?? '')?.[1];
  const pip = join(dirname(root), 'nvidia');
  const pipDirs = existsSync(pip) ? readdirSync(pip).map((name) => join(pip, name, 'include')) : [];
  const homes = [env.CUDA_HOME, env.CUDA_PATH, '/usr/local/cuda'].filter((home) => home !== undefined);
  const toolkits = [pipDirs, ...homes.map((home) => [join(home, 'include')])]; // never parts of two
  return {
    version: text ?? (label ? `${label[1]}.${label[2]}` : null),
    includeDirs: first(toolkits, holdersOfCudaHeaders) ?? [],
  };
}

/** Those of `dirs` that together hold all the headers; null when one is missing. */
function holdersOfCudaHeaders(dirs: readonly string[]): string[] | null {
  const holders = CUDA_HEADERS.map((header) => dirs.find((dir) => existsSync(join(dir, header))));
  return holders.includes(undefined) ? null : [...new Set(holders as string[])];
}

// Finding the spec of a top-level package does not import it. conda keeps headers and libraries under sys.prefix.
const PYTHON_QUESTION = `
import importlib.util, json, sys
spec = importlib.util.find_spec('torch')
roots = list(spec.submodule_search_locations) + [sys.prefix] if spec and spec.origin else []
print(json.dumps({'executable': sys.executable, 'roots': roots}))`;

/** Where an interpreter keeps torch, or in words why it could not say. */
function askPython(
  command: string,
  { env = process.env, pythonTimeoutMs = 10_000 }: LocateOptions,
): { executable: string; roots: string[] } | string {
  let text: string;
  try {
    text = execFileSync(command.includes('/') ? resolve(command) : command, ['-c', PYTHON_QUESTION], {
      cwd: '/', // a folder called torch below the current one must not look like the package
      env: env as NodeJS.ProcessEnv,
      timeout: pythonTimeoutMs,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch (error) {
    const { code, status } = error as { code?: string; status?: number | null };
    if (code === 'ENOENT') return 'no such interpreter';
    if (code === 'ETIMEDOUT') return `no answer within ${pythonTimeoutMs} ms`;
    return `could not be asked (exit ${status ?? code})`;
  }
  try {
    const answer = JSON.parse(text) as { executable: string; roots: string[] };
    return answer.roots.length > 0 ? answer : `${answer.executable} has no torch`;
  } catch {
    return `answered ${JSON.stringify(text.slice(0, 80))} instead of where torch is`;
  }
}

function readIfThere(file: string): string | null {
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

function first<T, R>(items: readonly T[], look: (item: T) => R | null): R | null {
  for (const item of items) {
    const found = look(item);
    if (found !== null) return found;
  }
  return null;
}
