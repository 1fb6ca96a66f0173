// Loads BiomedCLIP and OpenAI's CLIP from files: open_clip's and OpenAI's state dicts, the transformers port of BiomedCLIP and
// this project's own, as .bin, .pth, .pt or .safetensors. Every difference in names or shapes is an error that lists all.
// OpenAI's own downloads are TorchScript archives, which are not read: save their state dict once with PyTorch, or take
// open_clip's files of the same weights. Not here: names of other files (key-maps.ts), downloads (weights registry).
//
// A file of this project (`saveClip`) is a .safetensors with open_clip's names and this metadata, all strings:
//   format       `maskrank-clip`
//   clipConfig   the ClipConfig as JSON; so heads and context need not be guessed from shapes
//   vocabulary   the word pieces of its tokeniser, one a line, in the order of their ids
//   and whatever the writer adds (header of the run, recipe, datasets).
// A released network's vocabulary is a `vocab.txt` beside its file, or NAME.vocab.txt where the file is NAME.bin.

import { existsSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { nn } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { openSafetensors, type TensorData, writeSafetensors } from '@maskrank/torch/io';
import { halved } from '../half.ts';
import { readWeightFile } from '../weight-file.ts';
import { buildClip, type Clip } from './clip.ts';
import type { ClipConfig } from './config.ts';
import { describeClip, inferClipConfig } from './infer-config.ts';
import { toOpenClipKeys } from './key-maps.ts';
import { WordPiece } from './wordpiece.ts';

export type LoadClipOptions = {
  /** The network to build. Default: the one that the file names, else the one that its shapes describe. */
  readonly config?: ClipConfig;
};

/** Constants that some versions of the libraries write out: positions 0, 1, 2, ... and sizes. */
const CONSTANTS = [/(^|\.)position_ids$/, /^(input_resolution|context_length|vocab_size)$/];

const ENDINGS = ['.bin', '.pth', '.pt', '.safetensors'] as const;

/** The network with the file's weights, in evaluation mode. Throws DataError with every difference at once; then nothing was loaded. */
export async function loadClip(path: string, options: LoadClipOptions = {}): Promise<Clip> {
  const { tensors } = await readWeightFile(path, { who: 'loadClip', allowed: ENDINGS });
  const { clipConfig } = await metadataOf(path);
  const own = clipConfig === undefined ? undefined : (JSON.parse(clipConfig) as ClipConfig);
  return clipFromState(tensors, { ...(own && { config: own }), ...options, source: path });
}

async function metadataOf(path: string): Promise<Readonly<Record<string, string>>> {
  if (extname(path).toLowerCase() !== '.safetensors') return {};
  await using file = await openSafetensors(path);
  return file.metadata;
}

/** The tokeniser that belongs to a weight file: in its metadata, or a vocabulary beside it. DataError when there is none. */
export async function loadClipTokenizer(path: string): Promise<WordPiece> {
  const { vocabulary } = await metadataOf(path);
  if (vocabulary !== undefined) return new WordPiece(vocabulary.split('\n'), path);
  const beside = [
    `${path.slice(0, path.length - extname(path).length)}.vocab.txt`,
    join(dirname(path), 'vocab.txt'),
  ];
  const found = beside.find((candidate) => existsSync(candidate));
  if (found !== undefined) return WordPiece.fromFile(found);
  throw new DataError(
    `loadClipTokenizer(${path}): there is no vocabulary; needed is ${beside.join(' or ')}, which comes with the weights, one word piece a line.`,
  );
}

/** Writes a network with its configuration and vocabulary, in float16. `metadata` is kept beside them. */
export async function saveClip(
  path: string,
  model: Clip,
  tokenizer: WordPiece,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeSafetensors(path, halved(nn.saveStateDict(model)), {
    ...metadata,
    format: 'maskrank-clip',
    clipConfig: JSON.stringify(model.config),
    vocabulary: tokenizer.vocabulary.join('\n'),
  });
}

/** As `loadClip`, from tensors in memory. `source` opens messages. */
export function clipFromState(
  tensors: ReadonlyMap<string, TensorData>,
  { config, source }: LoadClipOptions & { readonly source: string },
): Clip {
  const state = toOpenClipKeys(tensors);
  const found = inferClipConfig(state, source);
  const model = buildClip(config ?? found);
  try {
    nn.loadStateDict(model, state, {
      source: `${source} (${describeClip(found)})`,
      allowUnexpected: CONSTANTS,
    });
    return model.eval();
  } catch (error) {
    model.dispose();
    throw error;
  }
}
