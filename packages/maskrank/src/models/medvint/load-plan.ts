// Which tensor of the files goes where, decided from names, shapes and element types alone, before anything is read or
// allocated. Every difference from what the network needs is found at once. Not here: reading and filling (checkpoint.ts).

import { DataError } from '@maskrank/torch/errors';
import type { TensorDtype } from '@maskrank/torch/io';
import type { MedvintConfig } from './config.ts';
import { isRecomputed, loraFactor } from './released-names.ts';
import { isCompressible, medvintShapes } from './shapes.ts';
import type { Sources, SourceTensor } from './sources.ts';

/** What one tensor of the network is made from. */
export type Target = {
  readonly name: string;
  readonly base: SourceTensor;
  /** Factors of a low-rank update, which is added to the base. */
  readonly lora: { readonly a: SourceTensor; readonly b: SourceTensor } | null;
  /** Scales of the rows of a base that is stored as int8 already. */
  readonly scale: SourceTensor | null;
};

export type LoadPlan = {
  readonly targets: readonly Target[];
  /** Names of weights that get their low-rank update added. */
  readonly merged: readonly string[];
  /** Tensors that the network computes itself. */
  readonly unused: readonly string[];
};

const FLOATS: ReadonlySet<TensorDtype> = new Set(['F64', 'F32', 'F16', 'BF16']);

type Factors = { A?: SourceTensor; B?: SourceTensor };

type Described = Pick<Sources, 'files' | 'tensors' | 'repeated'>;

/** Throws DataError that lists everything that is missing, unexpected, there twice or of a wrong shape or type. */
export function planLoad(sources: Described, config: MedvintConfig): LoadPlan {
  const { plan, problems } = compareWith(sources, config);
  if (problems.length === 0) return plan;
  throw new DataError(
    `loadMedvint(${sources.files.join(', ')}): does not fit ${config.name}; nothing was loaded.\n  ${problems.join('\n  ')}`,
  );
}

/** What would be loaded, and everything that is wrong with it. */
export function compareWith(
  { tensors, repeated }: Described,
  config: MedvintConfig,
): { readonly plan: LoadPlan; readonly problems: readonly string[] } {
  const shapes = medvintShapes(config);
  const factors = new Map<string, Factors>();
  const scales = new Map<string, SourceTensor>();
  const problems: string[] = [...repeated];
  const unused: string[] = [];
  for (const [name, source] of tensors) {
    const lora = loraFactor(name);
    const scaled = name.endsWith('.scale') ? name.replace(/scale$/, 'weight') : null;
    if (lora !== null) factors.set(lora.weight, { ...factors.get(lora.weight), [lora.factor]: source });
    else if (scaled !== null && isCompressible(scaled)) scales.set(scaled, source);
    else if (isRecomputed(name)) unused.push(source.released);
    else if (!shapes.has(name)) problems.push(`unexpected: ${describe(source)}`);
  }
  problems.push(...factorProblems(factors, config, shapes), ...scaleProblems(scales, tensors, shapes));
  const targets: Target[] = [];
  for (const [name, shape] of shapes) {
    const base = tensors.get(name);
    problems.push(...baseProblems(name, shape, base));
    const { A: a, B: b } = factors.get(name) ?? {};
    if (base !== undefined)
      targets.push({ name, base, lora: a && b ? { a, b } : null, scale: scales.get(name) ?? null });
  }
  return { plan: { targets, merged: [...factors.keys()], unused }, problems };
}

const describe = ({ released, dtype, shape }: SourceTensor): string => `${released} (${dtype} [${shape}])`;

function wrongShape(name: string, needed: readonly number[], found: SourceTensor): string[] {
  return `${needed}` === `${found.shape}`
    ? []
    : [`wrong shape: ${name}: found [${found.shape}], needed [${needed}]`];
}

function wrongType(name: string, needed: string, found: SourceTensor): string {
  return `wrong type: ${name}: found ${found.dtype}, needed ${needed}`;
}

function baseProblems(name: string, shape: readonly number[], base: SourceTensor | undefined): string[] {
  if (base === undefined) return [`missing: ${name}`];
  const wrong = wrongShape(name, shape, base);
  if (name.endsWith('.num_batches_tracked')) {
    if (base.dtype !== 'I64') wrong.push(wrongType(name, 'I64', base));
  } else if (base.dtype !== 'I8' && !FLOATS.has(base.dtype)) {
    wrong.push(wrongType(name, 'floating point', base));
  } else if (base.dtype === 'I8' && !isCompressible(name)) {
    wrong.push(wrongType(name, 'floating point; only large matrices of LLaMA may be I8', base));
  }
  return wrong;
}

/** Either no weight has a low-rank update (then they are in the weights already), or exactly those that should. */
function factorProblems(
  factors: ReadonlyMap<string, Factors>,
  { llama, lora }: MedvintConfig,
  shapes: ReadonlyMap<string, readonly number[]>,
): string[] {
  if (factors.size === 0) return [];
  const names = Array.from({ length: llama.layers }, (_, layer) =>
    lora.targets.map((target) => `llamacasual.model.layers.${layer}.self_attn.${target}.weight`),
  ).flat();
  const expected = new Set(names);
  const problems = [...factors]
    .filter(([name]) => !expected.has(name))
    .flatMap(([, { A, B }]) => [A, B].flatMap((found) => (found ? [`unexpected: ${describe(found)}`] : [])));
  for (const name of names) {
    const [outDim, inDim] = shapes.get(name) as readonly [number, number];
    for (const [factor, shape] of [
      ['A', [lora.rank, inDim]],
      ['B', [outDim, lora.rank]],
    ] as const) {
      const found = factors.get(name)?.[factor];
      const own = name.replace(/weight$/, `lora_${factor}.weight`);
      if (found === undefined) problems.push(`missing: ${own}`);
      else {
        problems.push(...wrongShape(own, shape, found));
        if (!FLOATS.has(found.dtype)) problems.push(wrongType(own, 'floating point', found));
      }
    }
  }
  return problems;
}

/** Scales belong to int8 matrices, and those need them. */
function scaleProblems(
  scales: ReadonlyMap<string, SourceTensor>,
  tensors: Sources['tensors'],
  shapes: ReadonlyMap<string, readonly number[]>,
): string[] {
  const problems: string[] = [];
  for (const [name, found] of scales) {
    const own = name.replace(/weight$/, 'scale');
    const base = tensors.get(name);
    if (!shapes.has(name) || (base !== undefined && base.dtype !== 'I8'))
      problems.push(`unexpected: ${describe(found)}: its matrix is not I8`);
    else problems.push(...wrongShape(own, (shapes.get(name) as readonly number[]).slice(0, 1), found));
    if (!FLOATS.has(found.dtype)) problems.push(wrongType(own, 'floating point', found));
  }
  for (const [name, { dtype }] of tensors)
    if (dtype === 'I8' && isCompressible(name) && !scales.has(name))
      problems.push(`missing: ${name.replace(/weight$/, 'scale')}: the scales of an I8 matrix`);
  return problems;
}
