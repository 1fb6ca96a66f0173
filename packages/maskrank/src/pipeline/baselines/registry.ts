// Every baseline that comes with maskrank, by name.

import type { RunFolder } from '../../run/run-folder.ts';
import { fixmatch } from './fixmatch.ts';
import { meanTeacher } from './mean-teacher.ts';
import { hasBaseline } from './measure.ts';
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

/** Baselines that a run has. */
export const baselinesOf = ({ paths }: Pick<RunFolder, 'paths'>): readonly AnyBaseline[] =>
  BASELINES.filter((method) => hasBaseline(paths.checkpoints, method));
