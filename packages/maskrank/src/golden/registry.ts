// All golden checks, one line a family.

import { denseCrfCheck } from './dense-crf.ts';
import { dpo } from './dpo.ts';
import { losses } from './losses.ts';
import { metrics } from './metrics.ts';
import { morphology } from './morphology.ts';
import { optimisers } from './optimisers.ts';
import { preprocess } from './preprocess.ts';
import { samCheckpoint } from './sam-checkpoint.ts';
import { samEndToEnd } from './sam-end-to-end.ts';
import { samImageEncoder } from './sam-image-encoder.ts';
import { samMaskDecoder } from './sam-mask-decoder.ts';
import { samPromptEncoder } from './sam-prompt-encoder.ts';
import { samVit } from './sam-vit.ts';
import { surface } from './surface.ts';
import { transforms } from './transforms.ts';
import type { GoldenCheck } from './types.ts';

export const CHECKS: readonly GoldenCheck[] = [
  denseCrfCheck,
  dpo,
  losses,
  metrics,
  morphology,
  optimisers,
  preprocess,
  samCheckpoint,
  samEndToEnd,
  samImageEncoder,
  samMaskDecoder,
  samPromptEncoder,
  samVit,
  surface,
  transforms,
];
