// Names and shapes of the layers' tensors as plain data, from which a family writes down a whole network's state without
// allocating it. Not here: the families (clip/state-shapes.ts, medvint/shapes.ts).

export type Shape = readonly number[];
/** A tensor's name in the state dict, and its shape. */
export type Entry = readonly [name: string, shape: Shape];

/** The entries with `prefix.` before their names. */
export const under = (prefix: string, entries: readonly Entry[]): Entry[] =>
  entries.map(([name, shape]) => [`${prefix}.${name}`, shape]);

/** `count` numbered members of a list of modules. */
export const times = (count: number, prefix: string, entries: (i: number) => readonly Entry[]): Entry[] =>
  Array.from({ length: count }, (_, i) => under(`${prefix}.${i}`, entries(i))).flat();

export const linear = (name: string, from: number, to: number): Entry[] => [
  [`${name}.weight`, [to, from]],
  [`${name}.bias`, [to]],
];

/** A 2-D convolution without a bias. */
export const conv = (name: string, from: number, to: number, side: number): Entry[] => [
  [`${name}.weight`, [to, from, side, side]],
];

export const norm = (name: string, dim: number): Entry[] => [
  [`${name}.weight`, [dim]],
  [`${name}.bias`, [dim]],
];

export const batchNorm = (name: string, channels: number): Entry[] => [
  ...norm(name, channels),
  [`${name}.running_mean`, [channels]],
  [`${name}.running_var`, [channels]],
  [`${name}.num_batches_tracked`, []],
];

function bottleneck(from: number, inner: number, hasShortcut: boolean): Entry[] {
  const to = 4 * inner;
  return [
    ...conv('conv1', from, inner, 1),
    ...batchNorm('bn1', inner),
    ...conv('conv2', inner, inner, 3),
    ...batchNorm('bn2', inner),
    ...conv('conv3', inner, to, 1),
    ...batchNorm('bn3', to),
    ...(hasShortcut ? [...conv('downsample.0', from, to, 1), ...batchNorm('downsample.1', to)] : []),
  ];
}

/** Stage `stage` (from 0) of CLIP's ResNet of that width. Its first block changes the channels, so it has a shortcut of its own. */
export function resNetStage(
  name: string,
  { stage, width, blocks }: Record<'stage' | 'width' | 'blocks', number>,
): Entry[] {
  const inner = width * 2 ** stage;
  const first = stage === 0 ? width : 2 * inner;
  return times(blocks, name, (i) => bottleneck(i === 0 ? first : 4 * inner, inner, i === 0));
}

const STATISTIC = /\.(running_(mean|var)|num_batches_tracked)$/;

/** Trained numbers of the entries: statistics and counters of batch norms are none. */
export function countTrained(entries: Iterable<Entry>): number {
  let count = 0;
  for (const [name, shape] of entries)
    if (!STATISTIC.test(name)) count += shape.reduce((product, n) => product * n, 1);
  return count;
}
