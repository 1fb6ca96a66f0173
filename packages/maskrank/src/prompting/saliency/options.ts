// What can be chosen about a saliency map, with the published values as defaults where they are sound.

import type { ClipView } from '../../models/clip/index.ts';
import type { SaliencyCache } from './cache.ts';
import type { CamLayer } from './layers.ts';
import type { SaliencyMethod } from './methods.ts';

/** What a map is made with, apart from the text. */
export type CamOptions = {
  /** Default `gscorecam`. */
  readonly method?: SaliencyMethod;
  /** Where activations and gradients are read. Default: `penultimate-block` of a transformer, `last-stage` of a ResNet. */
  readonly layer?: CamLayer;
  /**
   * Channels that gScoreCAM keeps, those with the largest gradients; at most all. Default 300 as published. Time grows with it:
   * one forward pass a channel.
   */
  readonly k?: number;
  /**
   * Divides the scores before their softmax; above 1 more channels count. Default 1 as published, which with a released
   * network's scale (about 85) leaves a handful.
   */
  readonly temperature?: number;
  /** `blank`: scores count from that of an image of the mean colour. Default `none` as published. */
  readonly baseline?: 'none' | 'blank';
  /** `all`: channels that were not kept take part in the softmax with score 0, as published (default). `kept`: they do not. */
  readonly softmaxOver?: 'all' | 'kept';
  /** Masked images that go through the network together. Default 16 on the CPU, 128 elsewhere. Changes memory and time only. */
  readonly batch?: number;
  /** Element type of the masked forward passes; the shorter ones are for GPUs. Default `float32`. */
  readonly precision?: 'float32' | 'bfloat16' | 'float16';
};

/** How a map is made. */
export type SaliencyOptions = CamOptions & {
  /** How the image is laid before the network. Default `stretch`: no place is left out. */
  readonly view?: ClipView;
  /**
   * Embedding of a text that names nothing (`NEUTRAL_TEXT`), of unit length. If given, each map is compared with the map of
   * this text.
   */
  readonly neutral?: Float32Array;
  /** Where maps are kept between runs, and `clipFingerprint` of the network. */
  readonly cache?: { readonly store: SaliencyCache; readonly model: string };
  /** Sensitivity to the text (1 - correlation with the neutral map) below which there is a warning. Default 0.05. */
  readonly minSensitivity?: number;
};
