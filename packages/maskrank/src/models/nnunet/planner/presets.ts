// nnU-Net's planners as numbers: what a network may cost in memory, for which batch that was found, and how deep stages are.

export type PlannerSettings = {
  /** Channels of the first stage; doubled at every further one. */
  readonly width: number;
  /** Most channels of a stage, for 2 and 3 dimensions. */
  readonly maxWidth: Readonly<Record<2 | 3, number>>;
  /** Values that convolutions may put out (featureMapSize) where memory is `referenceGb`. */
  readonly referenceMaps: Readonly<Record<2 | 3, number>>;
  readonly referenceGb: number;
  /** Images a batch for which that holds. */
  readonly referenceBatch: Readonly<Record<2 | 3, number>>;
  /** For which batch the patch must fit: the smallest one, so that patches stay large, or the reference's. */
  readonly patchFits: 'smallest-batch' | 'reference-batch';
  /** Memory to plan for, GB of a graphics card. */
  readonly memoryGb: number;
  readonly minBatch: number;
  /** Largest share of all voxels that a batch may hold. */
  readonly maxShareOfData: number;
  /** In place of what the fingerprint says, in the order of its axes. */
  readonly targetSpacing?: readonly number[];
  /** No axis of the lowest resolution is smaller than this, voxels. */
  readonly minEdge: number;
  readonly residual: boolean;
  /** Blocks of each stage; the last number holds for all further ones. */
  readonly blocksEncoder: readonly number[];
  readonly blocksDecoder: readonly number[];
};

const COMMON = {
  width: 32,
  maxWidth: { 2: 512, 3: 320 },
  referenceBatch: { 2: 12, 3: 2 },
  minBatch: 2,
  minEdge: 4,
} as const;

const RESIDUAL = {
  ...COMMON,
  patchFits: 'reference-batch',
  maxShareOfData: 1,
  residual: true,
  blocksEncoder: [1, 3, 4, 6],
  blocksDecoder: [1],
} as const;

export const PLANNERS = {
  /** Plain convolutions, 8 GB: nnU-Net as published in 2021. */
  default: {
    ...COMMON,
    referenceMaps: { 2: 85e6, 3: 560e6 },
    referenceGb: 8,
    patchFits: 'smallest-batch',
    memoryGb: 8,
    maxShareOfData: 0.05,
    residual: false,
    blocksEncoder: [2],
    blocksDecoder: [2],
  },
  /** Residual encoders of 2024 for cards of about 8, 24 and 40 GB. */
  'residual-m': { ...RESIDUAL, referenceMaps: { 2: 135e6, 3: 680e6 }, referenceGb: 8, memoryGb: 8 },
  'residual-l': { ...RESIDUAL, referenceMaps: { 2: 380e6, 3: 2100e6 }, referenceGb: 24, memoryGb: 24 },
  'residual-xl': { ...RESIDUAL, referenceMaps: { 2: 560e6, 3: 3600e6 }, referenceGb: 40, memoryGb: 40 },
} as const satisfies Readonly<Record<string, PlannerSettings>>;

export type PlannerName = keyof typeof PLANNERS;
