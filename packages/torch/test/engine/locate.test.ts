import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type LocateOptions, locateEngine, searchEngine } from '../../src/engine/locate.ts';
import type { Engine } from '../../src/engine/types.ts';
import { EngineError } from '../../src/errors.ts';
import { fakeEngine, fakePython, temporaryFolder, write } from './fake-engine.ts';

/** A machine with nothing but what a test puts into `folder`: bin/ is its PATH, usr/ its system prefix. */
function machine(
  folder: string,
  env: Record<string, string> = {},
  recorded: Engine | null = null,
): LocateOptions {
  return {
    env: { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, ...env },
    systemPrefixes: [join(folder, 'usr')],
    recorded,
  };
}

/** Shadows the machine's own python3. */
function withoutTorch(folder: string): void {
  fakePython(join(folder, 'bin/python3'), []);
}

describe('locateEngine', () => {
  it('takes LIBTORCH before Python before the system package', () => {
    const folder = temporaryFolder();
    const own = fakeEngine(join(folder, 'own'), { version: '2.1.0' });
    const pip = fakeEngine(join(folder, 'site/torch'), { version: '2.2.0' });
    fakeEngine(join(folder, 'usr'), { version: '1.13.1' });
    fakePython(join(folder, 'bin/python3'), [pip]);
    expect(locateEngine(machine(folder, { LIBTORCH: own }))).toMatchObject({
      origin: 'LIBTORCH',
      version: '2.1.0',
    });
    expect(locateEngine(machine(folder))).toMatchObject({ origin: 'python', version: '2.2.0', root: pip });
    withoutTorch(folder);
    expect(locateEngine(machine(folder))).toMatchObject({
      origin: 'system',
      version: '1.13.1',
      python: null,
    });
  });

  it('asks MASKRANK_PYTHON instead of python3, and insists on it', () => {
    const folder = temporaryFolder();
    const pip = fakeEngine(join(folder, 'venv/torch'));
    withoutTorch(folder);
    fakeEngine(join(folder, 'usr'), { version: '1.13.1' });
    const python = fakePython(join(folder, 'venv/bin/python'), [pip]);
    expect(locateEngine(machine(folder, { MASKRANK_PYTHON: python }))).toMatchObject({
      origin: 'python',
      python,
    });
    const bad = join(folder, 'no/python');
    expect(() => locateEngine(machine(folder, { MASKRANK_PYTHON: bad }))).toThrow(
      /MASKRANK_PYTHON=.*no such interpreter/,
    );
  });

  it('does not pass over a LIBTORCH that is no engine', () => {
    const folder = temporaryFolder();
    fakeEngine(join(folder, 'usr'));
    const lookAt = (name: string) => () => locateEngine(machine(folder, { LIBTORCH: join(folder, name) }));
    expect(lookAt('nowhere')).toThrow(/LIBTORCH=.*nowhere is not usable: no such folder/);
    write(join(folder, 'empty/readme'), '');
    expect(lookAt('empty')).toThrow(/no libtorch headers/);
    fakeEngine(join(folder, 'headers'), { libraries: [] });
    expect(lookAt('headers')).toThrow(/headers of libtorch 2.5.1, but no libtorch_cpu.so/);
    fakeEngine(join(folder, 'damaged'));
    write(join(folder, 'damaged/lib/libc10.so'), 'nothing');
    expect(lookAt('damaged')).toThrow(/does not tell its C\+\+ ABI/);
  });

  it.each([
    ['1.12.1', false],
    ['1.13.0', true],
    ['2.0.0', true],
    ['2.15.0', true],
    ['3.0.0', false],
    ['0.4.1', false],
  ])('version %s: supported %s', (version, supported) => {
    const folder = temporaryFolder();
    const env = { LIBTORCH: fakeEngine(join(folder, 'torch'), { version }) };
    if (supported) expect(locateEngine(machine(folder, env)).version).toBe(version);
    else
      expect(() => locateEngine(machine(folder, env))).toThrow(`libtorch ${version}, allowed >= 1.13, < 3`);
  });

  it('reads the CUDA label, the toolkit and its headers from pip packages', () => {
    const folder = temporaryFolder();
    const libraries = ['torch', 'torch_cpu', 'c10', 'torch_cuda', 'c10_cuda'];
    const options = { version: '2.11.0', pipVersion: '2.11.0+cu130', libraries, newHeaders: true };
    const root = fakeEngine(join(folder, 'site/torch'), options);
    const locate = () => locateEngine(machine(folder, { LIBTORCH: root }));
    expect(locate()).toMatchObject({
      version: '2.11.0+cu130',
      major: 2,
      minor: 11,
      libraries,
      cuda: { version: '13.0' },
    });
    for (const name of ['cuda_runtime_api', 'cusparse', 'cusolverDn', 'crt/host_defines']) {
      write(join(folder, `site/nvidia/a/include/${name}.h`), '');
    }
    expect(locate().cuda?.includeDirs).toEqual([]); // one is missing
    write(join(folder, 'site/nvidia/b/include/cublas_v2.h'), '');
    const includes = ['a', 'b'].map((name) => join(folder, 'site/nvidia', name, 'include'));
    expect(locate().cuda?.includeDirs).toEqual(includes);
  });

  it('has no CUDA without its library, whatever the label says', () => {
    const folder = temporaryFolder();
    const root = fakeEngine(join(folder, 'torch'), { version: '2.5.1', pipVersion: '2.5.1+cu124' });
    expect(locateEngine(machine(folder, { LIBTORCH: root })).cuda).toBeNull();
  });

  it('reads the ABI from the symbols of libc10', () => {
    const folder = temporaryFolder();
    const abi = (name: string, oldAbi: boolean) =>
      locateEngine(machine(folder, { LIBTORCH: fakeEngine(join(folder, name), { oldAbi }) })).cxx11Abi;
    expect([abi('new', false), abi('old', true)]).toEqual([true, false]);
  });

  it('finds libraries in the folder of the architecture', () => {
    const folder = temporaryFolder();
    const triplet = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch as string] ?? '';
    withoutTorch(folder);
    fakeEngine(join(folder, 'usr'), { version: '1.13.1', lib: `lib/${triplet}` });
    expect(locateEngine(machine(folder)).libDir).toBe(join(folder, 'usr/lib', triplet));
  });

  it('says everything that was tried and what to install', () => {
    const folder = temporaryFolder();
    const old = fakeEngine(join(folder, 'site/torch'), { version: '1.9.0' });
    const python = fakePython(join(folder, 'bin/python3'), [old]);
    const text = messageOf(() => locateEngine(machine(folder)));
    for (const part of [
      'LIBTORCH: not set',
      `Python (${python})`,
      'libtorch 1.9.0, allowed >= 1.13, < 3',
      'system package',
      'apt-get install libtorch-dev',
      'pip install torch',
      'npm run setup',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('survives interpreters that answer nonsense, fail, or hang', () => {
    const folder = temporaryFolder();
    const ask = (script: string, pythonTimeoutMs = 10_000) => {
      write(join(folder, 'bin/python3'), `#!/bin/sh\n${script}\n`, 0o755);
      return searchEngine({ ...machine(folder), pythonTimeoutMs }).attempts[1]?.found;
    };
    expect(ask('echo hello')).toBe('answered "hello\\n" instead of where torch is');
    expect(ask('exit 3')).toBe('could not be asked (exit 3)');
    expect(ask('exec sleep 20', 300)).toBe('no answer within 300 ms');
  });
});

describe('an engine chosen earlier', () => {
  const choose = (origin: Engine['origin']) => {
    const folder = temporaryFolder();
    const root = fakeEngine(join(folder, 'earlier'), { version: '2.4.0' });
    fakeEngine(join(folder, 'usr'), { version: '1.13.1' });
    withoutTorch(folder);
    const python = origin === 'python' ? join(folder, 'venv/bin/python') : null;
    const recorded = { ...locateEngine(machine(folder, { LIBTORCH: root })), origin, python };
    return { folder, recorded };
  };

  it.each(['LIBTORCH', 'python'] as const)(
    'through %s is kept when only the system package is found',
    (origin) => {
      const { folder, recorded } = choose(origin);
      expect(locateEngine(machine(folder, {}, recorded))).toEqual(recorded);
      expect(locateEngine(machine(folder)).origin).toBe('system');
    },
  );

  it('gives way to what is named now, and to its own removal', () => {
    const { folder, recorded } = choose('LIBTORCH');
    const other = fakeEngine(join(folder, 'other'), { version: '2.6.0' });
    expect(locateEngine(machine(folder, { LIBTORCH: other }, recorded)).version).toBe('2.6.0');
    const gone = { ...recorded, root: join(folder, 'removed') };
    expect(locateEngine(machine(folder, {}, gone)).origin).toBe('system');
  });
});

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(EngineError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}
