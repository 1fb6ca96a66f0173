// Every baseline that comes with maskrank, by name.

import { fixmatch } from './fixmatch.ts';
import { meanTeacher } from './mean-teacher.ts';
import { medclipSam } from './medclip-sam.ts';
import type { BaselineMethod } from './method.ts';
import { nnunet } from './nnunet.ts';
import { sam, samMed2d } from './sam.ts';
import { samMed3d } from './sam-med3d.ts';
import { selfPrompt } from './self-prompt.ts';
import { selfTraining } from './self-training.ts';
import { unet } from './unet.ts';

/** A method with its network's type forgotten. */
// biome-ignore lint/suspicious/noExplicitAny: a method's own functions agree on the network
export type AnyBaseline = BaselineMethod<any, any>;

export const BASELINES: readonly AnyBaseline[] = [
  unet,
  nnunet,
  sam,
  samMed2d,
  samMed3d,
  selfPrompt,
  medclipSam,
  selfTraining,
  meanTeacher,
  fixmatch,
];
