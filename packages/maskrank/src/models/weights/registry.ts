// Pretrained weights that are known by name: what they are, where their authors offer them, and how to know the file again.
// Registering downloads nothing (pull.ts does, when asked) and grants nothing: the licence named is the authors' own.
//
// The six digits in SAM's file names are the beginning of the files' MD5, not of their SHA-256 as the torch hub has it, so
// the whole SHA-256 stands here. Not here: files on this machine (store.ts).

import type { SamConfigName } from '../sam/config.ts';

export type RegisteredWeights = {
  /** What `--weights` and the verbs take. */
  readonly name: string;
  /** The network that the file fits as it is. */
  readonly architecture: SamConfigName;
  /** Name of the public file. */
  readonly file: string;
  /** Where the file itself can be fetched, https; null where its authors offer only a page. */
  readonly url: string | null;
  /** Of the public file, hexadecimal; null where nobody has published it. */
  readonly sha256: string | null;
  /** Size of the public file; null where unknown. */
  readonly bytes: number | null;
  /** SPDX name. */
  readonly licence: string;
  /** The authors' page. */
  readonly origin: string;
  /** Images it learned from, and what follows for a test. Case by case: datasets/overlap.ts. */
  readonly trainedOn: string;
};

const SAM = {
  licence: 'Apache-2.0',
  origin: 'https://github.com/facebookresearch/segment-anything',
  trainedOn: 'SA-1B: 11 million photographs; no medical collection is known to be among them',
} as const;

const samUrl = (file: string): string => `https://dl.fbaipublicfiles.com/segment_anything/${file}`;

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
];

/** How a person gets the file onto this machine without `weights pull`. */
export function manualSteps({ name, file, url, origin }: RegisteredWeights): string {
  const source = url === null ? `get ${file} through the links on ${origin}` : `download ${url}`;
  return `With a browser, or on a machine that has internet: ${source}, bring it here, and: maskrank weights add ${name} ${file}`;
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
