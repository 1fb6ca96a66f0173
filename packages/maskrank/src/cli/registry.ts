// Every verb, in the order of the work. A verb is one file in verbs/ and one line here.

import type { Verb } from './verb.ts';
import { align } from './verbs/align.ts';
import { baselineFixmatch } from './verbs/baseline-fixmatch.ts';
import { baselineMeanTeacher } from './verbs/baseline-mean-teacher.ts';
import { baselineMedclipSam } from './verbs/baseline-medclip-sam.ts';
import { baselineNnunet } from './verbs/baseline-nnunet.ts';
import { baselineSam } from './verbs/baseline-sam.ts';
import { baselineSamMed2d } from './verbs/baseline-sam-med2d.ts';
import { baselineSamMed3d } from './verbs/baseline-sam-med3d.ts';
import { baselineSelfPrompt } from './verbs/baseline-self-prompt.ts';
import { baselineSelfTraining } from './verbs/baseline-self-training.ts';
import { baselineUnet } from './verbs/baseline-unet.ts';
import { datasetImport } from './verbs/dataset-import.ts';
import { datasetPhantom } from './verbs/dataset-phantom.ts';
import { datasetSplit } from './verbs/dataset-split.ts';
import { datasetVerify } from './verbs/dataset-verify.ts';
import { demo } from './verbs/demo.ts';
import { doctor } from './verbs/doctor.ts';
import { evaluate } from './verbs/evaluate.ts';
import { experiment } from './verbs/experiment.ts';
import { finetune } from './verbs/finetune.ts';
import { predict } from './verbs/predict.ts';
import { pretrainClip } from './verbs/pretrain-clip.ts';
import { pretrainSam } from './verbs/pretrain-sam.ts';
import { pretrainVqa } from './verbs/pretrain-vqa.ts';
import { prompt } from './verbs/prompt.ts';
import { propose } from './verbs/propose.ts';
import { rate } from './verbs/rate.ts';
import { report } from './verbs/report.ts';
import { weightsAdd } from './verbs/weights-add.ts';
import { weightsList } from './verbs/weights-list.ts';
import { weightsPull } from './verbs/weights-pull.ts';
import { weightsVerify } from './verbs/weights-verify.ts';

export const registry: readonly Verb[] = [
  doctor,
  demo,
  datasetImport,
  datasetPhantom,
  datasetVerify,
  datasetSplit,
  weightsList,
  weightsPull,
  weightsAdd,
  weightsVerify,
  pretrainClip,
  pretrainSam,
  pretrainVqa,
  prompt,
  finetune,
  propose,
  rate,
  align,
  baselineUnet,
  baselineNnunet,
  baselineSam,
  baselineSamMed2d,
  baselineSamMed3d,
  baselineSelfPrompt,
  baselineMedclipSam,
  baselineSelfTraining,
  baselineMeanTeacher,
  baselineFixmatch,
  evaluate,
  report,
  predict,
  experiment,
];
