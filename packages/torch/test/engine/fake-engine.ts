// Folders that look like a libtorch, for tests that need none: text where only names and numbers are read, real
// shared libraries where something is linked.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'maskrank-engine-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function write(file: string, content: string, mode = 0o644): string {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content, { mode });
  return file;
}

export type FakeEngine = {
  readonly version?: string;
  /** Folder of the libraries, relative to the root. */
  readonly lib?: string;
  readonly libraries?: readonly string[];
  /** As pip's torch says it, such as `2.11.0+cu130`. */
  readonly pipVersion?: string;
  readonly oldAbi?: boolean;
  /** As in 2.11 and later: the numbers stand in headeronly/version.h. */
  readonly newHeaders?: boolean;
};

const NEW_ABI =
  '_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE';
const OLD_ABI = '_ZN3c106detail14torchCheckFailEPKcS2_jRKSs';

export function fakeEngine(root: string, options: FakeEngine = {}): string {
  const { version = '2.5.1', lib = 'lib', libraries = ['torch', 'torch_cpu', 'c10'] } = options;
  const [major, minor, patch] = version.split('.');
  const numbers = `#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH ${patch}\n`;
  const api = 'include/torch/csrc/api/include/torch/version.h';
  write(join(root, api), options.newHeaders ? '#include <torch/headeronly/version.h>\n' : numbers);
  if (options.newHeaders) write(join(root, 'include/torch/headeronly/version.h'), numbers);
  for (const name of libraries) {
    write(join(root, lib, `lib${name}.so`), `\x7fELF ${options.oldAbi ? OLD_ABI : NEW_ABI}`);
  }
  if (options.pipVersion) {
    const cuda = /\+cu(\d+)(\d)/.exec(options.pipVersion);
    const toolkit = cuda ? `'${cuda[1]}.${cuda[2]}'` : 'None';
    write(
      join(root, 'version.py'),
      `__version__ = '${options.pipVersion}'\ncuda: Optional[str] = ${toolkit}\n`,
    );
  }
  return root;
}

export const hasCompiler = spawnSync('g++', ['--version']).status === 0;

/** As `fakeEngine`, with libraries that a linker and a loader accept. */
export function linkableEngine(root: string, version = '2.5.1', extra: readonly string[] = []): string {
  fakeEngine(root, { version });
  for (const name of ['torch', 'torch_cpu', 'c10', ...extra]) {
    const source = write(join(root, 'src', `${name}.c`), `const char *${name}_abi = "${NEW_ABI}";\n`);
    execFileSync('gcc', ['-shared', '-fPIC', source, '-o', join(root, 'lib', `lib${name}.so`)]);
  }
  return root;
}

/** An interpreter that answers as Python would about torch in `roots`. */
export function fakePython(file: string, roots: readonly string[]): string {
  const answer = JSON.stringify({ executable: file, roots });
  return write(file, `#!/bin/sh\ncat <<'END'\n${answer}\nEND\n`, 0o755);
}
