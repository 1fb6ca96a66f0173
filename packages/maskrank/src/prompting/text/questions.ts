// What is asked about an image, and what CLIP is shown beside it. The paper asks for shape and location of the organ or tumour,
// and for the condition of the lungs and the location of pathologies; its phrases for CLIP are "chest x-ray", "benign breast
// tumor", "left kidney", "liver". A dataset's own `question` and `prompts` come first.

import type { DatasetClass } from '../../datasets/schema.ts';
import { type Modality, modalityOf, namesOf, plainName } from './class-words.ts';

/** What is asked for a class: its fields in dataset.json. */
export type AskedClass = Pick<DatasetClass, 'name' | 'prompts' | 'question'>;

type Template = {
  /** Names of the classes, in the form of `plainName`. */
  readonly names: readonly string[];
  readonly question: string;
  /** What CLIP is shown. */
  readonly phrase: string;
};

const TEMPLATES: Readonly<Partial<Record<Modality, readonly Template[]>>> = {
  'x-ray': [
    {
      names: [
        'lung',
        'lungs',
        'left lung',
        'right lung',
        'lung field',
        'lung fields',
        'normal lung',
        'normal lungs',
      ],
      question:
        'What is the condition of the lungs in this chest x-ray, and where are the pathologies located?',
      phrase: 'chest x-ray',
    },
    {
      names: [
        'infection',
        'lung infection',
        'covid infection',
        'covid 19',
        'covid 19 infection',
        'non covid infection',
      ],
      question: 'What is the shape and location of the infection in the lungs of this chest x-ray?',
      phrase: 'lung infection in a chest x-ray',
    },
  ],
  ultrasound: [
    {
      names: ['breast lesion', 'breast tumor', 'breast mass', 'breast cancer', 'breast nodule'],
      question: 'What is the shape and location of the breast tumor in this ultrasound image?',
      phrase: 'breast tumor',
    },
    {
      names: ['benign breast tumor', 'benign breast lesion', 'benign breast mass'],
      question: 'What is the shape and location of the benign breast tumor in this ultrasound image?',
      phrase: 'benign breast tumor',
    },
    {
      names: ['malignant breast tumor', 'malignant breast lesion', 'malignant breast mass'],
      question: 'What is the shape and location of the malignant breast tumor in this ultrasound image?',
      phrase: 'malignant breast tumor',
    },
  ],
};

const IMAGE_WORDS: Readonly<Record<Modality, string>> = {
  ultrasound: 'ultrasound image',
  'x-ray': 'x-ray image',
  ct: 'CT image',
  mr: 'MR image',
};

function templateOf(cls: AskedClass, modality: string): Template | undefined {
  const known = modalityOf(modality);
  const templates = (known && TEMPLATES[known]) ?? [];
  const names = namesOf({ className: cls.name, prompts: cls.prompts });
  for (const name of names) {
    const found = templates.find((template) => template.names.includes(name));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The question about a class: its own, the template of its kind, or its shape and location. */
export function questionFor(cls: AskedClass, modality: string): string {
  if (cls.question !== undefined) return cls.question;
  const template = templateOf(cls, modality);
  if (template !== undefined) return template.question;
  const known = modalityOf(modality);
  const image = known === null ? 'image' : IMAGE_WORDS[known];
  return `What is the shape and location of the ${plainName(cls.name)} in this ${image}?`;
}

/** The phrase that saliency is made for: the class's own first, else that of its kind, else its name. */
export function saliencyText(cls: AskedClass, modality: string): string {
  return cls.prompts?.[0] ?? templateOf(cls, modality)?.phrase ?? plainName(cls.name);
}
