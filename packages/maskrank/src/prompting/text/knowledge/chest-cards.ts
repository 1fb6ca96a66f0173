// Cards for chest x-rays: the lungs, normal lungs, and the two kinds of infection that COVID-QU-Ex tells apart.

import type { Card } from './card.ts';

export const CHEST_CARDS: readonly Card[] = [
  {
    names: ['lungs', 'lung', 'lung field', 'lung fields', 'both lungs'],
    location:
      'The lungs lie on both sides of the heart and mediastinum, from the apices above the clavicles down to the domes of the diaphragm.',
    shape:
      'Each is tall with a narrow rounded apex and a broad concave base; the heart indents the left one.',
    size: 'They fill most of the chest; the right is wider and shorter than the left.',
    appearance: {
      'x-ray':
        'On a chest x-ray air makes them dark, crossed by the ribs and by thin bright vessels that branch from the hila.',
    },
    variability:
      'Depth of breath, body build and rotation change their outline, and opacities or effusions can hide it.',
  },
  {
    names: [
      'normal lungs',
      'normal lung',
      'healthy lungs',
      'healthy lung',
      'normal chest x ray',
      'lung normal',
      'chest normal',
    ],
    location:
      'Normal lungs lie on both sides of the mediastinum between the apices above the clavicles and the diaphragm.',
    shape: 'Both fields are tall and smoothly bordered, with sharp costophrenic angles at their bases.',
    size: 'In a full breath they reach down to about the tenth rib behind.',
    appearance: {
      'x-ray':
        'On a chest x-ray they are evenly dark, with fine vessels that taper outward and no patches, masses or fluid.',
    },
    variability: 'A shallow breath, breast shadows or an oblique stance can make healthy bases look hazy.',
  },
  {
    names: [
      'covid 19 infection',
      'covid 19',
      'covid',
      'covid infection',
      'covid 19 pneumonia',
      'covid pneumonia',
      'covid 19 lung infection',
      'covid lung infection',
    ],
    location: 'COVID-19 pneumonia usually affects both lungs, above all their outer and lower zones.',
    shape: 'It forms patchy areas with blurred borders, often several, which may run together.',
    size: 'They range from one faint patch to most of both lungs, largest in the second week.',
    appearance: {
      'x-ray':
        'On a chest x-ray they are hazy ground-glass opacities or denser white consolidation in the dark lung; effusions are uncommon.',
    },
    variability:
      'Early or mild disease may show nothing, while severe disease is diffuse and whitens both lungs.',
  },
  {
    names: [
      'non covid infection',
      'non covid 19 infection',
      'non covid',
      'non covid 19',
      'non covid pneumonia',
      'pneumonia',
      'bacterial pneumonia',
      'viral pneumonia',
    ],
    location:
      'Pneumonia of other causes often sits in one lobe or segment, frequently a lower one; viral forms tend to spread on both sides from the hila.',
    shape: 'Bacterial pneumonia fills an area up to a fissure; viral pneumonia is patchy or net-like.',
    size: 'It ranges from part of a segment to a whole lobe or more.',
    appearance: {
      'x-ray':
        'On a chest x-ray it is a white opacity in the dark lung, often with dark air-filled bronchi inside, and fluid may blunt the costophrenic angle.',
    },
    variability: 'Germ, age and stage decide whether it is single and dense or scattered and faint.',
  },
];
