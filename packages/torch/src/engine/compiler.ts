// The C++ compiler as a pure table of flags and two processes: compile one source, link all objects.
// No node-gyp and no CMake: the headers come from npm packages, and libtorch's folder is linked directly (the CMake
// package of a CUDA build demands the whole toolkit even where only the driver is).

import { spawn, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { EngineError } from '../errors.ts';
import type { Environment } from './locate.ts';
import type { Engine } from './types.ts';

export type Compiler = {
  readonly command: string;
  /** First line of its `--version`; part of what an object is cached by. */
  readonly description: string;
};

export type Flags = { readonly compile: readonly string[]; readonly link: readonly string[] };

/** The Node-API version the addon is written to; Node 20 and later have it. */
const NODE_API_VERSION = 9;

/**
 * $CXX, or g++.
 *
 * @throws EngineError when it cannot be run.
 */
export function findCompiler(env: Environment = process.env): Compiler {
  const command = env.CXX || 'g++';
  const { status, stdout, error } = spawnSync(command, ['--version'], { encoding: 'utf8' });
  if (error || status !== 0) {
    throw new EngineError(
      `findCompiler: ${env.CXX ? `CXX=${env.CXX}` : 'g++'} cannot be run (${error?.message ?? `exit ${status}`}). ` +
        'A C++ compiler with C++17 is needed once, to build the addon: apt-get install g++',
    );
  }
  return { command, description: stdout.split('\n')[0] ?? command };
}

/** Everything that decides what the compiler makes of a source, besides the source. */
export function flagsFor(engine: Engine): Flags {
  const require = createRequire(import.meta.url);
  const nodeHeaders = (require('node-api-headers') as { include_dir: string }).include_dir;
  const addonHeaders = dirname(require.resolve('node-addon-api/package.json'));
  // 2.11 and later use C++20 in their headers; earlier ones were only tried as C++17.
  const standard = engine.major === 2 && engine.minor >= 11 ? 'c++20' : 'c++17';
  const system = (dir: string): string[] => ['-isystem', dir];
  const cudaDirs = engine.cuda?.includeDirs ?? [];
  return {
    compile: [
      `-std=${standard}`,
      ...['-O2', '-fPIC', '-pthread', '-fvisibility=hidden', '-Wall', '-Wextra'],
      `-D_GLIBCXX_USE_CXX11_ABI=${engine.cxx11Abi ? 1 : 0}`,
      ...[
        `-DNAPI_VERSION=${NODE_API_VERSION}`,
        '-DNAPI_CPP_EXCEPTIONS',
        '-DNODE_ADDON_API_DISABLE_DEPRECATED',
      ],
      ...(engine.cuda ? ['-DMASKRANK_CUDA'] : []),
      ...(cudaDirs.length > 0 ? ['-DMASKRANK_CUDA_HEADERS'] : []),
      ...[nodeHeaders, addonHeaders, ...engine.includeDirs, ...cudaDirs].flatMap(system),
    ],
    link: [
      ...['-shared', '-pthread', `-L${engine.libDir}`, `-Wl,-rpath,${engine.libDir}`],
      // CUDA's kernels register themselves when their library is loaded; nothing refers to them by name.
      '-Wl,--no-as-needed',
      ...engine.libraries.map((name) => `-l${name}`),
    ],
  };
}

/** @throws EngineError with the compiler's first errors. */
export async function compile(
  compiler: Compiler,
  flags: Flags,
  source: string,
  object: string,
  signal?: AbortSignal,
): Promise<void> {
  await runCompiler(compiler, [...flags.compile, '-c', source, '-o', object], `compiling ${source}`, signal);
}

/** @throws EngineError with the linker's first errors. */
export async function link(
  compiler: Compiler,
  flags: Flags,
  objects: readonly string[],
  output: string,
): Promise<void> {
  await runCompiler(compiler, [...objects, ...flags.link, '-o', output], `linking ${output}`);
}

async function runCompiler(
  { command }: Compiler,
  args: readonly string[],
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], ...(signal && { signal }) });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const status = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killed) => resolve(code ?? killed ?? 'unknown'));
  });
  if (status !== 0)
    throw new EngineError(explainFailure(`${command} failed ${what} (exit ${status})`, text, args));
}

/** The first errors of a compiler's output, with where to look next. */
export function explainFailure(what: string, output: string, args: readonly string[], keep = 5): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => /\b(error|undefined reference|cannot find|Killed)\b/.test(line));
  const shown = (errors.length > 0 ? errors : lines).slice(0, keep);
  const more = Math.max(0, errors.length - shown.length);
  const advice = /Killed|out of memory|cannot allocate/i.test(output)
    ? 'The compiler ran out of memory: set MASKRANK_BUILD_JOBS=1, or free about 2 GB.'
    : `The command was:\n  ${args.map((arg) => (/\s/.test(arg) ? JSON.stringify(arg) : arg)).join(' ')}`;
  return [
    `buildAddon: ${what}`,
    ...shown.map((line) => `  ${line}`),
    ...(more > 0 ? [`  ... and ${more} more`] : []),
    advice,
  ].join('\n');
}
