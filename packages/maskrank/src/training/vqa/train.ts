// Training of a MedVInT on images with questions, the loss on answers alone.
// An image is looked at once a step, however many questions are asked about it. Batch norms use the batch's own statistics and
// move the running ones, as nothing pretrained is there to be kept. Not here: the loop (pretraining.ts), reading data (pipeline).

import { fromTypedArray, nn, type Tensor } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { LlamaTokenizer, Medvint } from '../../models/medvint/index.ts';
import type { Config } from '../../run/config.ts';
import type { MetricsLine } from '../../run/metrics.ts';
import { descend, type PretrainingLoop, runPretraining } from '../pretraining.ts';
import { type AskedImage, makeVqaBatch, TextIds, type VqaBatch, type VqaBatchOptions } from './batch.ts';
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
  const named = [...network.namedParameters()];
  const buffers = new Map<string, Tensor>(network.namedBuffers());
  // What an average is made of: statistics belong to the weights they were counted with.
  const averaged = new Map<string, Tensor>([
    ...named,
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
      const loss = answerLoss(network.train(), batch);
      const ms = descend(loss, learner, start);
      return { losses: { total: loss.item() }, ms };
    },
    ...(validation.length > 0 && { validation: { everySteps: config.validateEverySteps, judge } }),
    loop: options.loop,
  });
  network.eval();
  return steps;
}

/**
 * Cross-entropy of the answers' tokens, summed over an answer and averaged over the questions: every question counts the same,
 * however many words its answer takes.
 */
export function answerLoss(network: Medvint, batch: VqaBatch): Tensor {
  const { seen, owned } = batchTensors(batch, network);
  const wanted = BigInt64Array.from(batch.groups.flatMap(({ targets }) => [...targets]));
  const targets = fromTypedArray(wanted, [wanted.length], { device: network.place.device });
  return nn.F.crossEntropy(network.logitsAt(seen, owned), targets).mul(wanted.length / batch.asked);
}
