// Reading a network's numbers off the shapes of a checkpoint's tensors: what every family's inference starts from.
// Not here: which tensor tells what (each family's infer-config.ts).

import { DataError } from '@maskrank/torch/errors';

export type CheckpointShapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** Size of a dimension of the tensor of that name. */
export type ReadSize = (key: string, dim: number) => number;

/** For whom the shapes are read, for messages. */
export type ShapeReaderOptions = {
  /** The function that infers. */
  readonly who: string;
  /** The file or whatever else holds the tensors. */
  readonly source: string;
  /** What the checkpoint should be: `SAM or SAM-Med2D`. */
  readonly family: string;
};

/** Reads sizes by key. `fail` makes the error that says what is missing, which `size` throws. */
export function shapeReader(
  shapes: CheckpointShapes,
  { who, source, family }: ShapeReaderOptions,
): { readonly size: ReadSize; readonly fail: (what: string) => DataError } {
  const fail = (what: string): DataError => {
    const examples = [...shapes.keys()].slice(0, 3).join(', ');
    return new DataError(
      `${who}(${source}): ${what}, so this is no ${family} checkpoint; it holds ${shapes.size} tensors (${examples || 'none'}, ...).`,
    );
  };
  const size: ReadSize = (key, dim) => {
    const found = shapes.get(key)?.shape[dim];
    if (found === undefined) throw fail(`there is no tensor '${key}' with dimension ${dim}`);
    return found;
  };
  return { size, fail };
}

/** How many numbered members a prefix has: `PREFIX.0...`, `PREFIX.1...` */
export function countOf(shapes: CheckpointShapes, prefix: string): number {
  const numbers = [...shapes.keys()]
    .filter((key) => key.startsWith(`${prefix}.`))
    .map((key) => Number.parseInt(key.slice(prefix.length + 1), 10));
  return Math.max(-1, ...numbers) + 1;
}
