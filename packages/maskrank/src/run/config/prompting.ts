// Configuration of prompts made without annotation: the vision-language network, saliency, the dense CRF, regions, text.
// A key whose default is none follows the section's preset, where one is named. Not here: boxes and points that go into the
// model (inputs.ts).

import { z } from 'zod';
import type { WeightStorage } from '../../models/medvint/stored-weights.ts';
import { CAM_LAYERS, type CamLayer } from '../../prompting/saliency/layers.ts';
import { count, countFrom1, fraction, weight } from './ranges.ts';

const STORAGES = ['float32', 'float16', 'bfloat16', 'int8'] as const satisfies readonly WeightStorage[];

/** A file or a name of the weights store. */
const place = () => z.string().min(1).nullable().default(null);
const positive = () => z.number().positive();
const optional = <T extends z.ZodType>(type: T) => type.nullable().default(null);

export const clip = z
  .strictObject({
    weights: place().describe(
      'a registered name or a file of BiomedCLIP, or of a network of its kind; none means random weights, whose maps mean nothing',
    ),
    vocabulary: place().describe(
      'vocab.txt of the tokeniser, one word piece a line; none means the one beside the weights, or one made of the class names for random weights',
    ),
    architecture: z
      .enum(['biomedclip', 'biomedclip-tiny', 'biomedclip-nano'])
      .default('biomedclip')
      .describe('network of random weights; a file tells its own'),
  })
  .describe('The network that knows images and words');

export const saliency = z
  .strictObject({
    method: z
      .enum([
        'gscorecam',
        'scorecam',
        'gradcam',
        'gradcam++',
        'xgradcam',
        'layercam',
        'relevance',
        'similarity',
      ])
      .default('gscorecam')
      .describe(
        "gscorecam is the paper's; gradcam and its kin cost one pass instead of hundreds; similarity compares places with the text, for networks whose places learned (pretrain clip with masks)",
      ),
    layer: optional(z.enum(CAM_LAYERS as readonly [CamLayer, ...CamLayer[]])).describe(
      'where activations and gradients are read; none means penultimate-block of a transformer, last-stage of a ResNet. medclip-sam is the released choice, whose gradients are always zero',
    ),
    k: countFrom1()
      .default(300)
      .describe('channels that gscorecam keeps, a forward pass each (published: 300); 64 costs a fifth'),
    temperature: positive()
      .default(1)
      .describe('divides the scores before their softmax; above 1 more channels count (published: 1)'),
    baseline: z
      .enum(['none', 'blank'])
      .default('none')
      .describe('scores as they are (published), or above that of an image of the mean colour'),
    softmaxOver: z
      .enum(['all', 'kept'])
      .default('all')
      .describe('whether channels that were not kept count with score 0 (published) or not at all'),
    view: z
      .enum(['stretch', 'centre-crop'])
      .default('stretch')
      .describe(
        "how the network sees the image: all of it, or open_clip's middle square, outside of which a map is 0",
      ),
    phrases: z
      .enum(['first', 'mean'])
      .default('first')
      .describe(
        'text of a class: the first of its phrases in the data set, or the mean of all their features',
      ),
    sensitivity: z
      .boolean()
      .default(true)
      .describe('compare every map with that of a text that names nothing; costs as much as one more class'),
    minSensitivity: z
      .number()
      .min(0)
      .max(2)
      .default(0.05)
      .describe('1 less the correlation with that map, below which there is a warning'),
    batch: optional(countFrom1()).describe(
      'masked images that go through the network together; none means 16 on processors, 128 on GPUs. Memory and time only',
    ),
    precision: z
      .enum(['float32', 'bfloat16', 'float16'])
      .default('float32')
      .describe('of the masked passes; the shorter ones are for GPUs'),
    cache: z
      .boolean()
      .default(true)
      .describe(
        'keep maps in RUN/cache/saliency, a few kB each, so that other settings behind them cost no new ones',
      ),
  })
  .describe('Saliency: which places of an image speak for a class');

export const crf = z
  .strictObject({
    enabled: optional(z.boolean()).describe(
      "draw the foreground's border along edges by a dense CRF; none means as regions.preset has it. false: see regions.foreground.kind",
    ),
    preset: z
      .enum(['medclip-sam', 'medclip-sam-v2', 'pydensecrf'])
      .default('medclip-sam')
      .describe('starting values of this section (the paper states none)'),
    workingSidePx: optional(z.int().min(16).max(8192))
      .default(512)
      .describe(
        'longer side at which the CRF works, pixels; larger images are shrunk for it and its probabilities brought back. none means full size',
      ),
    iterations: optional(z.int().min(0).max(100)).describe(
      'mean-field steps; 0 gives the labels of the map alone',
    ),
    gaussian: z
      .strictObject({
        sigmaPx: optional(positive()).describe(
          'reach of the smoothness term, pixels of the image as the CRF sees it (workingSidePx)',
        ),
        weight: optional(weight()).describe('Potts weight of the smoothness term; 0 is off'),
      })
      .prefault({})
      .describe('Near pixels agree: removes specks'),
    bilateral: z
      .strictObject({
        sigmaPx: optional(positive()).describe(
          'reach of the appearance term, pixels of the image as the CRF sees it (workingSidePx)',
        ),
        sigmaColour: optional(positive()).describe(
          'reach in colour, grey levels of 0..255 in each of three channels; a grey image counts as three equal ones',
        ),
        weight: optional(weight()).describe('Potts weight of the appearance term; 0 is off'),
      })
      .prefault({})
      .describe('Near pixels of like colour agree: draws borders to edges'),
    normalisation: z
      .enum(['symmetric', 'before', 'after', 'none'])
      .default('symmetric')
      .describe('how kernels allow for the number of neighbours (published: symmetric)'),
    filter: z
      .enum(['lattice', 'exact'])
      .default('lattice')
      .describe('permutohedral lattice, or the sum over all pairs, for at most 8192 pixels'),
    unary: z
      .strictObject({
        form: z
          .enum(['medclip-sam', 'log'])
          .default('medclip-sam')
          .describe("energy of a pixel's saliency: MedCLIP-SAM's, or minus the logarithm"),
        tau: positive().default(1.05).describe('for medclip-sam: larger trusts the map less'),
        epsilon: positive().default(1e-8).describe('for medclip-sam: keeps the logarithm finite'),
        clip: z.number().positive().max(0.5).default(1e-5).describe('for log: smallest probability'),
      })
      .prefault({})
      .describe('What the map says of a pixel'),
  })
  .describe('Dense CRF: from a soft map to foreground');

export const regions = z
  .strictObject({
    preset: z
      .enum(['paper', 'medclip-sam', 'medclip-sam-v2'])
      .default('paper')
      .describe("starting values of this section: the paper's steps, or what two published programs do"),
    foreground: z
      .strictObject({
        kind: optional(z.enum(['two-means', 'otsu', 'threshold'])).describe(
          'foreground where the CRF is off; none means as the preset has it, else two-means',
        ),
        threshold: fraction().default(0.3).describe('for threshold: saliency above which a pixel counts'),
        sidePx: optional(countFrom1()).describe(
          "for two-means: side of the square on which the clusters are found; none means the preset's, else 256",
        ),
      })
      .prefault({})
      .describe('Foreground without the CRF'),
    keep: z
      .strictObject({
        maxRegions: optional(z.int().min(1).max(16)).describe(
          "connected components at most, the largest; none means the class's maxComponents, else 1",
        ),
        connectivity: optional(z.int().min(4).max(8).multipleOf(4)).describe(
          '4: pixels that share a side; 8: also a corner',
        ),
        minAreaPx: optional(countFrom1()).describe('smaller components are noise, pixels'),
        minShareOfLargest: optional(fraction()).describe(
          "so are components below this part of the largest one's area: a speck is no second lung",
        ),
        ties: optional(z.enum(['first', 'all'])).describe('of equal areas at the limit, the first or all'),
      })
      .prefault({})
      .describe('Which components stay'),
    boxes: z
      .strictObject({
        around: optional(z.enum(['each', 'all'])).describe('a box around each region, or one around all'),
        marginShare: optional(z.number().min(0).max(1)).describe(
          'every side moves outwards by this part of the box side; 0 is tight',
        ),
      })
      .prefault({})
      .describe('Boxes'),
    points: z
      .strictObject({
        count: optional(z.int().min(0).max(64)).describe(
          'points inside; later stages take as many as prompts.points says, one of each region in turn',
        ),
        per: optional(z.enum(['region', 'prompt'])).describe('so many in every region, or in all together'),
        placing: optional(z.enum(['core', 'uniform', 'saliency'])).describe(
          'away from the border, anywhere, or in proportion to saliency',
        ),
        depthShare: optional(fraction()).describe(
          "for core: at least this part of the region's greatest depth from its border",
        ),
        negatives: optional(count().max(64)).describe('points outside the regions'),
      })
      .prefault({})
      .describe('Points, drawn from the seed, the case and the class'),
    fallback: optional(z.enum(['whole-image', 'peak', 'no-prompt'])).describe(
      'what to give where nothing is found: a box around everything, the highest values, or no prompt; counted and told',
    ),
    peakShare: optional(z.number().gt(0).max(1)).describe("for peak: part of the image's pixels"),
  })
  .describe('Regions: from foreground to boxes and points');

const endpoint = z
  .strictObject({
    baseUrl: place().describe(
      'address of an OpenAI-compatible server up to and without /chat/completions, as http://localhost:11434/v1; images and questions are sent there, and nowhere unless it is set and chosen',
    ),
    model: place().describe('name of the model as the server knows it'),
    keyVariable: place().describe(
      'environment variable that holds the key; none means MASKRANK_API_KEY, for api.openai.com also OPENAI_API_KEY, or no key',
    ),
    allowInsecure: z
      .boolean()
      .default(false)
      .describe(
        'allow http:// beyond this machine and private networks; images and key then travel readable',
      ),
    instruction: place().describe(
      'what the model is told before a question about an image; none means a request for shape and place in three sentences',
    ),
    instructionRole: z
      .enum(['system', 'user'])
      .default('system')
      .describe(
        'who says the instruction: user, in front of the question, for models that refuse a system message',
      ),
    knowledgePrompt: place().describe(
      'what the model is asked about a class, {class} and {modality} replaced; none means location, shape, size, appearance and variability in 90 words',
    ),
    knowledgeInstruction: place().describe('what the model is told before that; none means nothing'),
    image: z
      .strictObject({
        maxSidePx: countFrom1()
          .max(8192)
          .default(512)
          .describe('longer side at most, pixels; larger images are shrunk, smaller ones sent as they are'),
        format: z
          .enum(['png', 'jpeg'])
          .default('png')
          .describe('png loses nothing, jpeg is a fifth of the size'),
        quality: z.int().min(1).max(100).default(90).describe('of jpeg'),
      })
      .prefault({})
      .describe('The image as it is sent'),
    maxTokens: countFrom1()
      .default(200)
      .describe('tokens of an answer at most; models that think need 2000 and more'),
    maxTokensField: z
      .enum(['max_tokens', 'max_completion_tokens'])
      .default('max_tokens')
      .describe('how the server calls that limit'),
    temperature: z
      .number()
      .min(0)
      .max(2)
      .nullable()
      .default(0)
      .describe('0 takes the likeliest words; none sends no temperature, for models that allow no choice'),
    extra: place().describe(
      'further fields of a request as JSON, as {"seed":1} or {"reasoning_effort":"none"}; recorded, so nothing secret',
    ),
    timeoutS: countFrom1().default(120).describe('for one attempt, seconds'),
    retries: z
      .int()
      .min(0)
      .max(100)
      .default(4)
      .describe('further attempts when the server is busy or broken'),
  })
  .prefault({})
  .describe('A language model behind an address');

export const text = z
  .strictObject({
    answers: z
      .enum(['none', 'medvint', 'endpoint', 'recorded'])
      .default('none')
      .describe(
        'who answers the question about an image (vqa): MedVInT-TD on this machine, an endpoint, a file',
      ),
    knowledge: z
      .enum(['none', 'cards', 'endpoint', 'recorded'])
      .default('cards')
      .describe('who describes a class in general: the cards that ship with maskrank, an endpoint, a file'),
    recorded: place().describe('for answers recorded: the file, lines of case, class and text'),
    recordedKnowledge: place().describe(
      "for knowledge recorded: the file, lines of class, modality and text, or another run's knowledge.json",
    ),
    medvint: z
      .strictObject({
        weights: place().describe('folder or file of MedVInT-TD, or a registered name'),
        tokenizer: place().describe(
          "LLaMA's tokenizer.model; none means the one in the weight file or beside it",
        ),
        storage: z
          .enum(STORAGES)
          .default('float16')
          .describe('how the large matrices are kept: float16 13.5 GB, int8 6.8, float32 27'),
        compute: z
          .enum(['float32', 'bfloat16', 'float16'])
          .default('float32')
          .describe('of what is computed; the shorter ones are for GPUs'),
        maxNewTokens: z
          .int()
          .min(1)
          .max(512)
          .default(50)
          .describe('tokens of an answer at most (released: 50)'),
        decoding: z
          .enum(['greedy', 'sampled'])
          .default('greedy')
          .describe('greedy takes the likeliest token (released), sampled draws one: the next four keys'),
        temperature: positive()
          .default(1)
          .describe('for sampled: below 1 the likely tokens gain, above 1 the unlikely ones'),
        topK: optional(countFrom1()).describe(
          'for sampled: only so many of the likeliest tokens; none means all',
        ),
        topP: z
          .number()
          .gt(0)
          .max(1)
          .default(1)
          .describe(
            'for sampled: only the likeliest tokens that have this share of the probability; 1 means all',
          ),
        seed: optional(z.int().min(0).max(0xffff_ffff)).describe(
          "for sampled: each case and class draws from a stream of its own; none means the run's seed",
        ),
      })
      .prefault({})
      .describe('MedVInT-TD, 7 billion parameters'),
    endpoint,
  })
  .describe('Text prompts: answers about an image and knowledge of its classes');
