// Names of classes and modalities as people write them, brought to one form: `Left_Kidney`, `left-kidney`, `kidney (left)` and
// `LeftKidney` are the same. Not here: which names a card or a question goes by.

import type { KnowledgeSubject } from './types.ts';

export type Modality = 'ultrasound' | 'x-ray' | 'ct' | 'mr';

const MODALITY_NAMES: Readonly<Record<Modality, readonly string[]>> = {
  ultrasound: ['ultrasound', 'us', 'bus', 'sonography', 'ultrasonography', 'sonogram', 'echography'],
  'x-ray': ['x ray', 'xray', 'cxr', 'dx', 'cr', 'radiograph', 'radiography'],
  ct: ['ct', 'computed tomography', 'cat scan'],
  mr: ['mr', 'mri', 'magnetic resonance', 'magnetic resonance imaging'],
};

/** Spellings that stand for one word. */
const SPELLINGS: Readonly<Record<string, string>> = {
  oesophagus: 'esophagus',
  tumour: 'tumor',
  tumours: 'tumors',
  l: 'left',
  lt: 'left',
  r: 'right',
  rt: 'right',
};

/** Lower case, single spaces, American spelling; camel case and all separators are spaces; a side stands first. */
export function plainName(name: string): string {
  const words = name
    .normalize('NFKD')
    .replace(/\p{Mn}/gu, '')
    .replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .map((word) => SPELLINGS[word] ?? word);
  const sides: readonly string[] = words.filter((word) => word === 'left' || word === 'right');
  return sides.length === 1
    ? [...sides, ...words.filter((word) => !sides.includes(word))].join(' ')
    : words.join(' ');
}

/** The modality of a dataset's own word for it (`chest x-ray`, `CT`, `B-mode ultrasound`); null where it is none of ours. */
export function modalityOf(text: string): Modality | null {
  const plain = ` ${plainName(text)} `;
  const found = Object.entries(MODALITY_NAMES).find(([, names]) =>
    names.some((name) => plain.includes(` ${name} `)),
  );
  return found === undefined ? null : (found[0] as Modality);
}

/**
 * Names that a class may be known by, most certain first: its own; its own behind each word of its phrases (class `lesion`
 * with the phrase `benign breast tumor` is a `breast lesion`); its phrases.
 */
export function namesOf({ className, prompts = [] }: Omit<KnowledgeSubject, 'modality'>): string[] {
  const name = plainName(className);
  const phrases = prompts.map(plainName);
  const behind = phrases.flatMap((phrase) => phrase.split(' ')).map((word) => `${word} ${name}`);
  return [...new Set([name, ...behind, ...phrases])];
}
