// Training of a CLIP on images with texts. The scale of the logits is the temperature, not learned. Where masks may be used, the places that saliency will read learn beside the images.
// Not here: the loop (pretraining.ts), labels to texts (facts.ts, texts.ts), reading data (pipeline).

import { fromTypedArray, noGrad, type Tensor } from '@maskrank/torch';
import { type Clip, tokenIds, type VisionSite, type WordPiece } from '../../models/clip/index.ts';
import { camSite, defaultCamLayer } from '../../prompting/saliency/layers.ts';
import type { Config } from '../../run/config.ts';
import { descend, type Learner, lossNumbers } from '../descend.ts';
import type { StepReport } from '../loop.ts';
import { type PretrainingLoop, runPretraining } from '../pretraining.ts';
import { type FactImage, makePairBatch, type PairBatch, type PairBatchOptions } from './batch.ts';
import { bypass, pairLoss, placesLoss } from './loss.ts';
import { isReadout, keepValues } from './readout.ts';

/** Weight of what keeps tokens from going round their places, beside the places' loss. */
const BYPASS = 0.3;

export type PretrainOptions = {
  readonly model: Clip;
  readonly tokenizer: WordPiece;
  readonly images: readonly FactImage[];
  readonly batch: PairBatchOptions;
  readonly config: Config['clipPretraining'];
  readonly seed: number;
  readonly loop: PretrainingLoop;
};

/** Trains to the end; returns the steps done. The model then holds the averaged weights. */
export async function pretrain(options: PretrainOptions): Promise<number> {
  const { model, images, config, seed } = options;
  noGrad(() => model.logit_scale.fill_(Math.log(1 / config.temperature)));
  const keepsReadout = options.batch.grid !== null;
  const named = [...model.namedParameters()].filter(
    ([name]) => name !== 'logit_scale' && !(keepsReadout && isReadout(name, model)),
  );
  const { imageSize } = model.config.vision;
  return await runPretraining({
    items: images,
    named,
    settings: config,
    seed,
    makeBatch: (chosen, random) => makePairBatch(chosen, options.batch, imageSize, random),
    learn: (batch, learner) => update(options, batch, learner),
    loop: options.loop,
  });
}

/** Forward, backward and update of one batch. */
function update(
  { model, tokenizer, config }: PretrainOptions,
  { planes, texts, truth, places }: PairBatch,
  learner: Learner,
): Pick<StepReport, 'losses' | 'ms'> {
  const { context } = model.config.text;
  const { imageSize } = model.config.vision;
  const start = performance.now();
  model.train();
  const count = planes.length / (3 * imageSize * imageSize);
  const images = fromTypedArray(planes, [count, 3, imageSize, imageSize], { device: model.device });
  const ids = tokenIds(
    texts.map((text) => tokenizer.encode(text, context)),
    model.device,
  );
  let tokens: Tensor | undefined;
  const { site: read } = camSite(model, defaultCamLayer(model));
  const value = (site: VisionSite, x: Tensor): Tensor => {
    if (site === read) tokens = x; // [B, 1 + P, D]
    return x;
  };
  const features = model.encodeImage(images, places === null ? undefined : { value, endsEarly: true });
  const textFeatures = model.encodeText(ids);
  const { loss: kind, temperature, hardness } = config;
  const whole = pairLoss(features, textFeatures, truth, { kind, temperature, hardness });
  const losses: Record<string, Tensor> = { total: whole };
  if (places !== null) {
    losses.images = whole;
    const [seen, options] = [tokens as Tensor, { kind, temperature, hardness }];
    losses.places = placesLoss(seen.slice(1, 1), textFeatures, places, options);
    losses.total = whole.add(losses.places.add(bypass(seen, textFeatures).mul(BYPASS)).mul(config.places));
  }
  const ms = descend(losses.total as Tensor, learner, start);
  if (places !== null) keepValues(model);
  return { losses: lossNumbers(losses), ms };
}
