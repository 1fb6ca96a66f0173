// The public library of maskrank, in the order of the data's way. What is not exported here may change without notice.
// Tensors, modules and optimisers come from `@maskrank/torch`; errors from both. Not here: the command line (cli/).
// biome-ignore-all assist/source/organizeImports: the order is the way of the data

export { DataError, EngineError, UsageError } from '@maskrank/torch/errors';

// Random streams: every function that draws takes one.
export { Random } from './util/random.ts';

// Images: plain typed arrays, and the way to the model's canvas and back.
export type { Box, FloatMap, Image, LabelMap, Mask, Point, Size } from './imaging/types.ts';
export {
  encodePng,
  type LoadedImage,
  readImage,
  readLabelMap,
  readMask,
  writeImagePng,
  writeLabelMapPng,
  writeMaskPng,
} from './formats/raster.ts';
export { writeNifti } from './formats/nifti.ts';
export { readNifti, readNiftiHeader } from './formats/nifti-read.ts';
export { axialView, putSlice, takeSlice } from './imaging/axial.ts';
export type { Affine, Volume } from './imaging/volume.ts';
export {
  boxToCanvas,
  boxToOriginal,
  createGeometry,
  type Geometry,
  type GeometryRule,
  imageToCanvas,
  maskToCanvas,
  maskToOriginal,
  pointToCanvas,
  pointToOriginal,
} from './imaging/geometry.ts';
export { NORMALISATIONS, type Normalisation } from './imaging/normalise.ts';
export { type AugmentOptions, augment, DEFAULT_AUGMENTATION } from './imaging/augment.ts';
export { type Motion, moveBox, movePoint } from './imaging/motion.ts';
export { boxesOfComponents, boxIou, boxOfMask } from './imaging/boxes.ts';
export { keepLargest, labelComponents } from './imaging/components.ts';
export { CLASS_COLOURS, COLOURS, type Colour, drawOverlay, type Layer, panel } from './imaging/overlay.ts';

// Datasets: reading, importing, checking, dividing, painting.
export * from './datasets/index.ts';

// The model.
export * from './models/sam/index.ts';
export * from './models/sam3d/index.ts';
export { attachLora, mergeLora, selectTrainable, type TrainableScope } from './models/lora.ts';

// Prompts.
export type { Prompt, PromptSource } from './prompting/prompt.ts';
export {
  openPromptStore,
  type PromptLine,
  promptKey,
  promptLine,
  readPrompts,
} from './prompting/prompt-store.ts';
export { type FromMaskOptions, promptFromMask } from './prompting/from-mask.ts';
export {
  type CanvasPrompt,
  collatePrompts,
  type PromptLayout,
  promptToCanvas,
} from './prompting/collate.ts';

// Prompts without annotation: a network that knows images and words, where it looks for a class (saliency), the border drawn along
// edges (dense CRF), regions with their boxes and points, and text.
export {
  buildClip,
  CLIP_CONFIGS,
  type Clip,
  type ClipConfig,
  clipConfig,
  clipFingerprint,
  clipInput,
  createClip,
  type EmbeddedText,
  embedTexts,
  loadClip,
  loadClipTokenizer,
  saveClip,
  WordPiece,
} from './models/clip/index.ts';
export {
  CAM_LAYERS,
  type CamLayer,
  ImageSaliency,
  NEUTRAL_TEXT,
  SALIENCY_METHODS,
  type Saliency,
  SaliencyCache,
  type SaliencyMap,
  type SaliencyMethod,
  type SaliencyOptions,
  textSensitivity,
} from './prompting/saliency/index.ts';
export * from './prompting/crf/index.ts';
export * from './prompting/regions/index.ts';
export {
  type AddedTexts,
  type AddTextFeaturesOptions,
  ANSWER_INSTRUCTION,
  type Answer as TextAnswer,
  type AnswerProvider,
  addTextFeatures,
  type ChatOptions,
  cardKnowledge,
  cardNames,
  cardText,
  type EncodedText,
  type EncodeOptions,
  type EndpointAnswersOptions,
  type EndpointKnowledgeOptions,
  encodeTexts,
  endpointAnswers,
  endpointKnowledge,
  findCard,
  type JoinedText,
  joinText,
  KNOWLEDGE_PROMPT,
  type Knowledge,
  type KnowledgeProvider,
  type KnowledgeSubject,
  leavesMachine,
  type MedvintAnswersOptions,
  medvintAnswers,
  type OpenMedvintOptions,
  openMedvintAnswers,
  type PromptText,
  privacyStatement,
  type Question as ImageQuestion,
  questionFor,
  type RecordingAnswers,
  type RequestLimits,
  readTextFeatures,
  recordAnswers,
  recordedAnswers,
  recordedKnowledge,
  type SentImageOptions,
  saliencyText,
  type TextFeatures,
  type TextSource,
  UnansweredError,
  wholeText,
  writeTextFeatures,
} from './prompting/text/index.ts';

// Stage 1.
export { type CanvasOptions, toCanvas } from './training/canvas.ts';
export {
  diceLoss,
  focalLoss,
  maskIouLoss,
  type SegmentationLossOptions,
  segmentationLoss,
} from './training/losses.ts';
export { finetune, type Stage1Options } from './training/stage1.ts';

// Baselines: a network from images to masks, trained on the labelled cases.
export { createUnet, UNET_WIDTHS, Unet, type UnetConfig } from './models/unet/index.ts';
export {
  type Configuration as NnunetConfiguration,
  createNnunet,
  type DatasetFingerprint as NnunetFingerprint,
  loadNnunetState,
  Nnunet,
  type NnunetConfig,
  type Plan as NnunetPlan,
  PLANNERS,
  planExperiment,
  slidingWindow,
} from './models/nnunet/index.ts';
export {
  type ClassRelation,
  classScores,
  type DiceCrossEntropy,
  diceCrossEntropy,
} from './training/baselines/loss.ts';
export { type DenseSample, denseBatch } from './training/baselines/batch.ts';
export {
  type PseudoLabels,
  probabilityDistance,
  pseudoLabelLoss,
  pseudoLabels,
  rampUp,
} from './training/baselines/consistency.ts';
export type { Teacher, UnlabelledLoss, UnlabelledTerm } from './training/baselines/unlabelled.ts';
export {
  type BaselineLoop,
  loopOf,
  type SupervisedOptions,
  type TrainingResult,
  trainSupervised,
} from './training/baselines/supervised.ts';

// Stage 2: the candidates, who judges them, what is minimised, the loop.
export {
  type AlignUnit,
  type DecodedBatch,
  decodeUnits,
  logitsOf,
  type PolicyOptions,
} from './alignment/policy.ts';
export { type EmbeddingSource, LiveEmbeddings } from './alignment/embedding-source.ts';
export { EmbeddingCache, networkInput } from './alignment/embeddings.ts';
export {
  type Candidates,
  candidateMask,
  candidatesHash,
  packCandidates,
  regionSize,
} from './alignment/proposals/candidates.ts';
export {
  type CandidateGenerator,
  currentMask,
  GENERATORS,
  type GeneratorContext,
  type GeneratorName,
  type GeneratorOptions,
  generate,
} from './alignment/proposals/generators.ts';
export { type Proposal, propose, readRound, roundPath, writeRound } from './alignment/proposals/round.ts';
export { makeRound } from './alignment/proposals/resumable.ts';
export type { Annotator, Answer, Question } from './alignment/annotators/annotator.ts';
export { maskIou, OracleAnnotator, type OracleOptions } from './alignment/annotators/oracle.ts';
export { openRatings, type RatingLine, ratingKey, recordedAnnotator } from './alignment/ratings.ts';
export { type Betas, CANDIDATES, rankingCoefficients, ratingCoefficients } from './alignment/coefficients.ts';
export { type Judged, judge, type RoundCounts, type SkipOptions } from './alignment/objectives/judging.ts';
export {
  PREFERENCE_LOSSES,
  type PreferenceLossKind,
  REDUCTIONS,
  reward,
  scores,
} from './alignment/preference-loss.ts';
export { diffusionDpoLoss, dpoLoss, PAIR_LOSSES, type PairLogps } from './alignment/pair-losses.ts';
export type { Active, Objective, ObjectiveLoss, Round } from './alignment/objectives/objective.ts';
export { type PreferenceOptions, preferenceObjective } from './alignment/objectives/preference.ts';
export { type TargetOptions, targetObjective } from './alignment/objectives/target.ts';
export { alignSteps, roundUnits } from './alignment/schedule.ts';
export { type Alarm, roundAlarms, stepAlarms } from './alignment/alarms.ts';
export { type AlignOptions, align } from './alignment/align.ts';

// Measuring.
export { countOverlap, dice, EMPTIES_POLICIES, type EmptiesPolicy, iou } from './evaluation/overlap.ts';
export {
  averageSurfaceDistance,
  type Grid,
  gridOf,
  robustHausdorff,
  surfaceDice,
  surfaceDistances,
} from './evaluation/surface-distance.ts';
export { type Measurement, type MeasureOptions, measure } from './evaluation/measure.ts';
export { tolerance } from './evaluation/metrics.ts';
export { type CaseResult, type Evaluation, EvaluationSchema } from './evaluation/schema.ts';
export { bootstrapMean, pairedPermutation, wilcoxonSignedRank } from './evaluation/statistics.ts';
export { summarise } from './evaluation/summarise.ts';
export type { ReportInput } from './evaluation/report/input.ts';
export { renderReport } from './evaluation/report/render.ts';

// Runs: the configuration, the folder, and the jobs that the verbs of the command line are made of.
export { type Config, configSchema, defaultConfig } from './run/config.ts';
export { type ResolvedConfig, resolveConfig } from './run/resolve.ts';
export { type ArtefactHeader, headerToMetadata } from './run/header.ts';
export { readRunConfig, RunFolder, runPaths } from './run/run-folder.ts';
export type { JobContext } from './pipeline/workspace.ts';
export { type InRunOptions, inRun } from './pipeline/in-run.ts';
export { promptJob, type PromptJobOptions, type PromptJobResult } from './pipeline/prompt/job.ts';
export { finetuneJob } from './pipeline/finetune.ts';
export { type AlignJobOptions, type AlignResult, alignJob, proposeJob, rateJob } from './pipeline/align.ts';
export type { GeneratorChoice, OwnGenerator } from './pipeline/proposal-generator.ts';
export { CONTROLS, type ControlName, controlJob } from './pipeline/controls.ts';
export { evaluateJob } from './pipeline/evaluate.ts';
export { type BaselineResult, baselineJob } from './pipeline/baselines/job.ts';
export {
  type BaselineMethod,
  type BaselineSetting,
  type Painted,
  paint,
  supervisedOptions,
} from './pipeline/baselines/method.ts';
export { BASELINES } from './pipeline/baselines/registry.ts';
export { nnunet } from './pipeline/baselines/nnunet.ts';
export { unet } from './pipeline/baselines/unet.ts';
export { toneChanges, unlabelledImages } from './pipeline/baselines/semi-supervised.ts';
export { type InputRecipe, loadModel } from './pipeline/model.ts';
export { type Prediction, type PredictJobOptions, predictJob } from './pipeline/predict.ts';
export { openPrompted, type PromptedOptions } from './pipeline/predict-prompted.ts';
export { openBaselinePredictor } from './pipeline/baselines/predictor.ts';
export type { FoundMask, GivenPrompts, NewImage, Predictor } from './pipeline/predictor.ts';
