import { describe, expect, it } from 'vitest';
import { modalityOf, namesOf, plainName } from '../../../src/prompting/text/class-words.ts';
import { questionFor, saliencyText } from '../../../src/prompting/text/questions.ts';

describe('names', () => {
  it.each([
    ['left kidney', 'Left_Kidney', 'kidney (left)', 'LeftKidney', 'Kidney L', ' lt. kidney'],
    ['x ray', 'X-ray', 'x_ray'],
    ['esophagus', 'Oesophagus', 'œsophagus'.replace('œ', 'oe')],
    ['breast tumor', 'Breast Tumour'],
  ])('%s', (plain, ...written) => {
    for (const name of written) expect(plainName(name)).toBe(plain);
  });

  it('of modalities are found in any phrase', () => {
    const known: [string, string | null][] = [
      ['ultrasound', 'ultrasound'],
      ['B-mode US', 'ultrasound'],
      ['Chest X-Ray', 'x-ray'],
      ['CXR', 'x-ray'],
      ['CT', 'ct'],
      ['contrast-enhanced computed tomography', 'ct'],
      ['T2 MRI', 'mr'],
      ['unknown', null],
      ['octopus', null],
    ];
    for (const [text, modality] of known) expect(modalityOf(text)).toBe(modality);
  });

  it('of a class come from its phrases, too', () => {
    expect(namesOf({ className: 'Lesion', prompts: ['benign breast tumor'] })).toEqual([
      'lesion',
      'benign lesion',
      'breast lesion',
      'tumor lesion',
      'benign breast tumor',
    ]);
  });
});

describe('questions', () => {
  it.each([
    ['liver', 'CT', 'What is the shape and location of the liver in this CT image?'],
    ['Left_Kidney', 'ct', 'What is the shape and location of the left kidney in this CT image?'],
    ['polyp', 'unknown', 'What is the shape and location of the polyp in this image?'],
    [
      'lung',
      'x-ray',
      'What is the condition of the lungs in this chest x-ray, and where are the pathologies located?',
    ],
    [
      'benign breast tumor',
      'ultrasound',
      'What is the shape and location of the benign breast tumor in this ultrasound image?',
    ],
    ['lesion', 'ultrasound', 'What is the shape and location of the lesion in this ultrasound image?'],
  ])('for %s on %s', (name, modality, question) => {
    expect(questionFor({ name }, modality)).toBe(question);
  });

  it('know the organ of a lesion from its phrases, and give way to ones own', () => {
    const lesion = { name: 'lesion', prompts: ['benign breast tumor', 'malignant breast tumor'] };
    expect(questionFor(lesion, 'ultrasound')).toContain('the breast tumor in this ultrasound');
    expect(questionFor({ ...lesion, question: 'Where?' }, 'ultrasound')).toBe('Where?');
    const infection = { name: 'infection', prompts: ['covid-19 infection in a chest x-ray'] };
    expect(questionFor(infection, 'x-ray')).toContain('infection in the lungs');
  });
});

describe('the phrase for saliency', () => {
  it("is the dataset's, else the paper's, else the name", () => {
    expect(saliencyText({ name: 'lung', prompts: ['two lungs', 'x'] }, 'x-ray')).toBe('two lungs');
    expect(saliencyText({ name: 'Lungs' }, 'CXR')).toBe('chest x-ray');
    expect(saliencyText({ name: 'benign_breast_tumor' }, 'ultrasound')).toBe('benign breast tumor');
    expect(saliencyText({ name: 'left kidney' }, 'ct')).toBe('left kidney');
    expect(saliencyText({ name: 'Liver', prompts: [] }, 'ct')).toBe('liver');
  });
});
