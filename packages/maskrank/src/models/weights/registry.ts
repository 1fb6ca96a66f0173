// Pretrained weights that are known by name: what they are, where their authors offer them, and how to know the files again.
// Registering downloads nothing (pull.ts does, when asked) and grants nothing: the licence named is the authors' own. What
// nobody published (a hash, a size) is null.
//
// The six digits in SAM's file names are the beginning of the files' MD5, not of their SHA-256 as the torch hub has it, so
// the whole SHA-256 stands here. Not here: files on this machine (store.ts), what fits into which network (families.ts).

import type { FamilyName } from './families.ts';

/** A public file. */
export type RegisteredFile = {
  /** Its name. */
  readonly file: string;
  /** Where it can be fetched, https; null where its authors offer only a page. */
  readonly url: string | null;
  /** Hexadecimal; null where nobody has published it. */
  readonly sha256: string | null;
  /** Size; null where unknown. */
  readonly bytes: number | null;
};

export type RegisteredWeights = RegisteredFile & {
  /** What `--weights`, `--clip.weights` and the verbs take. */
  readonly name: string;
  readonly family: FamilyName;
  /** The network of the family that the file fits as it is. */
  readonly architecture: string;
  /** Files that belong to it: a vocabulary, a tokeniser. Kept beside it under their own names. */
  readonly beside?: readonly RegisteredFile[];
  /** SPDX name, or the authors' words. */
  readonly licence: string;
  /** The authors' page. */
  readonly origin: string;
  /** Images or texts it learned from, and what follows for a test. Case by case: datasets/overlap.ts. */
  readonly trainedOn: string;
  /** What has to be done to the public file before it fits; left out where nothing has. */
  readonly convert?: string;
};

const SAM = {
  family: 'sam',
  licence: 'Apache-2.0',
  origin: 'https://github.com/facebookresearch/segment-anything',
  trainedOn: 'SA-1B: 11 million photographs; no medical collection is known to be among them',
} as const;

const samUrl = (file: string): string => `https://dl.fbaipublicfiles.com/segment_anything/${file}`;

const BIOMEDCLIP_PAGE = 'https://huggingface.co/microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224';
const MEDVINT_PAGE = 'https://huggingface.co/xmcmic/MedVInT-TD';
const MEDVINT_FILE = 'VQA_lora_PMC_LLaMA_PMCCLIP/blank/checkpoint-1382/pytorch_model.bin';

/** Of LLaMA 1 and 2 alike; Meta offers it on request only, many models carry it. */
const LLAMA_TOKENIZER: RegisteredFile = {
  file: 'tokenizer.model',
  url: null,
  sha256: '9e556afd44213b6bd1be2b850ebbbd98f5481437a8021afaf58ee7fb1818d347',
  bytes: 499_723,
};

export const REGISTERED_WEIGHTS: readonly RegisteredWeights[] = [
  {
    ...SAM,
    name: 'sam_vit_b',
    architecture: 'sam_vit_b',
    file: 'sam_vit_b_01ec64.pth',
    url: samUrl('sam_vit_b_01ec64.pth'),
    sha256: 'ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912',
    bytes: 375_042_383,
  },
  {
    ...SAM,
    name: 'sam_vit_l',
    architecture: 'sam_vit_l',
    file: 'sam_vit_l_0b3195.pth',
    url: samUrl('sam_vit_l_0b3195.pth'),
    sha256: '3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622',
    bytes: 1_249_524_607,
  },
  {
    ...SAM,
    name: 'sam_vit_h',
    architecture: 'sam_vit_h',
    file: 'sam_vit_h_4b8939.pth',
    url: samUrl('sam_vit_h_4b8939.pth'),
    sha256: 'a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e',
    bytes: 2_564_550_879,
  },
  {
    name: 'sam-med2d_b',
    family: 'sam',
    architecture: 'sam-med2d_b',
    file: 'sam-med2d_b.pth',
    url: null,
    sha256: null,
    bytes: null,
    licence: 'Apache-2.0',
    origin: 'https://github.com/OpenGVLab/SAM-Med2D',
    trainedOn:
      '4.6 million images of public medical collections, AMOS and TotalSegmentator among them: on public data it may have seen the test cases',
  },
  {
    name: 'biomedclip',
    family: 'clip',
    architecture: 'biomedclip',
    file: 'open_clip_pytorch_model.bin',
    url: `${BIOMEDCLIP_PAGE}/resolve/main/open_clip_pytorch_model.bin`,
    // The authors replaced the file once under the same name; neither hash nor exact size is published.
    sha256: null,
    bytes: null,
    beside: [
      { file: 'vocab.txt', url: `${BIOMEDCLIP_PAGE}/resolve/main/vocab.txt`, sha256: null, bytes: null },
    ],
    licence: 'MIT',
    origin: BIOMEDCLIP_PAGE,
    trainedOn:
      'PMC-15M: 15 million figures with captions from articles of PubMed Central; pictures of public collections are among such figures',
  },
  {
    name: 'medvint-td',
    family: 'medvint',
    architecture: 'medvint-td',
    file: 'pytorch_model.bin',
    url: `${MEDVINT_PAGE}/resolve/main/${MEDVINT_FILE}`,
    sha256: null,
    bytes: null,
    beside: [LLAMA_TOKENIZER],
    licence: "not stated; contains LLaMA-7B, under Meta's LLaMA licence (research only)",
    origin: MEDVINT_PAGE,
    trainedOn:
      'PMC-VQA: 227 thousand questions about 149 thousand figures of PubMed Central, on PMC-CLIP and PMC-LLaMA',
    convert: `the file for open questions is ${MEDVINT_FILE}; the one for choices lies beside it. Low-rank updates are merged while loading`,
  },
  {
    name: 'pmc-clip',
    family: 'pmc-clip',
    architecture: 'pmc-clip-rn50',
    file: 'checkpoint.pt',
    url: null,
    sha256: null,
    bytes: null,
    licence: 'not stated',
    origin: 'https://github.com/WeixiongLin/PMC-CLIP',
    trainedOn: 'PMC-OA: 1.6 million figures with captions from PubMed Central',
    convert:
      'its vision tower is what MedVInT-TD contains already; needed only to check or to train such a network',
  },
  {
    ...LLAMA_TOKENIZER,
    name: 'llama-tokenizer',
    family: 'sentencepiece',
    architecture: 'llama',
    licence: "Meta's LLaMA licence",
    origin: 'https://github.com/meta-llama/llama',
    trainedOn: "text of LLaMA's training; no images",
  },
];

/** How a person gets a file of it onto this machine without `weights pull`; default: its first. */
export function manualSteps(
  { name, file, url, origin }: RegisteredWeights,
  wanted: Pick<RegisteredFile, 'file' | 'url'> = { file, url },
): string {
  const source =
    wanted.url === null ? `get ${wanted.file} through the links on ${origin}` : `download ${wanted.url}`;
  return `With a browser, or on a machine that has internet: ${source}, bring it here, and: maskrank weights add ${name} ${wanted.file}`;
}

/** `375 MB`, `2.56 GB`; a thousand bytes are a kB. */
export function sizeText(bytes: number): string {
  const units: readonly (readonly [number, string])[] = [
    [1e9, 'GB'],
    [1e6, 'MB'],
    [1e3, 'kB'],
  ];
  const [scale, unit] = units.find(([size]) => bytes >= size) ?? [1, 'bytes'];
  return `${scale === 1 ? bytes : Number((bytes / scale).toPrecision(3))} ${unit}`;
}
