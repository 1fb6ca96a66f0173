// Datasets: reading, importing, checking, dividing and generating them.
// Not here: torch, training, evaluation.

export { listProblems, nearestName, parseArtefact, readArtefact } from './artefact.ts';
export type { LabelledCase, OpenDataset, UnlabelledCase } from './cases.ts';
export { openDataset, readDataset } from './cases.ts';
export type { Fingerprint, NearDuplicate, NearDuplicateOptions } from './fingerprint.ts';
export { fingerprint, nearDuplicates } from './fingerprint.ts';
export { datasetHash, fileHash } from './hash.ts';
export type { ImporterName } from './importers/index.ts';
export { IMPORTERS, importDataset } from './importers/index.ts';
export type { ImportReport, ImportRequest, ImportResult } from './importers/run.ts';
export { IMPORT_FILE, ImportReportSchema } from './importers/run.ts';
export type { Importer, ImportNote, ImportOptions } from './importers/types.ts';
export type { Overlap } from './overlap.ts';
export { pretrainingOverlaps } from './overlap.ts';
export type { LanguageLine, PhantomsRequest } from './phantoms/dataset.ts';
export {
  drawPhantom,
  LANGUAGE_FILE,
  makePhantoms,
  phantomFamily,
  phantomPatient,
} from './phantoms/dataset.ts';
export type { MaskFacts } from './phantoms/facts.ts';
export { maskFacts, RULES as FACT_RULES } from './phantoms/facts.ts';
export { PHANTOM_FAMILIES } from './phantoms/families.ts';
export { factQuestions } from './phantoms/language.ts';
export type { PhantomFamily, PhantomImage, PhantomQuestion, QuestionKind } from './phantoms/types.ts';
export type { CaseRecord, Dataset, DatasetClass, FileRecord, SplitName, Splits } from './schema.ts';
export { DATASET_FILE, DatasetSchema, SPLIT_NAMES, SPLITS_FILE, SplitsSchema } from './schema.ts';
export type { SplitOptions } from './splits.ts';
export { makeSplits, readSplits, writeSplits } from './splits.ts';
export type { Finding, FindingKind, Severity, VerifyOptions, VerifyReport } from './verify.ts';
export { FINDING_KINDS, verifyDataset } from './verify.ts';
export { formatVerifyReport } from './verify-text.ts';
