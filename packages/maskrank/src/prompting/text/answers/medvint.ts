// Answers from MedVInT-TD on this machine: nothing leaves it. The network is loaded at the first question that needs it, so a run
// whose answers are recorded never loads 13 GB. One question at a time; the likeliest words unless told otherwise, so answers are
// the same each time. Not here: the network (models/medvint).

import { createHash } from 'node:crypto';
import { bytesOf } from '@maskrank/torch/io';
import { fileHash } from '../../../datasets/hash.ts';
import { readImage } from '../../../formats/raster.ts';
import {
  answer,
  inferMedvintConfig,
  type LoadMedvintOptions,
  loadMedvint,
  type MedvintModel,
  type SamplingOptions,
  tokenizerPath,
} from '../../../models/medvint/index.ts';
import { openSources } from '../../../models/medvint/sources.ts';
import { Random } from '../../../util/random.ts';
import { tidyText } from '../parts.ts';
import type { Answer, AnswerProvider, Question } from '../types.ts';
import { UnansweredError } from '../unanswered.ts';

/** How MedVInT chooses its tokens. */
export type MedvintAnswersOptions = {
  /** Tokens of an answer at most. Default 50, as the original. */
  readonly maxNewTokens?: number;
  /** How to draw tokens, and the seed; each question has its own stream, so order does not matter. Default: the likeliest. */
  readonly sampling?: (Omit<SamplingOptions, 'random'> & { readonly seed: number | string }) | null;
};

/** A network that may have to be loaded first. */
type ModelSource = {
  /** Content of weights and tokeniser, and everything else that an answer depends on. */
  readonly fingerprint: string;
  /** The configuration's name, for records. */
  readonly model: string;
  readonly load: (signal: AbortSignal) => Promise<MedvintModel>;
  readonly release?: (model: MedvintModel) => void;
};

const sha256 = (...parts: (string | Uint8Array)[]): string =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex');

/** Answers from a network in memory, which stays the caller's. */
export function medvintAnswers(model: MedvintModel, options: MedvintAnswersOptions = {}): AnswerProvider {
  const { config, storage, place } = model.network;
  const hash = createHash('sha256');
  hash.update(JSON.stringify([{ ...config, name: '' }, storage, place.dtype]));
  for (const [name, tensor] of [...model.network.stateDict()].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name} ${tensor.dtype} ${tensor.shape}\n`);
    hash.update(bytesOf(tensor.toTypedArray()));
  }
  const source = { fingerprint: hash.digest('hex'), model: config.name, load: async () => model };
  return providerOf(source, options);
}

/** MedVInT from files: where they are, how weights are kept and computed with, how tokens are chosen. */
export type OpenMedvintOptions = MedvintAnswersOptions &
  Omit<LoadMedvintOptions, 'signal'> & {
    /** Files or folders of shards, as `loadMedvint` takes them. */
    readonly weights: string | readonly string[];
    /** Told of each file that is read for its fingerprint. */
    readonly hashing?: (file: string) => void;
  };

/**
 * Answers from files. Reads them once for their fingerprint (13 GB of the released ones: about a minute), loads at the first
 * question, frees the network on `close`.
 */
export async function openMedvintAnswers(options: OpenMedvintOptions): Promise<AnswerProvider> {
  const { weights, hashing, maxNewTokens, sampling, ...loading } = options;
  const { storage = 'float16', compute = 'float32' } = loading;
  const paths = typeof weights === 'string' ? [weights] : weights;
  const sources = await openSources(paths);
  await sources.close();
  const tokenizer = tokenizerPath(paths, sources.metadata, loading.tokenizer ?? null);
  const config = loading.config ?? inferMedvintConfig(sources);
  const hashes: string[] = [];
  for (const file of [...sources.files, ...(tokenizer === null ? [] : [tokenizer])]) {
    hashing?.(file);
    hashes.push((await fileHash(file)).sha256);
  }
  const source: ModelSource = {
    fingerprint: sha256(JSON.stringify([hashes, { ...config, name: '' }, storage, compute])),
    model: config.name,
    load: (signal) => loadMedvint(weights, { ...loading, signal }),
    release: ({ network }) => network.dispose(),
  };
  return providerOf(source, {
    ...(maxNewTokens !== undefined && { maxNewTokens }),
    ...(sampling !== undefined && { sampling }),
  });
}

function providerOf(
  source: ModelSource,
  { maxNewTokens = 50, sampling = null }: MedvintAnswersOptions,
): AnswerProvider {
  let loaded: Promise<MedvintModel> | null = null;
  let last: Promise<unknown> = Promise.resolve();
  const model = (signal: AbortSignal): Promise<MedvintModel> => {
    loaded ??= source.load(signal).catch((error: unknown) => {
      loaded = null; // stopped, or to be mended: the next question tries again
      throw error;
    });
    return loaded;
  };
  const ask = async (
    { caseId, classId, imagePath, text }: Question,
    signal: AbortSignal,
  ): Promise<Answer> => {
    signal.throwIfAborted();
    const { conversion: _, ...image } = await readImage(imagePath);
    const stream = sampling && new Random(sampling.seed).fork(JSON.stringify([caseId, classId, text]));
    const found = await answer(await model(signal), image, text, {
      maxNewTokens,
      sampling: sampling && stream && { ...sampling, random: stream },
      signal,
    });
    const said = tidyText(found.text.replace(/\p{Cc}/gu, ' '));
    if (said === '')
      throw new UnansweredError(
        `medvint: case ${caseId}, class ${classId}: the model ends its answer before the first word.`,
        'empty answer',
      );
    return {
      text: said,
      source: {
        provider: 'medvint',
        model: source.model,
        weights: source.fingerprint,
        prompt: found.prompt,
        ended: found.ended,
        sampling: sampling === null ? 'greedy' : JSON.stringify(sampling),
      },
    };
  };
  return {
    name: 'medvint',
    identity: sha256(JSON.stringify(['medvint 1', source.fingerprint, maxNewTokens, sampling])),
    answer: (question, signal) => {
      const mine = last.then(() => ask(question, signal));
      last = mine.catch(() => undefined);
      return mine;
    },
    close: () => {
      const open = loaded;
      loaded = null;
      const { release } = source;
      // A question that is still being answered needs the network to its end.
      if (release !== undefined && open !== null) last = last.then(() => open.then(release, () => undefined));
    },
  };
}
