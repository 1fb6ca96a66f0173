// The shortest proof that the engine computes: [1 2] . [3 4] = 11.

import { tensor } from '../../packages/torch/dist/index.js';

const product = tensor([1, 2])
  .mul(tensor([3, 4]))
  .sum()
  .item();
if (product !== 11) throw new Error(`[1 2] . [3 4] = ${product}, expected 11`);
