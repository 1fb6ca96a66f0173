// All golden checks, one line a family.

import { biomedclip } from './biomedclip.ts';
import { denseCrfCheck } from './dense-crf.ts';
import { dhnNce } from './dhn-nce.ts';
import { dpo } from './dpo.ts';
import { gscorecam } from './gscorecam.ts';
import { llamaTokenizer } from './llama-tokenizer.ts';
import { losses } from './losses.ts';
import { medvint } from './medvint.ts';
import { metrics } from './metrics.ts';
import { morphology } from './morphology.ts';
import { nnunet } from './nnunet.ts';
import { nnunetLosses } from './nnunet-losses.ts';
import { nnunetPlanner } from './nnunet-planner.ts';
import { optimisers } from './optimisers.ts';
import { preprocess } from './preprocess.ts';
import { regions } from './regions.ts';
import { samCheckpoint } from './sam-checkpoint.ts';
import { samEndToEnd } from './sam-end-to-end.ts';
import { samImageEncoder } from './sam-image-encoder.ts';
import { samMaskDecoder } from './sam-mask-decoder.ts';
import { samPromptEncoder } from './sam-prompt-encoder.ts';
import { samVit } from './sam-vit.ts';
import { sammed3d } from './sammed3d.ts';
import { surface } from './surface.ts';
import { transforms } from './transforms.ts';
import type { GoldenCheck } from './types.ts';
import { unet } from './unet.ts';
import { wordpiece } from './wordpiece.ts';

export const CHECKS: readonly GoldenCheck[] = [
  denseCrfCheck,
  biomedclip,
  dhnNce,
  dpo,
  gscorecam,
  llamaTokenizer,
  losses,
  medvint,
  metrics,
  morphology,
  nnunet,
  nnunetLosses,
  nnunetPlanner,
  optimisers,
  preprocess,
  regions,
  samCheckpoint,
  samEndToEnd,
  samImageEncoder,
  samMaskDecoder,
  samPromptEncoder,
  samVit,
  sammed3d,
  surface,
  transforms,
  unet,
  wordpiece,
];
