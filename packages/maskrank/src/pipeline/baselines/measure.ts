// A trained baseline on untouched cases: its checkpoint, and the records of its masks for the evaluation. Measured like stage 1 and 2;
// the difference is that nobody tells a baseline whether a class is in the image. Not here: the masks (masks.ts).

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { nn, toTensorData } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { readSafetensors, writeSafetensors } from '@maskrank/torch/io';
import type { LabelledCase } from '../../datasets/cases.ts';
import { fileHash } from '../../datasets/hash.ts';
import { measure } from '../../evaluation/measure.ts';
import { tolerance } from '../../evaluation/metrics.ts';
import type { CaseResult } from '../../evaluation/schema.ts';
import { gridOf } from '../../evaluation/surface-distance.ts';
import type { Config } from '../../run/config.ts';
import { type ArtefactHeader, headerFromMetadata, headerToMetadata, refuseStale } from '../../run/header.ts';
import { configHash, type HashedSections } from '../../run/resolve.ts';
import type { RunFolder } from '../../run/run-folder.ts';
import type { ClassRelation } from '../../training/baselines/loss.ts';
import { type EvaluatedRow, keepMask } from '../evaluation-file.ts';
import { splitsHash } from '../finetune.ts';
import { BASELINE_FORMAT } from '../model.ts';
import { byId } from '../units.ts';
import { VolumeMasks } from '../volumes.ts';
import { type JobContext, splitIds } from '../workspace.ts';
import { masksOf } from './masks.ts';
import { type BaselineSetting, type OpenRun, settingOf } from './method.ts';
import { type AnyBaseline, BASELINES } from './registry.ts';

/** Key of a baseline in tables and file names. */
export const baselineKey = ({ name }: Pick<AnyBaseline, 'name'>): string => `baseline-${name}`;

export const baselinePath = (checkpoints: string, method: Pick<AnyBaseline, 'name'>): string =>
  join(checkpoints, `${baselineKey(method)}.safetensors`);

/** What shapes any baseline, and this one. */
export const baselineSections = ({ sections }: Pick<AnyBaseline, 'sections'>): HashedSections => [
  'data',
  'training.augmentation',
  'baselines.classes',
  ...sections,
];

/** What a baseline is made from. The canvas is the model's, of which nothing else matters to most. */
export const baselineInputs = async (
  seen: OpenRun,
  method: AnyBaseline,
): Promise<Readonly<Record<string, string>>> => ({
  dataset: seen.workspace.dataset.hash,
  splits: splitsHash(seen.workspace),
  canvas: `${seen.workspace.canvas.imageSize} px, ${seen.workspace.canvas.rule}`,
  ...(await method.madeFrom?.(seen)),
});

/** Saves what training changed and what it means; returns the file's hash. */
export async function saveBaseline(
  path: string,
  method: AnyBaseline,
  network: nn.Module,
  { config, relation }: Pick<BaselineSetting, 'config' | 'relation'>,
  header: ArtefactHeader,
): Promise<string> {
  const { learns = () => true } = method;
  const learned = [...network.stateDict()].filter(([name]) => learns(name, config));
  await writeSafetensors(path, new Map(learned.map(([name, tensor]) => [name, toTensorData(tensor)])), {
    ...headerToMetadata(header),
    format: BASELINE_FORMAT,
    method: method.name,
    relation,
  });
  return (await fileHash(path)).sha256;
}

export type MeasuredBaseline = {
  readonly row: EvaluatedRow;
  readonly results: CaseResult[];
  /** Records by volume, of cases that are slices. */
  readonly volumes: CaseResult[];
};

/** A trained network, and the run as its method sees it. */
export type OpenBaseline = { readonly network: nn.Module; readonly setting: BaselineSetting };

/** Loads a baseline of the run, in evaluation mode. `seen`: the run as the method sees it. Throws DataError for a stale checkpoint. */
export async function openBaseline(
  { config, run }: JobContext,
  seen: OpenRun,
  method: AnyBaseline,
): Promise<OpenBaseline> {
  const path = baselinePath(run.paths.checkpoints, method);
  const { tensors, metadata } = await readSafetensors(path);
  const rerun = `maskrank baseline ${method.name} --run ${run.dir} --restart`;
  if (metadata.format !== BASELINE_FORMAT || metadata.relation === undefined)
    throw new DataError(`${path}: is no checkpoint of a baseline. Make it anew: ${rerun}`);
  refuseStale(path, headerFromMetadata(metadata), {
    schemaVersion: 1,
    configHash: configHash(config, baselineSections(method)),
    madeFrom: await baselineInputs(seen, method),
    rerun,
  });
  const setting = settingOf(seen, config, metadata.relation as ClassRelation);
  const network: nn.Module = await method.prepare(setting);
  try {
    const { learns = () => true } = method;
    const prepared = [...network.stateDict().keys()].filter((name) => !learns(name, config));
    nn.loadStateDict(network, tensors, { source: path, allowMissing: prepared });
    network.to(seen.workspace.device as 'cuda');
    network.eval();
    return { network, setting };
  } catch (error) {
    network.dispose();
    throw error;
  }
}

/** Masks every case of the evaluated split by a baseline of the run, and measures. `seen`: the run as the method sees it. */
export async function measureBaseline(
  context: JobContext,
  seen: OpenRun,
  method: AnyBaseline,
): Promise<MeasuredBaseline> {
  const { config, run, signal, onProgress } = context;
  const { dataset } = seen.workspace;
  const { network, setting } = await openBaseline(context, seen, method);
  try {
    const { split, threshold } = config.evaluation;
    const key = baselineKey(method);
    const ids = splitIds(seen.workspace, config, split);
    const cases = dataset.labelled(ids);
    const items = byId(cases);
    const results: CaseResult[] = [];
    const slices = new VolumeMasks(cases);
    const prompts = await method.prompting?.measured(network, cases, setting);
    const measured = new Set<string>();
    for await (const found of masksOf(method, network, dataset.unlabelled(ids), setting, prompts)) {
      signal.throwIfAborted();
      const { caseId, classId, mask, prompt } = found;
      const item = items.get(caseId) as LabelledCase;
      const truth = await dataset.loadMask(item, classId);
      results.push({
        case: caseId,
        group: item.group,
        class: classId,
        stage: key,
        prompt,
        ...measure(gridOf(truth), gridOf(mask), measureOptions(config)),
      });
      slices.add(found);
      await keepMask(run.dir, key, found, mask);
      measured.add(caseId);
      onProgress(`evaluate ${method.title}`, measured.size, cases.length);
    }
    const volumes = await slices.measure(dataset, {
      stage: key,
      classIds: setting.classIds,
      config,
      empties: config.evaluation.empties,
      signal,
      onProgress: (done, total) => onProgress(`evaluate ${method.title} by volume`, done, total),
      warn: context.warn,
    });
    const { sha256 } = await fileHash(baselinePath(run.paths.checkpoints, method));
    return { row: { key, title: method.title, checkpoint: sha256, threshold }, results, volumes };
  } finally {
    network.dispose();
  }
}

/** Whether the run has this baseline. */
export const hasBaseline = (checkpoints: string, method: AnyBaseline): boolean =>
  existsSync(baselinePath(checkpoints, method));

/** Baselines that a run has. */
export const baselinesOf = ({ paths }: Pick<RunFolder, 'paths'>): readonly AnyBaseline[] =>
  BASELINES.filter((method) => hasBaseline(paths.checkpoints, method));

const measureOptions = ({ evaluation: { tolerancesPx, empties } }: Config) => ({
  tolerances: tolerancesPx.map((value) => tolerance(value, 'px')),
  empties,
});
