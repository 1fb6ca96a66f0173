// What the engine's parts tell each other: a libtorch that was found, and an addon that was built against it.
// Data only. Not here: how either is found (locate.ts), built (build.ts) or loaded (load.ts).

/** Who pointed at the engine, in falling precedence. */
export type EngineOrigin = 'LIBTORCH' | 'python' | 'system';

/** CUDA as the found libtorch was built, whether or not a device is present. */
export type EngineCuda = {
  /** Toolkit version that libtorch was built with, like `13.2`; null when the build does not say. */
  readonly version: string | null;
  /** Folders that together hold the toolkit headers ATen's CUDA headers include; empty when there are none. */
  readonly includeDirs: readonly string[];
};

/** A libtorch on this machine that the addon can be compiled and linked against. */
export type Engine = {
  /** As libtorch names itself, like `1.13.0` or `2.15.0+cu132`. */
  readonly version: string;
  readonly major: number;
  readonly minor: number;
  readonly origin: EngineOrigin;
  /** The folder that was pointed at: the parent of `include/` and `lib/`. */
  readonly root: string;
  /** For the compiler, in order. Folders the compiler searches by itself are left out: naming them reorders its search. */
  readonly includeDirs: readonly string[];
  readonly libDir: string;
  /** Names for `-l`, in link order. */
  readonly libraries: readonly string[];
  /** Whether libtorch's std::string is the C++11 one (`_GLIBCXX_USE_CXX11_ABI`), read from its symbols. */
  readonly cxx11Abi: boolean;
  readonly cuda: EngineCuda | null;
  /** The interpreter that told of it; null unless the origin is `python`. */
  readonly python: string | null;
};

/** Size and time of `libtorch_cpu.so`: an upgrade in place changes them, and the addon must be built again. */
export type EngineIdentity = { readonly sizeBytes: number; readonly mtimeMs: number };

/** `engine.json`: one per built addon, and a copy of the current one in the folder above. */
export type EngineRecord = {
  readonly schemaVersion: 1;
  /** Folder name of the build: version and a hash of the engine's place and identity. */
  readonly key: string;
  /** File name of the addon inside the build's folder. */
  readonly addon: string;
  /** Hash of sources, headers, flags and compiler; equal hash, nothing to build. */
  readonly inputsHash: string;
  readonly engine: Engine;
  readonly identity: EngineIdentity;
  /** First line of the compiler's description. */
  readonly compiler: string;
  /** ISO time. */
  readonly builtAt: string;
};
