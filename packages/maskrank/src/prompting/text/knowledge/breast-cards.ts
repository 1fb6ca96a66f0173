// Cards for breast ultrasound: lesions of any kind, benign, malignant, and the breast without one (BUSI, UDIAT).

import type { Card } from './card.ts';

export const BREAST_CARDS: readonly Card[] = [
  {
    names: ['breast lesion', 'breast tumor', 'breast mass', 'breast nodule'],
    location:
      'A breast lesion lies in the glandular or fatty tissue between the skin and the chest muscle, most often in the upper outer quadrant.',
    shape:
      'It may be oval and smooth, as benign ones mostly are, or irregular with angular or spiculated margins.',
    size: 'It measures from a few millimeters to several centimeters.',
    appearance: {
      ultrasound:
        'On ultrasound it is usually darker than its surroundings; cysts are black and brighten the tissue behind them, solid tumors are gray and may cast a shadow.',
    },
    variability:
      'Some lesions are as bright as fat or have blurred borders, so their outline is hard to see.',
  },
  {
    names: [
      'benign breast tumor',
      'benign breast lesion',
      'benign breast mass',
      'fibroadenoma',
      'breast benign',
    ],
    location:
      'A benign breast tumor lies within the glandular tissue or fat between skin and chest muscle and pushes tissue aside without invading it.',
    shape: 'It is round, oval or gently lobulated, wider than tall, with a smooth and sharp margin.',
    size: 'Most are one to three centimeters across.',
    appearance: {
      ultrasound:
        'On ultrasound it is evenly dark gray, often with a thin bright capsule and brighter tissue behind; a cyst is black inside.',
    },
    variability:
      'Fibroadenomas and cysts are the most common; some are lobulated, calcified or uneven inside.',
  },
  {
    names: [
      'malignant breast tumor',
      'malignant breast lesion',
      'malignant breast mass',
      'breast cancer',
      'breast carcinoma',
      'breast malignant',
    ],
    location:
      'A malignant breast tumor grows from the glandular tissue, most often in the upper outer quadrant, and crosses tissue planes toward skin or chest muscle.',
    shape: 'It is irregular, often taller than wide, with spiculated, angular or blurred margins.',
    size: 'It measures from a few millimeters to more than five centimeters.',
    appearance: {
      ultrasound:
        'On ultrasound it is clearly dark and uneven, often with a shadow behind, a bright halo or tiny bright calcifications.',
    },
    variability: 'Some fast-growing or mucinous cancers look round and smooth like benign tumors.',
  },
  {
    names: ['normal breast', 'normal breast tissue', 'breast', 'breast normal', 'breast tissue'],
    location:
      'The normal breast lies on the chest wall: below the skin come fat, glandular tissue, again fat, then the chest muscle and the ribs.',
    shape: 'These layers run roughly parallel to the skin, held by thin ligaments.',
    size: 'The glandular layer is about one to three centimeters thick.',
    appearance: {
      ultrasound:
        'On ultrasound skin and ligaments are bright, fat is dark gray, glandular tissue is brighter, muscle is striped; there is no focal mass.',
    },
    variability: 'Age and hormones change the share of fat and gland, and fat lobules can imitate a mass.',
  },
];
