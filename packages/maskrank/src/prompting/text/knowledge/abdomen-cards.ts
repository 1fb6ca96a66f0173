// Cards for abdominal CT: the fifteen organs of AMOS22, in its order. Sides are the patient's.

import type { Card } from './card.ts';

export const ABDOMEN_CARDS: readonly Card[] = [
  {
    names: ['spleen'],
    location:
      'The spleen lies in the left upper abdomen under the diaphragm, behind the stomach, above the left kidney and inside the ninth to eleventh ribs.',
    shape: 'It is crescent-shaped or wedge-shaped with a smooth convex outer side and a concave hilum.',
    size: 'It is about 10 to 12 cm long, 7 cm wide and 4 cm thick.',
    appearance: {
      ct: 'On CT it is even soft tissue, slightly darker than a healthy liver without contrast, mottled in the arterial phase and evenly bright later.',
    },
    variability: 'Clefts and small accessory spleens are common, and blood or liver disease enlarges it.',
  },
  {
    names: ['right kidney', 'right renal'],
    location:
      'The right kidney lies behind the peritoneum beside the spine, from the twelfth thoracic to the third lumbar vertebra, below the liver and a little lower than the left one.',
    shape: 'It is bean-shaped, its hilum turned toward the spine and the front.',
    size: 'It is about 10 to 12 cm long, 5 to 6 cm wide and 3 to 4 cm thick.',
    appearance: {
      ct: 'On CT it is soft tissue in dark fat with fat in its sinus; with contrast the cortex lights up first, then the whole kidney.',
    },
    variability: 'Cysts, stones, a dilated pelvis or an unusual position change its outline.',
  },
  {
    names: ['left kidney', 'left renal'],
    location:
      'The left kidney lies behind the peritoneum beside the spine, from the eleventh or twelfth thoracic to the third lumbar vertebra, below the spleen and behind the stomach and the tail of the pancreas.',
    shape: 'It is bean-shaped, its hilum turned toward the spine and the front.',
    size: 'It is about 10 to 12 cm long, usually slightly longer and higher than the right one.',
    appearance: {
      ct: 'On CT it is soft tissue in dark fat with fat in its sinus; with contrast the cortex lights up first, then the whole kidney.',
    },
    variability: 'Cysts, stones, a dilated pelvis or a bulge beside the spleen change its outline.',
  },
  {
    names: ['gallbladder', 'gall bladder'],
    location:
      'The gallbladder lies in a groove under the right half of the liver, its rounded end near the front edge of the liver and its neck toward the hilum.',
    shape: 'It is a pear-shaped sac, round or oval on axial slices.',
    size: 'It is about 7 to 10 cm long and 3 to 4 cm wide, with a wall thinner than 3 mm.',
    appearance: {
      ct: 'On CT the bile is almost as dark as water inside a thin wall that contrast brightens; stones may be bright, dark or invisible.',
    },
    variability:
      'It shrinks after a meal, swells with obstruction, may be folded, and is missing after surgery.',
  },
  {
    names: ['esophagus'],
    location:
      'The esophagus runs down the back of the chest between the trachea and heart in front and the spine behind, passes the diaphragm in front of the aorta and joins the stomach left of the midline.',
    shape: 'It is a collapsed muscular tube, a small round or oval spot on axial slices.',
    size: 'It is about 25 cm long and 1 to 2 cm wide.',
    appearance: {
      ct: 'On CT it is gray soft tissue, sometimes with a dark spot of air or bright oral contrast inside.',
    },
    variability:
      'Its width changes with swallowing; a hiatal hernia or thickened wall enlarges its lower end.',
  },
  {
    names: ['liver', 'hepatic'],
    location:
      'The liver fills the right upper abdomen under the diaphragm and reaches across the midline in front of the stomach; the gallbladder and right kidney lie below it.',
    shape: 'It is a large wedge, thick on the right and tapering to the left, with a smooth edge.',
    size: 'It is the largest organ of the abdomen, about 13 to 17 cm high and up to 20 cm wide.',
    appearance: {
      ct: 'On CT it is even soft tissue, slightly brighter than the spleen without contrast; its veins are bright in the portal phase.',
    },
    variability: 'Fat makes it darker, cirrhosis makes it nodular, and the left lobe varies much in size.',
  },
  {
    names: ['stomach', 'gastric'],
    location:
      'The stomach lies in the left upper abdomen between esophagus and duodenum, below the left diaphragm, in front of the pancreas and medial to the spleen.',
    shape: 'It is a J-shaped bag with a wide upper fundus and a narrow outlet that crosses to the right.',
    size: 'It is about 25 cm long; its width depends on how full it is, and the wall is mostly less than 1 cm thick.',
    appearance: {
      ct: 'On CT a gray wall with folds surrounds black air in front and fluid, food or bright contrast behind.',
    },
    variability:
      'Filling and position change it more than any other organ; empty it is a thick collapsed band.',
  },
  {
    names: ['aorta', 'arota', 'abdominal aorta', 'descending aorta'],
    location:
      'The aorta descends in front of the spine, slightly left of the midline, passes the diaphragm and divides at the fourth lumbar vertebra; the inferior vena cava lies to its right.',
    shape: 'It is a long tube, a circle on axial slices.',
    size: 'It is about 2 to 3 cm wide and narrows downward.',
    appearance: {
      ct: 'On CT it is gray without contrast and very bright in the arterial phase; calcified plaques in the wall are white.',
    },
    variability:
      'With age it becomes wider and winding; an aneurysm exceeds 3 cm in the abdomen and may hold dark clot.',
  },
  {
    names: ['inferior vena cava', 'postcava', 'ivc', 'vena cava', 'post cava', 'postcaval vein'],
    location:
      'The inferior vena cava, or postcava, ascends in front of the right side of the spine, to the right of the aorta, from the fifth lumbar vertebra through a groove behind the liver to the right atrium.',
    shape: 'It is a long vein, oval or flattened on axial slices.',
    size: 'It is about 2 to 3 cm wide.',
    appearance: {
      ct: 'On CT it is gray without contrast, unevenly mixed near the renal veins early and evenly bright later.',
    },
    variability:
      'Breathing and blood volume change its width; it can be slit-like, and rarely double or on the left.',
  },
  {
    names: ['pancreas', 'pancreatic'],
    location:
      'The pancreas lies deep behind the stomach at the first and second lumbar vertebrae; its head rests in the curve of the duodenum and its tail reaches the hilum of the spleen.',
    shape: 'It is a long, lobulated, slightly bent band that rises to the left.',
    size: 'It is about 12 to 15 cm long; the head is up to 3 cm thick, the tail about 2 cm.',
    appearance: {
      ct: 'On CT it is gray with fat between its lobules, runs along the splenic vein and is brightest late in the arterial phase.',
    },
    variability: 'With age it shrinks and becomes fatty; bowel loops beside it can look alike.',
  },
  {
    names: ['right adrenal gland', 'right adrenal', 'right suprarenal gland', 'rag'],
    location:
      'The right adrenal gland lies above the right kidney, directly behind the inferior vena cava, between the right lobe of the liver and the crus of the diaphragm.',
    shape: 'It is a thin line or an inverted V or Y on axial slices.',
    size: 'It is about 2 to 4 cm long, and its limbs are less than 1 cm thick.',
    appearance: {
      ct: 'On CT it is a slender strip of gray soft tissue in dark fat that contrast brightens.',
    },
    variability:
      'It is among the smallest organs here and easily missed; nodules and hyperplasia thicken it.',
  },
  {
    names: ['left adrenal gland', 'left adrenal', 'left suprarenal gland', 'lag'],
    location:
      'The left adrenal gland lies in front of and medial to the top of the left kidney, beside the aorta and the crus of the diaphragm, behind the pancreas and the splenic vein.',
    shape: 'It is an inverted Y, V or small triangle on axial slices.',
    size: 'It is about 2 to 4 cm long, and its limbs are less than 1 cm thick.',
    appearance: {
      ct: 'On CT it is a slender strip of gray soft tissue in dark fat that contrast brightens.',
    },
    variability: 'Its limbs vary in length and angle; nodules thicken it, and nearby vessels can imitate it.',
  },
  {
    names: ['duodenum', 'duodenal'],
    location:
      'The duodenum leads from the stomach around the head of the pancreas on the right of the spine, then crosses the midline at the third lumbar vertebra between the aorta and the superior mesenteric artery.',
    shape: 'It is a C-shaped tube with a short loop on each axial slice.',
    size: 'It is about 25 cm long and 2 to 3 cm wide.',
    appearance: {
      ct: 'On CT a thin gray wall with folds surrounds air, fluid or bright oral contrast.',
    },
    variability: 'It is often collapsed, has pouches in some people, and blends with pancreas and bowel.',
  },
  {
    names: ['bladder', 'urinary bladder'],
    location:
      'The bladder lies low in the pelvis behind the pubic bone, in front of the rectum in men and of the uterus and vagina in women.',
    shape: 'Full it is round or oval with a smooth edge; empty it is flat and thick-walled.',
    size: 'It holds up to about half a liter and is then about 10 cm wide.',
    appearance: {
      ct: 'On CT the urine is as dark as water within a thin gray wall; excreted contrast settles behind as a white layer.',
    },
    variability: 'Filling, a catheter, an enlarged prostate or the uterus change its size and shape.',
  },
  {
    names: ['prostate or uterus', 'prostate uterus', 'prostate and uterus', 'uterus prostate'],
    location:
      'In men the prostate lies below the bladder, behind the pubic bone and in front of the rectum; in women the uterus lies between bladder and rectum.',
    shape: 'The prostate is like a chestnut; the uterus is like a pear, mostly tilted forward.',
    size: 'The prostate is about 4 cm wide, larger with age; the uterus is about 7 to 8 cm long and 5 cm wide.',
    appearance: {
      ct: 'On CT both are gray soft tissue in the midline; contrast brightens the wall of the uterus, and the prostate may hold calcifications.',
    },
    variability:
      'Enlargement lifts the floor of the bladder, fibroids deform the uterus, and it shrinks after menopause.',
  },
];
