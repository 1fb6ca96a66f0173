// Training of a MedVInT on images with questions: a loss of answers, and one of places where masks may be used.
// An image is looked at once a step, however many questions are asked about it. Batch norms use the batch's own statistics and
// move the running ones, as nothing pretrained is there to be kept. Not here: the loop (pretraining.ts), reading data (pipeline).

import { fromTypedArray, Generator, nn, type Tensor } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { LlamaTokenizer, Medvint } from '../../models/medvint/index.ts';
import type { Config } from '../../run/config.ts';
import type { MetricsLine } from '../../run/metrics.ts';
import { descend, lossNumbers } from '../descend.ts';
import { type PretrainingLoop, runPretraining } from '../pretraining.ts';
import { type AskedImage, makeVqaBatch, TextIds, type VqaBatch, type VqaBatchOptions } from './batch.ts';
import { PlacesHead, placesLoss } from './places.ts';
import { countExact } from './score.ts';
import { batchTensors } from './tensors.ts';

type Settings = Config['vqaPretraining'];

export type TrainVqaOptions = {
  readonly network: Medvint;
  readonly tokenizer: LlamaTokenizer;
  readonly images: readonly AskedImage[];
  /** Questions by which progress is told; empty for none. */
  readonly validation: readonly AskedImage[];
  readonly batch: VqaBatchOptions;
  readonly config: Settings;
  readonly seed: number;
  readonly loop: PretrainingLoop;
};

/** The id that training writes behind every answer. */
export function endIdOf({ config: { name, stopIds } }: Medvint): number {
  const [first] = stopIds;
  if (first !== undefined) return first;
  throw new UsageError(`trainVqa(${name}): no id ends an answer; stopIds needs one.`);
}

/** Trains to the end; returns the steps done. The network then holds the averaged weights, in evaluation mode. */
export async function trainVqa(options: TrainVqaOptions): Promise<number> {
  const { network, tokenizer, images, validation, config, seed } = options;
  const { placedClasses } = options.batch;
  const head = placedClasses > 0 ? placesHead(network, placedClasses, seed) : null;
  const own = [...network.namedParameters()];
  const beside = head ? [...head.namedParameters()] : [];
  const named = [...own, ...beside.map(([name, leaf]) => [`places.${name}`, leaf] as const)];
  const buffers = new Map<string, Tensor>(network.namedBuffers());
  // What an average is made of: statistics belong to the weights they were counted with.
  const averaged = new Map<string, Tensor>([
    ...own,
    ...[...buffers].filter(([, { dtype }]) => dtype !== 'int64'),
  ]);
  const texts = new TextIds(tokenizer, endIdOf(network));
  const judge = async (): Promise<Partial<MetricsLine>> => {
    const counts = await countExact(network.eval(), validation, texts);
    const shares = [...counts].map(([kind, { right, asked }]) => [kind, right / asked] as const);
    return { exactAnswers: Object.fromEntries(shares) };
  };
  const steps = await runPretraining({
    items: images,
    named,
    buffers,
    averaged,
    settings: config,
    seed,
    makeBatch: (chosen, random) => makeVqaBatch(chosen, texts, options.batch, random),
    learn: (batch, learner) => {
      const start = performance.now();
      const losses = lossesOf(network.train(), head, batch, config.places);
      const ms = descend(losses.total as Tensor, learner, start);
      return { losses: lossNumbers(losses), ms };
    },
    ...(validation.length > 0 && { validation: { everySteps: config.validateEverySteps, judge } }),
    loop: options.loop,
  });
  network.eval();
  head?.dispose();
  return steps;
}

function placesHead(network: Medvint, classes: number, seed: number): PlacesHead {
  const head = new PlacesHead(network.config, classes);
  return nn.initialise(head, Generator.seeded(seed)).to(network.place.device as 'cuda');
}

/** By name; `total` is what is minimised. */
export function lossesOf(
  network: Medvint,
  head: PlacesHead | null,
  batch: VqaBatch,
  weight: number,
): Readonly<Record<string, Tensor>> {
  const { seen, owned } = batchTensors(batch, network);
  const features = network.visionFeatures(seen);
  const soft = network.tokensOf(features);
  const answers = answerLoss(network.logitsAt(soft, owned), batch);
  if (head === null || batch.places === null) return { total: answers };
  const places = placesLoss(head.forward(features, soft), batch.places);
  return { total: answers.add(places, weight), answers, places };
}

/**
 * Cross-entropy of the answers' tokens, summed over an answer and averaged over the questions: every question counts the same,
 * however many words its answer takes. Logits [P, V], group after group.
 */
function answerLoss(logits: Tensor, { groups, asked }: VqaBatch): Tensor {
  const wanted = BigInt64Array.from(groups.flatMap(({ targets }) => [...targets]));
  const targets = fromTypedArray(wanted, [wanted.length], { device: logits.device });
  return nn.F.crossEntropy(logits, targets).mul(wanted.length / asked);
}
