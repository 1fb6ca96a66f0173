// Families of weights: how to know a file's network, and all in which it differs from the one that it should hold. One entry a
// family; nothing is built, no engine is needed. Not here: reading (contents-of-file.ts), loading into a network (models/*).

import { extname } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import type { TensorData } from '@maskrank/torch/io';
import type { CheckpointShapes } from '../checkpoint-shapes.ts';
import { CLIP_CONFIGS, type ClipConfig } from '../clip/config.ts';
import { describeClip, inferClipConfig } from '../clip/infer-config.ts';
import { toOpenClipKeys } from '../clip/key-maps.ts';
import { clipStateShapes } from '../clip/state-shapes.ts';
import { MEDVINT_CONFIGS, type MedvintConfig } from '../medvint/config.ts';
import { inferMedvintConfig } from '../medvint/infer-config.ts';
import { compareWith } from '../medvint/load-plan.ts';
import { networkName } from '../medvint/released-names.ts';
import { openSources } from '../medvint/sources.ts';
import { LlamaTokenizer } from '../medvint/tokenizer/index.ts';
import { SAM_CONFIGS, type SamConfig } from '../sam/config.ts';
import { describeSam, inferSamConfig } from '../sam/infer-config.ts';
import { samStateShapes } from '../sam/state-shapes.ts';
import { SAM3D_CONFIGS, type Sam3dConfig } from '../sam3d/config.ts';
import { describeSam3d, inferSam3dConfig } from '../sam3d/infer-config.ts';
import { sam3dStateShapes } from '../sam3d/state-shapes.ts';
import type { Shape } from '../state-entries.ts';
import { type FileTensors, readFileTensors, TENSOR_EXTENSIONS } from './contents-of-file.ts';

/** What a file holds. */
export type Inspection = {
  /** Name of the network's configuration; the family's for one that this program has no name for. */
  readonly architecture: string;
  /** The network in a few words. */
  readonly network: string;
  /** All in which the file differs from the network, in sentences; none when it fits. */
  readonly differences: readonly string[];
};

type Family = {
  readonly extensions: readonly string[];
  /**
   * What the file holds, compared with the network of that name, or with the one that its own shapes describe. DataError when it
   * is damaged or of another family.
   */
  readonly inspect: (path: string, extension: string, architecture?: string) => Promise<Inspection>;
  /** Whether a file with these names is of the family. */
  readonly hasNames: (names: readonly string[]) => boolean;
  /** A network of the family in a few words. */
  readonly describe: (architecture: string) => string;
};

/** How names and shapes of one family are compared. */
type Comparison<C> = {
  readonly configs: Readonly<Record<string, C>>;
  /** The configuration that the shapes describe. */
  readonly infer: (tensors: FileTensors, path: string) => C & { readonly name: string };
  readonly describe: (config: C) => string;
  readonly expected: (config: C) => ReadonlyMap<string, Shape>;
  /** The file's tensors under the network's names. */
  readonly rename?: (tensors: FileTensors) => FileTensors;
  /** Names that a file may lack: parts that start fresh. */
  readonly optional?: RegExp;
  /** Names that a file may have: constants, parts of it that the network does not use. */
  readonly tolerated?: RegExp;
};

const shapeText = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Every name that is missing, unexpected or of another shape. */
export function shapeDifferences(
  found: CheckpointShapes,
  expected: ReadonlyMap<string, Shape>,
  { optional, tolerated }: Pick<Comparison<unknown>, 'optional' | 'tolerated'> = {},
): string[] {
  const problems: string[] = [];
  for (const [name, shape] of expected) {
    const there = found.get(name)?.shape;
    if (there === undefined) {
      if (!optional?.test(name)) problems.push(`missing: ${name} ${shapeText(shape)}`);
    } else if (`${there}` !== `${shape}`)
      problems.push(`wrong shape: ${name}: found ${shapeText(there)}, needed ${shapeText(shape)}`);
  }
  for (const [name, { shape }] of found)
    if (!expected.has(name) && !tolerated?.test(name) && !optional?.test(name))
      problems.push(`unexpected: ${name} ${shapeText(shape)}`);
  return problems;
}

function tensorFamily<C>(comparison: Comparison<C>, hasNames: Family['hasNames']): Family {
  const { configs, infer, describe, expected, rename = (tensors) => tensors } = comparison;
  return {
    extensions: TENSOR_EXTENSIONS,
    hasNames,
    describe: (architecture) => describe(configs[architecture] as C),
    inspect: async (path, extension, architecture) => {
      const tensors = rename(await readFileTensors(path, extension));
      const found = infer(tensors, path);
      const needed = architecture === undefined ? found : (configs[architecture] as C);
      return {
        architecture: found.name,
        network: describe(found),
        differences: shapeDifferences(tensors, expected(needed), comparison),
      };
    },
  };
}

/** The change of names joins tensors, for which shapes are enough here. */
const withoutData = (tensors: FileTensors): ReadonlyMap<string, TensorData> =>
  new Map(
    [...tensors].map(([name, { dtype, shape }]) => [
      name,
      { dtype, shape, data: new Float32Array(0) } as TensorData,
    ]),
  );

/** PMC-CLIP's vision tower: a CLIP ResNet-50 whose features have 768 channels. */
const PMC_CLIP = { ...CLIP_CONFIGS['clip-rn50'], name: 'pmc-clip-rn50', embedDim: 768 } as const;

const onlyVision = (config: ClipConfig): ReadonlyMap<string, Shape> =>
  new Map([...clipStateShapes(config)].filter(([name]) => name.startsWith('visual.')));

const medvint: Family = {
  extensions: TENSOR_EXTENSIONS,
  hasNames: (names) => names.some((name) => networkName(name) === 'llamacasual.model.embed_tokens.weight'),
  describe: (architecture) => describeMedvint(medvintConfigOf(architecture)),
  inspect: async (path, _, architecture) => {
    // 13 GB and more: names and shapes only, tensors are checked when they are loaded.
    const sources = await openSources([path]);
    try {
      const found = inferMedvintConfig(sources);
      const config = architecture === undefined ? found : medvintConfigOf(architecture);
      const { problems } = compareWith(sources, config);
      return { architecture: config.name, network: describeMedvint(config), differences: problems };
    } finally {
      await sources.close();
    }
  },
};

const medvintConfigOf = (architecture: string): MedvintConfig =>
  (MEDVINT_CONFIGS as Readonly<Record<string, MedvintConfig>>)[architecture] as MedvintConfig;

const describeMedvint = ({ vision, decoder, llama }: MedvintConfig): string =>
  `${vision.imageSize} px, ${decoder.queries} queries, LLaMA of ${llama.layers} layers of ${llama.dim} channels for ${llama.vocabularySize} pieces`;

const LLAMA_PIECES = 32_000;

const sentencepiece: Family = {
  extensions: ['.model'],
  hasNames: () => false,
  describe: () => `a SentencePiece tokeniser of ${LLAMA_PIECES} pieces`,
  inspect: async (path, _, architecture) => {
    const { vocabularySize } = await LlamaTokenizer.open(path);
    const isOther = architecture !== undefined && vocabularySize !== LLAMA_PIECES;
    return {
      architecture: vocabularySize === LLAMA_PIECES ? 'llama' : 'sentencepiece',
      network: `a SentencePiece tokeniser of ${vocabularySize} pieces`,
      differences: isOther ? [`${vocabularySize} pieces, needed ${LLAMA_PIECES}`] : [],
    };
  },
};

export const FAMILIES = {
  // Before SAM, whose names it shares but for the third axis.
  sam3d: tensorFamily<Sam3dConfig>(
    {
      configs: SAM3D_CONFIGS,
      infer: inferSam3dConfig,
      describe: describeSam3d,
      expected: sam3dStateShapes,
      tolerated: /^pixel_(mean|std)$/,
    },
    (names) => names.some((name) => name.endsWith('.attn.rel_pos_d')),
  ),
  sam: tensorFamily<SamConfig>(
    {
      configs: SAM_CONFIGS,
      infer: inferSamConfig,
      describe: describeSam,
      expected: samStateShapes,
      // Released files have no text branch; it starts as nothing.
      optional: /^prompt_encoder\.text_proj\./,
      tolerated: /^pixel_(mean|std)$/,
    },
    (names) => names.some((name) => name.startsWith('image_encoder.')),
  ),
  // Before CLIP, whose towers other libraries call `vision_model`, too.
  medvint,
  clip: tensorFamily<ClipConfig>(
    {
      configs: CLIP_CONFIGS,
      infer: inferClipConfig,
      describe: describeClip,
      expected: clipStateShapes,
      rename: (tensors) => toOpenClipKeys(withoutData(tensors)),
      tolerated: /(^|\.)position_ids$|^(input_resolution|context_length|vocab_size)$/,
    },
    (names) => names.some((name) => /^(module\.|model\.)*(visual|vision_model)\./.test(name)),
  ),
  'pmc-clip': tensorFamily<ClipConfig>(
    {
      configs: { [PMC_CLIP.name]: PMC_CLIP },
      infer: () => PMC_CLIP,
      describe: (config) => `the vision tower of ${describeClip(config).split(';')[0]}`,
      expected: onlyVision,
      // Its text tower and fusion are not used.
      tolerated: /^(?!visual\.)/,
    },
    () => false,
  ),
  sentencepiece,
} as const satisfies Readonly<Record<string, Family>>;

export type FamilyName = keyof typeof FAMILIES;

const ALL: Readonly<Record<FamilyName, Family>> = FAMILIES;

/** Endings of files that may stand under a name. */
export const WEIGHT_EXTENSIONS: readonly string[] = [
  ...new Set(Object.values(ALL).flatMap(({ extensions }) => extensions)),
];

/** The extension of a weight file, in lower case. DataError for other files, or for one that the family does not have. */
export function weightExtension(path: string, family?: FamilyName): string {
  const allowed = family === undefined ? WEIGHT_EXTENSIONS : ALL[family].extensions;
  const extension = extname(path).toLowerCase();
  if (allowed.includes(extension)) return extension;
  throw new DataError(`${path}: not a weight file by its name; allowed are ${allowed.join(', ')}.`);
}

/** The network that should be in a file. */
export type Wanted = { readonly family: FamilyName; readonly architecture: string };

export type InspectOptions = {
  /** Where the file's name does not tell it. */
  readonly extension?: string;
  readonly wanted?: Wanted | undefined;
  /** Where it is known already; else it is found from the names of the tensors. */
  readonly family?: FamilyName | undefined;
};

/** What a file holds, compared with what is wanted, or with what its own tensors say that it is. */
export async function inspectWeights(
  path: string,
  { extension = weightExtension(path), ...given }: InspectOptions = {},
): Promise<Inspection & { readonly family: FamilyName }> {
  const { wanted } = given;
  const family = wanted?.family ?? given.family ?? (await familyOf(path, extension));
  return { family, ...(await ALL[family].inspect(path, extension, wanted?.architecture)) };
}

async function familyOf(path: string, extension: string): Promise<FamilyName> {
  const names = Object.keys(ALL) as FamilyName[];
  const [only, ...others] = names.filter((name) => ALL[name].extensions.includes(extension));
  if (only !== undefined && others.length === 0) return only;
  const tensors = [...(await readFileTensors(path, extension)).keys()];
  // What no family claims is told as no SAM, which most files are.
  return names.find((name) => ALL[name].hasNames(tensors)) ?? 'sam';
}

/** DataError with every difference when the file is not what is wanted. */
export function checkInspection(
  { network, differences }: Inspection,
  path: string,
  known?: Wanted & { readonly name: string },
): void {
  if (differences.length === 0) return;
  const list = differences.map((line) => `\n  ${line}`).join('');
  const needed =
    known === undefined
      ? 'which it does not fit'
      : `${known.name} has ${ALL[known.family].describe(known.architecture)}`;
  const remedy =
    known === undefined
      ? ''
      : `\nA file of your own goes under a name of its own: maskrank weights add OTHER-NAME ${path}`;
  throw new DataError(
    `${path}: holds ${network}; ${needed}. ${differences.length} difference(s):${list}${remedy}`,
  );
}
