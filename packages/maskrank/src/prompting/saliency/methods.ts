// Ways to say how much each place speaks for a text, at the resolution of a layer: gScoreCAM (Chen 2022), ScoreCAM (Wang 2020),
// GradCAM (Selvaraju 2017), GradCAM++ (Chattopadhay 2018), XGradCAM (Fu 2020), LayerCAM (Jiang 2021), attention relevance
// (Chefer 2021, "HilaCAM") and the similarity of places (Zhou 2022, "MaskCLIP"). Maps come as they are summed: negative values are cut off and the range is set afterwards (grid.ts).
// Shapes: C channels, h w places, N tokens.

import type { FloatMap } from '../../imaging/types.ts';
import type { CamImage } from './cam-image.ts';
import { type Evidence, meanGradients } from './evidence.ts';
import { attentionRelevance } from './relevance.ts';
import { placeSimilarity } from './similarity.ts';

/** How the channels of the layer were weighed. */
export type ChannelWeights = {
  /** Channels that were looked at, the most important first. */
  readonly kept: readonly number[];
  /** Mean gradient of every channel, [C]. */
  readonly importance: Float64Array;
  /** Image-text logit of every kept channel's masked image; null for methods without masked images. */
  readonly scores: Float64Array | null;
  /** What each channel counts in the sum, [C]. */
  readonly weights: Float64Array;
};

export type RawCam = {
  /** [h, w], of any sign and range. */
  readonly grid: FloatMap;
  /** Null for methods that do not weigh channels. */
  readonly channels: ChannelWeights | null;
  /** What makes the map doubtful, in sentences. */
  readonly warnings: readonly string[];
};

type CamMethod = (image: CamImage, text: Float32Array, signal?: AbortSignal) => RawCam | Promise<RawCam>;

const sumOverPlaces = (
  evidence: Evidence,
  at: (activation: number, gradient: number) => number,
): Float64Array => {
  const { channels, width, height, activations, gradients } = evidence;
  const count = width * height;
  const isShared = gradients.length === channels;
  return Float64Array.from({ length: channels }, (_, c) => {
    let sum = 0;
    for (let i = c * count; i < (c + 1) * count; i++) {
      sum += at(activations[i] as number, gradients[isShared ? c : i] as number);
    }
    return sum;
  });
};

/** sum_c w_c A_c */
function weightedSum({ channels, width, height, activations }: Evidence, weights: Float64Array): FloatMap {
  const count = width * height;
  const sums = new Float64Array(count);
  for (let c = 0; c < channels; c++) {
    const weight = weights[c] as number;
    for (let i = 0; i < count; i++)
      sums[i] = (sums[i] as number) + weight * (activations[c * count + i] as number);
  }
  return { width, height, data: Float32Array.from(sums) };
}

/** Channels by falling importance; equal ones by their number. */
function topChannels(importance: Float64Array, k: number): number[] {
  const order = Array.from(importance.keys());
  order.sort((a, b) => (importance[b] as number) - (importance[a] as number) || a - b);
  return order.slice(0, k);
}

/** Softmax of the kept channels' scores among all channels: others have score 0, or no weight. */
function softmaxWeights(
  kept: readonly number[],
  scores: Float64Array,
  channels: number,
  { temperature, softmaxOver }: CamImage['options'],
): Float64Array {
  const logits = new Float64Array(channels).fill(softmaxOver === 'all' ? 0 : Number.NEGATIVE_INFINITY);
  for (const [i, c] of kept.entries()) logits[c] = (scores[i] as number) / temperature;
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const raised = logits.map((x) => Math.exp(x - top));
  const sum = raised.reduce((a, b) => a + b, 0);
  return raised.map((x) => x / sum);
}

function gradientWarnings({ gradients }: Evidence, { layer }: CamImage['options']): string[] {
  if (gradients.some((g) => g !== 0)) return [];
  return [
    `every gradient at the layer '${layer}' is exactly zero: the network pools its class token, and nothing after this layer mixes tokens, so which channels count is arbitrary. Choose penultimate-block, last-norm1 or last-block-class.`,
  ];
}

/** Of masks that all have a range: there a score is missing only where the network's numbers overflowed. */
function scoreWarnings(scores: Float64Array, { precision }: CamImage['options']): string[] {
  const lost = scores.filter(Number.isNaN).length;
  if (lost === 0) return [];
  return [
    `${lost} of ${scores.length} masked images gave no number in ${precision} and count as 0; choose float32 or bfloat16.`,
  ];
}

type ScoredOptions = {
  /** Keeps a constant mask finite; 0 as ScoreCAM has it. */
  readonly epsilon: number;
  readonly keep: (importance: Float64Array, k: number) => number[];
};

/** Weights from the logits of masked images. */
const scored =
  ({ epsilon, keep }: ScoredOptions): CamMethod =>
  async (image, text, signal) => {
    const evidence = image.evidence(text);
    const importance = meanGradients(evidence);
    const kept = keep(importance, image.options.k);
    const found = await image.masked.scores(evidence, kept, text, { epsilon, signal });
    const blank = image.options.baseline === 'blank' ? image.masked.blankScore(text) : 0;
    // A mask without a range has no score; both originals count it as 0.
    const scores = found.map((score) => (Number.isNaN(score) ? 0 : score - blank));
    const weights = softmaxWeights(kept, scores, evidence.channels, image.options);
    const isChosen = kept.length < evidence.channels;
    return {
      grid: weightedSum(evidence, weights),
      channels: { kept, importance, scores, weights },
      warnings: [
        ...(isChosen ? gradientWarnings(evidence, image.options) : []),
        ...(epsilon > 0 ? scoreWarnings(found, image.options) : []),
      ],
    };
  };

/** Weights from gradients alone. */
const fromGradients =
  (weigh: (evidence: Evidence) => Float64Array): CamMethod =>
  (image, text) => {
    const evidence = image.evidence(text);
    const weights = weigh(evidence);
    const importance = meanGradients(evidence);
    return {
      grid: weightedSum(evidence, weights),
      channels: { kept: topChannels(importance, evidence.channels), importance, scores: null, weights },
      warnings: gradientWarnings(evidence, image.options),
    };
  };

/** Eq. (19) with the rectifier of eq. (7) of GradCAM++. */
function gradCamPlusPlus(evidence: Evidence): Float64Array {
  const totals = sumOverPlaces(evidence, (activation) => activation);
  const { channels, gradients } = evidence;
  const count = gradients.length / channels;
  return Float64Array.from({ length: channels }, (_, c) => {
    let sum = 0;
    for (let i = c * count; i < (c + 1) * count; i++) {
      const g = gradients[i] as number;
      if (g > 0) sum += (g * g * g) / (2 * g * g + (totals[c] as number) * g * g * g + 1e-6);
    }
    return sum;
  });
}

function xGradCam(evidence: Evidence): Float64Array {
  const totals = sumOverPlaces(evidence, (activation) => activation);
  const products = sumOverPlaces(evidence, (activation, gradient) => activation * gradient);
  return products.map((product, c) => product / ((totals[c] as number) + 1e-7));
}

/** sum_c max(0, g) A at every place. */
const layerCam: CamMethod = (image, text) => {
  const evidence = image.evidence(text);
  const { channels, width, height, activations, gradients } = evidence;
  const count = width * height;
  const isShared = gradients.length === channels;
  const data = Float32Array.from({ length: count }, (_, i) => {
    let sum = 0;
    for (let c = 0; c < channels; c++) {
      const at = c * count + i;
      sum += Math.max(0, gradients[isShared ? c : at] as number) * (activations[at] as number);
    }
    return sum;
  });
  return {
    grid: { width, height, data },
    channels: null,
    warnings: gradientWarnings(evidence, image.options),
  };
};

const METHODS = {
  /** Masked images of the `k` channels with the largest mean gradients. */
  gscorecam: scored({ epsilon: 1e-6, keep: topChannels }),
  /** Masked images of all channels. */
  scorecam: scored({ epsilon: 0, keep: (importance) => Array.from(importance.keys()) }),
  gradcam: fromGradients(meanGradients),
  'gradcam++': fromGradients(gradCamPlusPlus),
  xgradcam: fromGradients(xGradCam),
  layercam: layerCam,
  /** Attention and its gradients followed through the blocks; reads no layer and needs a transformer. */
  relevance: (image, text) => ({
    grid: attentionRelevance(image.model, image.planes, text),
    channels: null,
    warnings: [],
  }),
  similarity: (image, text) => ({
    grid: placeSimilarity(image.activations, text),
    channels: null,
    warnings: [],
  }),
} as const satisfies Record<string, CamMethod>;

export type SaliencyMethod = keyof typeof METHODS;

/** Every method by its name. */
export const SALIENCY_METHODS: Readonly<Record<SaliencyMethod, CamMethod>> = METHODS;
