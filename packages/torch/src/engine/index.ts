// Finding, building, loading and describing the native engine.

export {
  BLAS_NAMES,
  type Blas,
  type BlasKind,
  blasAdvice,
  expectedBlas,
  loadedBlas,
  ownMaps,
} from './blas.ts';
export { type BuildOptions, type BuildResult, buildAddon } from './build.ts';
export { findCompiler } from './compiler.ts';
export { type DoctorReport, doctorReport, type EngineProbes, type Problem } from './describe.ts';
export { chooseBuild, type LoadedAddon, type LoadOptions, loadAddon, loadEngine } from './load.ts';
export {
  type Attempt,
  INSTALL_ADVICE,
  type LocateOptions,
  locateEngine,
  OTHER_ENGINES,
  type SearchResult,
  SUPPORTED,
  searchEngine,
} from './locate.ts';
export { BUILD_DIR, NATIVE_DIR, PACKAGE_DIR, readRecord } from './record.ts';
export type { Engine, EngineCuda, EngineIdentity, EngineOrigin, EngineRecord } from './types.ts';
