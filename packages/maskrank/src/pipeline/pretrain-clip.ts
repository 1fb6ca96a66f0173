// The job of `maskrank pretrain clip`: a small CLIP from the training splits' image-level labels, to one file. Labelled and
// unlabelled cases are used alike; masks are never opened. Beside the file FILE lie FILE.state.safetensors, from which a
// stopped training goes on exactly, and FILE.metrics.jsonl. Validation cases only tell how well texts are told apart.

import { existsSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fromTypedArray, Generator, noGrad, setThreads, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { openSafetensors } from '@maskrank/torch/io';
import { type OpenDataset, openDataset } from '../datasets/cases.ts';
import { fileHash } from '../datasets/hash.ts';
import type { Splits } from '../datasets/schema.ts';
import { readSplits } from '../datasets/splits.ts';
import { resize } from '../imaging/resample.ts';
import {
  type Clip,
  clipConfig,
  clipInput,
  createClip,
  embedTexts,
  saveClip,
  WordPiece,
} from '../models/clip/index.ts';
import type { Config } from '../run/config.ts';
import { type ArtefactHeader, headerFromMetadata, headerToMetadata, refuseStale } from '../run/header.ts';
import { safePoint } from '../run/interrupt.ts';
import { Lock } from '../run/lock.ts';
import { MetricsLog } from '../run/metrics.ts';
import { configHash } from '../run/resolve.ts';
import type { FactImage } from '../training/contrastive/batch.ts';
import { factsOf, type ImageFacts } from '../training/contrastive/facts.ts';
import { areaUnderRoc } from '../training/contrastive/judge.ts';
import { allTexts } from '../training/contrastive/texts.ts';
import { pretrain } from '../training/contrastive/train.ts';
import { augmentOptions, splitsHash } from './finetune.ts';
import { resolveDevice } from './workspace.ts';

export type PretrainClipRequest = {
  /** Folders of the datasets. */
  readonly datasets: readonly string[];
  /** The .safetensors to write. */
  readonly out: string;
  /** Tags that texts may tell. */
  readonly tags: readonly string[];
  readonly config: Config;
  readonly restart: boolean;
  readonly command: string;
  readonly signal: AbortSignal;
  readonly onProgress: (label: string, done: number, total: number, note?: string) => void;
  readonly warn: (text: string) => void;
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

/** A dataset with its division. */
type Source = { readonly opened: OpenDataset; readonly splits: Splits };

export async function pretrainClipJob(request: PretrainClipRequest): Promise<PretrainClipResult> {
  const { out, config, command } = request;
  if (!out.endsWith('.safetensors'))
    throw new UsageError(`--out ${out}: allowed is a file that ends in .safetensors.`);
  const lock = Lock.acquire(`${out}.lock`, { command });
  try {
    setThreads(config.threads > 0 ? config.threads : availableParallelism());
    return await trainInto(request);
  } finally {
    lock.release();
  }
}

async function trainInto(request: PretrainClipRequest): Promise<PretrainClipResult> {
  const { out, config, restart, signal, onProgress } = request;
  const [statePath, metricsPath] = [`${out}.state.safetensors`, `${out}.metrics.jsonl`];
  if (restart) for (const path of [out, statePath, metricsPath]) rmSync(path, { force: true });
  const sources = await openSources(request);
  const header = headerOf(request, sources);
  const rerun = `${request.command} --restart`;
  const images = await loadImages(request, sources);
  const tokenizer = WordPiece.ofTexts(allTexts(images.map(({ facts }) => facts)));
  using model = createClip(clipConfig(config.pretraining.model), Generator.seeded(config.seed));
  checkVocabulary(tokenizer, model);
  model.to(resolveDevice(config) as 'cuda');
  let steps = 0;
  if (existsSync(out)) await refuseOther(out, header, rerun);
  else {
    using metrics = MetricsLog.open(metricsPath);
    steps = await pretrain({
      model,
      tokenizer,
      images: evened(images),
      batch: {
        textsPerImage: config.pretraining.textsPerImage,
        hidden: config.pretraining.hidden,
        changed: config.pretraining.augmentation.probability,
        augmentation: augmentOptions(config.pretraining.augmentation),
      },
      config: config.pretraining,
      seed: config.seed,
      loop: {
        statePath,
        header,
        rerun,
        metrics,
        signal,
        onProgress: (done, total, note) => onProgress('training', done, total, note),
      },
    });
    model.eval();
    await saveClip(out, model, tokenizer, headerToMetadata(header));
  }
  const { sha256 } = await fileHash(out);
  const validation = steps === 0 ? [] : await judge(request, sources, model, tokenizer);
  return { file: out, hash: sha256, steps, images: images.length, vocabulary: tokenizer.size, validation };
}

async function openSources({ datasets, config }: PretrainClipRequest): Promise<Source[]> {
  const sources: Source[] = [];
  for (const dir of datasets) {
    const opened = await openDataset(dir);
    sources.push({ opened, splits: await readSplits(join(opened.dir, config.data.splits), opened) });
  }
  return sources;
}

/** What the weights depend on. */
function headerOf({ config, tags }: PretrainClipRequest, sources: readonly Source[]): ArtefactHeader {
  const inputs = sources.flatMap(({ opened, splits }, i) => [
    [`dataset ${i + 1}`, opened.hash],
    [`splits ${i + 1}`, splitsHash({ splits })],
  ]);
  return {
    schemaVersion: 1,
    configHash: configHash(config, ['pretraining']),
    madeFrom: { ...Object.fromEntries(inputs), tags: tags.join(',') },
  };
}

async function refuseOther(out: string, header: ArtefactHeader, rerun: string): Promise<void> {
  await using file = await openSafetensors(out);
  refuseStale(out, headerFromMetadata(file.metadata), {
    schemaVersion: header.schemaVersion,
    configHash: header.configHash,
    madeFrom: header.madeFrom,
    rerun,
  });
}

function checkVocabulary(tokenizer: WordPiece, { config }: Clip): void {
  if (tokenizer.size <= config.text.vocabulary) return;
  throw new DataError(
    `pretrain clip: the labels' texts have ${tokenizer.size} word pieces, '${config.name}' has room for ${config.text.vocabulary}. Use fewer tags or shorter class names.`,
  );
}

/** Training cases of all datasets at the network's input size, with what their labels say. */
async function loadImages(request: PretrainClipRequest, sources: readonly Source[]): Promise<SourcedImage[]> {
  const { config, tags, signal, onProgress, warn } = request;
  const side = clipConfig(config.pretraining.model).vision.imageSize;
  const wanted = sources.flatMap(({ opened, splits }, source) => {
    const facts = factsById(opened, tags);
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
    images.push({ image, facts: facts as ImageFacts, hasNoSides: !namesSides(opened), source });
    onProgress('reading images', images.length, known.length);
  }
  if (images.length === 0) throw new DataError('pretrain clip: no training case has an image-level label.');
  return images;
}

/** Images of small datasets several times, so that each dataset has about as many as the largest. */
function evened(images: readonly SourcedImage[]): SourcedImage[] {
  const counts = new Map<number, number>();
  for (const { source } of images) counts.set(source, (counts.get(source) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return images.flatMap((image) => {
    const times = Math.round(most / (counts.get(image.source) as number));
    return new Array<SourcedImage>(times).fill(image);
  });
}

/** Whether a class is one of a pair: in a mirrored image its name would be wrong. */
const namesSides = ({ dataset }: OpenDataset): boolean =>
  dataset.classes.some(({ name }) => /\b(left|right)\b/i.test(name));

function factsById({ dataset }: OpenDataset, tags: readonly string[]): Map<string, ImageFacts | undefined> {
  return new Map(dataset.cases.map((record) => [record.id, factsOf(record, dataset, tags)]));
}

/** Cosines of the validation images with the name of each class of their dataset. */
async function judge(
  { tags, signal, onProgress }: PretrainClipRequest,
  sources: readonly Source[],
  model: Clip,
  tokenizer: WordPiece,
): Promise<ClassJudgement[]> {
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
