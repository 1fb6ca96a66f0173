// The vision-language network of a run and its tokeniser: from files, or with random weights, which is said loudly.
// Not here: how files are read (models/clip/checkpoint.ts), the texts.

import { Generator } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { Dataset, DatasetClass } from '../../datasets/schema.ts';
import {
  type Clip,
  clipConfig,
  clipFingerprint,
  createClip,
  loadClip,
  loadClipTokenizer,
  WordPiece,
} from '../../models/clip/index.ts';
import { overlapWarnings, resolveWeights } from '../../models/weights/index.ts';
import { NEUTRAL_TEXT } from '../../prompting/saliency/index.ts';
import { saliencyText } from '../../prompting/text/questions.ts';
import type { Config } from '../../run/config.ts';
import { Random } from '../../util/random.ts';

export type Network = {
  readonly model: Clip;
  readonly tokenizer: WordPiece;
  readonly fingerprint: string;
  /** Nobody trained it. */
  readonly isRandom: boolean;
};

export type NetworkRequest = {
  readonly config: Config;
  readonly dataset: Dataset;
  readonly device: string;
  readonly warn: (text: string) => void;
};

/** The phrases that name a class to the network, the most specific first: the dataset's own, else one made of its name. */
export const phrasesOf = (cls: DatasetClass, modality: string): readonly [string, ...string[]] => [
  saliencyText(cls, modality),
  ...(cls.prompts ?? []).slice(1),
];

/** In evaluation mode, on the device, without gradients of parameters. The caller disposes of the model. */
export async function openNetwork(request: NetworkRequest): Promise<Network> {
  const { config, device } = request;
  const { weights } = config.clip;
  const { model, tokenizer } =
    weights === null ? await randomNetwork(request) : await storedNetwork(request, weights);
  model.eval().requiresGrad_(false);
  const fingerprint = clipFingerprint(model);
  model.to(device as 'cuda');
  return { model, tokenizer, fingerprint, isRandom: weights === null };
}

async function storedNetwork({ config, dataset, warn }: NetworkRequest, weights: string) {
  for (const text of overlapWarnings(dataset, weights)) warn(text);
  const path = await resolveWeights(weights);
  const { vocabulary } = config.clip;
  const tokenizer =
    vocabulary === null ? await loadClipTokenizer(path) : await WordPiece.fromFile(vocabulary);
  const model = await loadClip(path);
  if (model.config.text.kind !== 'bert') {
    const { name } = model.config;
    model.dispose();
    throw new UsageError(
      `clip.weights = ${weights}: the texts of '${name}' are written in OpenAI's byte pairs, for which there is no tokeniser here; take BiomedCLIP or a network of its kind.`,
    );
  }
  return { model, tokenizer };
}

async function randomNetwork({ config, dataset, warn }: NetworkRequest) {
  warn(
    'clip.weights = none: the vision-language network has RANDOM WEIGHTS. It knows neither images nor words; its maps, boxes and points mean NOTHING and serve only to see that everything works. Name trained weights with --clip.weights.',
  );
  const { architecture, vocabulary } = config.clip;
  const texts = [
    ...dataset.classes.flatMap((cls) => [cls.name, ...phrasesOf(cls, dataset.modality)]),
    NEUTRAL_TEXT,
  ];
  const tokenizer = vocabulary === null ? WordPiece.ofTexts(texts) : await WordPiece.fromFile(vocabulary);
  const seed = new Random(`${config.seed}/clip`).int(0, 0x7fffffff);
  return { model: createClip(clipConfig(architecture), Generator.seeded(seed)), tokenizer };
}
