// The job of `maskrank pretrain clip`: a small CLIP from the training splits' image-level labels, to one file. Labelled and
// unlabelled cases are used alike; masks are opened only where
// the configuration says so, as for phantoms. Validation cases only tell how well texts are told apart.
// Not here: lock, state and metrics (frame.ts).

import { isDeepStrictEqual } from 'node:util';
import { fromTypedArray, Generator, noGrad, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import type { OpenDataset } from '../../datasets/cases.ts';
import { fileHash } from '../../datasets/hash.ts';
import { resize } from '../../imaging/resample.ts';
import {
  type Clip,
  clipConfig,
  clipInput,
  createClip,
  describeClip,
  embedTexts,
  loadClip,
  loadClipTokenizer,
  saveClip,
  visionGrid,
  WordPiece,
} from '../../models/clip/index.ts';
import type { Config } from '../../run/config.ts';
import { headerToMetadata } from '../../run/header.ts';
import { safePoint } from '../../run/interrupt.ts';
import type { FactImage } from '../../training/contrastive/batch.ts';
import { readCaptions, withCaptions } from '../../training/contrastive/captions.ts';
import { factsOf, type ImageFacts } from '../../training/contrastive/facts.ts';
import { areaUnderRoc } from '../../training/contrastive/judge.ts';
import { startAsMeanOfPlaces } from '../../training/contrastive/readout.ts';
import { allTexts } from '../../training/contrastive/texts.ts';
import { pretrain } from '../../training/contrastive/train.ts';
import { augmentOptions } from '../finetune.ts';
import { resolveDevice } from '../workspace.ts';
import { loadClassMaps } from './class-maps.ts';
import { evened, namesSides, type PretrainRequest, pretrainInto, type Recipe, type Source } from './frame.ts';

export type PretrainClipRequest = PretrainRequest & {
  /** Tags that texts may tell. */
  readonly tags: readonly string[];
  /** A file of such a network whose weights and vocabulary are the beginning; null: drawn from the seed, made from the texts. */
  readonly from: string | null;
};

/** How well one class's text tells validation images apart. */
export type ClassJudgement = {
  readonly dataset: string;
  readonly class: string;
  /** Area under the ROC curve; null where all images have the class, or none. */
  readonly auc: number | null;
  readonly images: number;
};

export type PretrainClipResult = {
  readonly file: string;
  readonly hash: string;
  /** Of this call; 0 when the file was there already. */
  readonly steps: number;
  readonly images: number;
  readonly vocabulary: number;
  readonly validation: readonly ClassJudgement[];
};

/** An image and the number of its dataset. */
type SourcedImage = FactImage & { readonly source: number };

export async function pretrainClipJob(request: PretrainClipRequest): Promise<PretrainClipResult> {
  const { out, config, tags, from } = request;
  const settings = config.clipPretraining;
  const start = from === null ? {} : { from: (await fileHash(from)).sha256 };
  const recipe: Recipe = { section: 'clipPretraining', madeFrom: { tags: tags.join(','), ...start } };
  return pretrainInto(request, recipe, async ({ sources, header, isDone, withLoop }) => {
    const images = await loadImages(request, sources);
    const { model: first, tokenizer } = await firstNetwork(request, images);
    using model = first;
    model.to(resolveDevice(config) as 'cuda');
    const batch = {
      textsPerImage: settings.textsPerImage,
      captions: settings.captions,
      hidden: settings.hidden,
      crops: settings.crops,
      reveals: settings.reveals,
      grid: learnsPlaces(config) ? visionGrid(model.config.vision) : null,
      changed: settings.augmentation.probability,
      augmentation: augmentOptions(settings.augmentation),
    };
    let steps = 0;
    if (!isDone) {
      steps = await withLoop((loop) =>
        pretrain({
          model,
          tokenizer,
          images: evened(images),
          batch,
          config: settings,
          seed: config.seed,
          loop,
        }),
      );
      await saveClip(out, model, tokenizer, headerToMetadata(header));
    }
    const { sha256 } = await fileHash(out);
    const validation = isDone ? [] : await judge(request, sources, tokenizer);
    return { file: out, hash: sha256, steps, images: images.length, vocabulary: tokenizer.size, validation };
  });
}

const learnsPlaces = ({ clipPretraining: { masks, places } }: Config): boolean => masks && places > 0;

/** What training starts from. */
async function firstNetwork(
  { from, config }: PretrainClipRequest,
  images: readonly SourcedImage[],
): Promise<{ model: Clip; tokenizer: WordPiece }> {
  const wanted = clipConfig(config.clipPretraining.model);
  if (from === null) {
    const tokenizer = WordPiece.ofTexts(allTexts(images.map(({ facts }) => facts)));
    const model = createClip(wanted, Generator.seeded(config.seed));
    checkVocabulary(tokenizer, model);
    if (learnsPlaces(config)) startAsMeanOfPlaces(model);
    return { model, tokenizer };
  }
  const model = await loadClip(from);
  if (!isDeepStrictEqual({ ...model.config, name: '' }, { ...wanted, name: '' }))
    throw new UsageError(
      `--from ${from} is ${describeClip(model.config)}; clipPretraining.model ${wanted.name} is ${describeClip(wanted)}. Choose the model that the file holds.`,
    );
  return { model: model.requiresGrad_(true), tokenizer: await loadClipTokenizer(from) };
}

function checkVocabulary(tokenizer: WordPiece, { config }: Clip): void {
  if (tokenizer.size <= config.text.vocabulary) return;
  throw new DataError(
    `pretrain clip: the labels' texts have ${tokenizer.size} word pieces, '${config.name}' has room for ${config.text.vocabulary}. Use fewer tags or shorter class names.`,
  );
}

/** Lets facts tell what the dataset's captions say of the cases. */
function addCaptions(facts: Map<string, ImageFacts | undefined>, { dir, dataset }: OpenDataset): void {
  for (const [id, language] of readCaptions(dir)) {
    const known = facts.get(id);
    if (known !== undefined) facts.set(id, withCaptions(known, language, dataset.classes));
  }
}

/** Images of which windows are shown are kept that much larger than the network's input. */
const FINER = 1.25;

/** Four cells to a token of a 14 x 14 map, in each direction. */
const MAP_SIDE = 56;

/** Training cases of all datasets at the network's input size, with what their labels say. */
async function loadImages(request: PretrainClipRequest, sources: readonly Source[]): Promise<SourcedImage[]> {
  const { config, tags, signal, onProgress, warn } = request;
  const { masks: useMasks, model } = config.clipPretraining;
  const { imageSize } = clipConfig(model).vision;
  const side = useMasks ? Math.round(FINER * imageSize) : imageSize;
  const wanted = sources.flatMap(({ opened, splits }, source) => {
    const facts = factsById(opened, tags);
    if (config.clipPretraining.captions > 0) addCaptions(facts, opened);
    const ids = [...splits.labelled, ...splits.unlabelled];
    return opened.unlabelled(ids).map((item) => ({ opened, item, source, facts: facts.get(item.id) }));
  });
  const known = wanted.filter(({ facts }) => facts !== undefined);
  if (known.length < wanted.length)
    warn(
      `${wanted.length - known.length} of ${wanted.length} training cases have no image-level label and are left out`,
    );
  const images: SourcedImage[] = [];
  for (const { opened, item, source, facts } of known) {
    await safePoint(signal);
    const image = resize(await opened.loadImage(item), { width: side, height: side }, { filter: 'cubic' });
    const maps = useMasks ? { maps: await loadClassMaps(opened, item.id, MAP_SIDE) } : {};
    images.push({ image, facts: facts as ImageFacts, hasNoSides: !namesSides(opened), source, ...maps });
    onProgress('reading images', images.length, known.length);
  }
  if (images.length === 0) throw new DataError('pretrain clip: no training case has an image-level label.');
  return images;
}

function factsById({ dataset }: OpenDataset, tags: readonly string[]): Map<string, ImageFacts | undefined> {
  return new Map(dataset.cases.map((record) => [record.id, factsOf(record, dataset, tags)]));
}

/** By the file as others load it: cosines of the validation images with the name of each class of their dataset. */
async function judge(
  { out, tags, signal, onProgress }: PretrainClipRequest,
  sources: readonly Source[],
  tokenizer: WordPiece,
): Promise<ClassJudgement[]> {
  using model = await loadClip(out);
  const judgements: ClassJudgement[] = [];
  const total = sources.reduce((sum, { splits }) => sum + splits.validation.length, 0);
  let done = 0;
  for (const { opened, splits } of sources) {
    const { name, classes } = opened.dataset;
    const texts = embedTexts(
      model,
      tokenizer,
      classes.map((cls) => cls.name),
    );
    const facts = factsById(opened, tags);
    const cosines: number[][] = [];
    for (const item of opened.unlabelled(splits.validation)) {
      await safePoint(signal);
      const { planes, side } = clipInput(await opened.loadImage(item), model.config.vision.imageSize);
      const image = noGrad(() =>
        tidy(() =>
          model
            .embedImages(fromTypedArray(planes, [1, 3, side, side], { device: model.device }))
            .toFloat32Array(),
        ),
      );
      cosines.push(
        texts.map(({ embedding }) => embedding.reduce((sum, x, i) => sum + x * (image[i] as number), 0)),
      );
      done += 1;
      onProgress('validation', done, total);
    }
    for (const [c, cls] of classes.entries()) {
      const isTrue = splits.validation.map((id) => facts.get(id)?.present.includes(cls) ?? false);
      const auc = areaUnderRoc(
        cosines.map((row) => row[c] as number),
        isTrue,
      );
      judgements.push({ dataset: name, class: cls.name, auc, images: isTrue.length });
    }
  }
  return judgements;
}
