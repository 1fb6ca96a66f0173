// The state of a training loop in one file, from which it goes on exactly: parameters, the optimiser's memory, averaged
// weights, and the number of steps done. Random streams are not in it: every step draws from streams named by the seed and
// the step (streams.ts), so the step number is their state. Written atomically: killed at any moment, the old or the new
// state stands.

import { existsSync } from 'node:fs';
import {
  fromTensorData,
  type nn,
  noGrad,
  type optim,
  type Tensor,
  tidy,
  toTensorData,
} from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { readSafetensors, type TensorData, writeSafetensors } from '@maskrank/torch/io';
import { type ArtefactHeader, headerFromMetadata, headerToMetadata, refuseStale } from '../run/header.ts';

type NamedTensors = ReadonlyMap<string, Tensor>;
// biome-ignore lint/suspicious/noExplicitAny: the state of any update rule is saved alike
type AnyOptimizer = optim.Optimizer<any>;

/** What a loop has to remember. */
export type LoopState = {
  /** Trained parameters by key; overwritten in place on loading. */
  readonly parameters: NamedTensors;
  readonly optimizer: AnyOptimizer;
  /** Further tensors by group and key, e.g. averaged weights or a reference; overwritten in place on loading. */
  readonly extra?: Readonly<Record<string, NamedTensors>>;
};

/** Small facts beside the tensors; JSON. */
export type LoopFacts = { readonly step: number } & Readonly<Record<string, unknown>>;

const SEPARATOR = '|';
const groupsOf = (state: LoopState): [string, NamedTensors][] => [
  ['parameters', state.parameters],
  ...Object.entries(state.extra ?? {}),
];

/** Writes the state to `path`. */
export async function saveLoopState(
  path: string,
  state: LoopState,
  facts: LoopFacts,
  header: ArtefactHeader,
): Promise<void> {
  const { tensors: memory, steps } = state.optimizer.stateDict();
  const all = new Map<string, TensorData>();
  for (const [group, tensors] of [...groupsOf(state), ['optimizer', memory] as const]) {
    for (const [key, tensor] of tensors) all.set(`${group}${SEPARATOR}${key}`, toTensorData(tensor));
  }
  await writeSafetensors(path, all, {
    ...headerToMetadata(header),
    facts: JSON.stringify(facts),
    optimizerSteps: JSON.stringify(steps),
  });
}

/**
 * Restores a state written with the same header; undefined when there is none yet.
 *
 * @throws DataError when the file is damaged, stale, or of another set of parameters
 */
export async function loadLoopState(
  path: string,
  state: LoopState,
  expected: { readonly header: ArtefactHeader; readonly rerun: string },
): Promise<LoopFacts | undefined> {
  if (!existsSync(path)) return undefined;
  const { tensors, metadata } = await readSafetensors(path);
  refuseStale(path, headerFromMetadata(metadata), {
    schemaVersion: expected.header.schemaVersion,
    configHash: expected.header.configHash,
    madeFrom: expected.header.madeFrom,
    rerun: expected.rerun,
  });
  tidy(() =>
    noGrad(() => {
      for (const [group, targets] of groupsOf(state)) restoreGroup(path, group, targets, tensors);
      const prefix = `optimizer${SEPARATOR}`;
      const memory = [...tensors].filter(([key]) => key.startsWith(prefix));
      state.optimizer.loadStateDict({
        tensors: new Map(memory.map(([key, data]) => [key.slice(prefix.length), fromTensorData(data)])),
        steps: JSON.parse(metadata.optimizerSteps ?? '{}'),
      });
    }),
  );
  return JSON.parse(metadata.facts ?? '{"step":0}');
}

function restoreGroup(
  path: string,
  group: string,
  targets: NamedTensors,
  saved: ReadonlyMap<string, TensorData>,
): void {
  const prefix = `${group}${SEPARATOR}`;
  const found = [...saved.keys()]
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length));
  const missing = [...targets.keys()].filter((key) => !saved.has(prefix + key));
  const unexpected = found.filter((key) => !targets.has(key));
  if (missing.length > 0 || unexpected.length > 0) {
    throw new DataError(
      `${path}: ${group} of another model: ${missing.length} missing (${missing.slice(0, 3).join(', ')}), ${unexpected.length} unexpected (${unexpected.slice(0, 3).join(', ')}). Use the configuration the run was begun with, or a new --run folder.`,
    );
  }
  const reshaped = [...targets].flatMap(([key, target]) => {
    const { shape } = saved.get(prefix + key) as TensorData;
    const same = shape.length === target.ndim && shape.every((size, i) => size === target.shape[i]);
    return same ? [] : [`${key} is [${shape}], needed: [${target.shape}]`];
  });
  if (reshaped.length > 0) {
    throw new DataError(
      `${path}: ${group} of another model: ${reshaped.length} of another shape (${reshaped.slice(0, 3).join('; ')}). Use the configuration the run was begun with, or a new --run folder.`,
    );
  }
  for (const [key, target] of targets) target.copy_(fromTensorData(saved.get(prefix + key) as TensorData));
}

/** Named parameters of a module as a map, for LoopState. */
export const parameterMap = (named: Iterable<readonly [string, nn.Parameter]>): Map<string, Tensor> =>
  new Map(named);
