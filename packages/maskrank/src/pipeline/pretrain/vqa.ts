// The job of `maskrank pretrain vqa`: a small MedVInT and its vocabulary from the training splits' questions and answers, to one
// file in float16. Labelled and unlabelled cases are used alike; masks are opened only where the configuration says so. Validation cases only tell how many
// answers are exact. Not here: lock, state and metrics (frame.ts).

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Generator } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { fileHash } from '../../datasets/hash.ts';
import { LANGUAGE_FILE } from '../../datasets/phantoms/dataset.ts';
import { DEFAULT_AUGMENTATION, NO_MOVEMENT } from '../../imaging/augment.ts';
import { resize } from '../../imaging/resample.ts';
import {
  createMedvint,
  LlamaTokenizer,
  loadMedvint,
  type Medvint,
  medvintConfig,
  questionPrompt,
  saveMedvint,
  trainBpe,
  writeSentencePieceModel,
} from '../../models/medvint/index.ts';
import { resolveWeights } from '../../models/weights/index.ts';
import { headerToMetadata } from '../../run/header.ts';
import { safePoint } from '../../run/interrupt.ts';
import { type AskedImage, TextIds, type VqaBatchOptions } from '../../training/vqa/batch.ts';
import { cellsAlong } from '../../training/vqa/places.ts';
import { readQuestions, withPrompted } from '../../training/vqa/questions.ts';
import { countExact } from '../../training/vqa/score.ts';
import { startAtPlaces } from '../../training/vqa/start.ts';
import { endIdOf, trainVqa } from '../../training/vqa/train.ts';
import { weightsHash } from '../model.ts';
import { resolveDevice } from '../workspace.ts';
import { loadClassMaps } from './class-maps.ts';
import { evened, namesSides, type PretrainRequest, pretrainInto, type Recipe, type Source } from './frame.ts';

/** Exact answers of the written file to one kind of question about a dataset's validation cases. */
export type KindJudgement = {
  readonly dataset: string;
  readonly kind: string;
  readonly right: number;
  readonly asked: number;
};

export type PretrainVqaResult = {
  readonly file: string;
  readonly hash: string;
  /** Of this call; 0 when the file was there already. */
  readonly steps: number;
  readonly images: number;
  readonly questions: number;
  readonly validation: readonly KindJudgement[];
};

type SourcedImage = AskedImage & { readonly source: number };

type Settings = PretrainRequest['config']['vqaPretraining'];

export async function pretrainVqaJob(request: PretrainRequest): Promise<PretrainVqaResult> {
  const { out, config } = request;
  const settings = config.vqaPretraining;
  const recipe: Recipe = {
    section: 'vqaPretraining',
    madeFrom: {
      ...(await languageHashes(request.datasets)),
      ...(settings.weights === null ? {} : { weights: await weightsHash(settings.weights) }),
    },
  };
  return pretrainInto(request, recipe, async ({ sources, header, isDone, withLoop }) => {
    const images = await loadImages(request, sources, 'training');
    if (images.length === 0) throw new DataError('pretrain vqa: no training case has a question.');
    const questions = images.reduce((sum, image) => sum + image.questions.length, 0);
    let steps = 0;
    const validation: KindJudgement[] = [];
    if (!isDone) {
      const judged = await loadImages(request, sources, 'validation');
      const { network: first, tokenizer } = await firstNetwork(request, images);
      using network = first;
      network.to(resolveDevice(config) as 'cuda');
      steps = await withLoop((loop) =>
        trainVqa({
          network,
          tokenizer,
          images: evened(images),
          validation: judged,
          batch: {
            ...batchOptions(settings),
            placedClasses: learnsPlaces(settings) ? classesOf(sources) : 0,
          },
          config: settings,
          seed: config.seed,
          loop,
        }),
      );
      await saveMedvint(network.to('cpu'), out, {
        tokenizer: tokenizer.toBytes(),
        dtype: 'float16',
        metadata: headerToMetadata(header),
      });
      validation.push(...(await judge(request, sources, judged)));
    }
    const { sha256 } = await fileHash(out);
    return { file: out, hash: sha256, steps, images: images.length, questions, validation };
  });
}

/** What training starts from, every weight free. */
async function firstNetwork(
  { out, config: { seed, vqaPretraining } }: PretrainRequest,
  images: readonly AskedImage[],
): Promise<{ network: Medvint; tokenizer: LlamaTokenizer }> {
  const wanted = medvintConfig(vqaPretraining.model);
  const { weights } = vqaPretraining;
  if (weights === null) {
    const vocabulary = trainBpe(textsOf(images), wanted.llama.vocabularySize);
    const network = createMedvint(wanted, Generator.seeded(seed));
    startAtPlaces(network, Generator.seeded(seed));
    return { network, tokenizer: LlamaTokenizer.of(writeSentencePieceModel(vocabulary), out) };
  }
  const { network, tokenizer } = await loadMedvint(await resolveWeights(weights), { storage: 'float32' });
  if (isDeepStrictEqual(network.config, wanted)) return { network: network.requiresGrad_(true), tokenizer };
  network.dispose();
  throw new UsageError(
    `pretrain vqa: ${weights} is no ${wanted.name}; allowed: a network of the model that is trained. Choose it by --vqa-pretraining.model.`,
  );
}

/** The questions are no part of a dataset's hash. */
async function languageHashes(dirs: readonly string[]): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const [i, dir] of dirs.entries()) {
    const path = join(dir, LANGUAGE_FILE);
    if (existsSync(path)) hashes[`questions ${i + 1}`] = (await fileHash(path)).sha256;
  }
  return hashes;
}

/** Every text of the training as the network meets it: a prompt, and an answer. */
function* textsOf(images: readonly AskedImage[]): IterableIterator<string> {
  for (const { questions } of images)
    for (const { question, answer } of questions) {
      yield questionPrompt(question);
      yield answer;
    }
}

const learnsPlaces = ({ masks, places }: Settings): boolean => masks && places > 0;

const classesOf = (sources: readonly Source[]): number =>
  sources.reduce((sum, { opened }) => sum + opened.dataset.classes.length, 0);

function batchOptions({
  questionsPerImage,
  augmentation: a,
}: Settings): Omit<VqaBatchOptions, 'placedClasses'> {
  const probability = 0.5;
  const around = (amount: number): readonly [number, number] => [1 - amount, 1 + amount];
  return {
    questionsPerImage,
    changed: a.probability,
    mirrored: a.mirror,
    augmentation: {
      ...DEFAULT_AUGMENTATION,
      ...NO_MOVEMENT,
      brightness: { probability, range: around(a.brightness) },
      contrast: { probability, range: around(a.contrast) },
      gamma: { probability, range: [1 - a.gamma, 1 / (1 - a.gamma)] },
      noise: { probability: probability / 2, range: [0, 255 * a.noise] },
    },
  };
}

/** Cases of one side of the splits at the network's input size, with their questions; cases without one are left out. */
async function loadImages(
  { config, signal, onProgress, warn }: PretrainRequest,
  sources: readonly Source[],
  side: 'training' | 'validation',
): Promise<SourcedImage[]> {
  const settings = config.vqaPretraining;
  const { model, validationCases } = settings;
  const network = medvintConfig(model);
  const { imageSize } = network.vision;
  const usesMasks = side === 'training' && learnsPlaces(settings);
  const wanted = sources.flatMap(({ opened, splits }, source) => {
    const questions = readQuestions(opened.dir);
    const ids =
      side === 'training'
        ? [...splits.labelled, ...splits.unlabelled]
        : splits.validation.slice(0, validationCases);
    const hasNoSides = !namesSides(opened);
    return opened.unlabelled(ids).map((item) => {
      const own = questions.get(item.id) ?? [];
      const asked = side === 'training' ? withPrompted(own, opened.dataset) : own;
      return { opened, item, source, hasNoSides, questions: asked };
    });
  });
  const asked = wanted.filter(({ questions }) => questions.length > 0);
  if (asked.length < wanted.length)
    warn(
      `${wanted.length - asked.length} of ${wanted.length} ${side} cases have no question and are left out`,
    );
  const images: SourcedImage[] = [];
  for (const { opened, item, ...rest } of asked) {
    await safePoint(signal);
    const whole = await opened.loadImage(item);
    const { source } = rest;
    images.push({
      image: resize(whole, { width: imageSize, height: imageSize }, { filter: 'cubic' }),
      ...rest,
      ...(usesMasks && {
        placed: {
          maps: await loadClassMaps(opened, item.id, cellsAlong(network)),
          first: classesOf(sources.slice(0, source)),
        },
      }),
    });
    onProgress(`reading ${side} images`, images.length, asked.length);
  }
  return images;
}

/** Exact answers about each dataset's validation cases, by the file as others load it. */
async function judge(
  { out, onProgress }: PretrainRequest,
  sources: readonly Source[],
  images: readonly SourcedImage[],
): Promise<KindJudgement[]> {
  const { network, tokenizer } = await loadMedvint(out);
  try {
    const texts = new TextIds(tokenizer, endIdOf(network));
    const judgements: KindJudgement[] = [];
    for (const [i, { opened }] of sources.entries()) {
      const own = images.filter(({ source }) => source === i);
      const counts = await countExact(network, own, texts, (done, total) =>
        onProgress(`validation, ${opened.dataset.name}`, done, total),
      );
      for (const [kind, count] of counts) judgements.push({ dataset: opened.dataset.name, kind, ...count });
    }
    return judgements;
  } finally {
    network.dispose();
  }
}
