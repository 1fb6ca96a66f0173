// Fits a state dict to a model of another image size: position tables are resized as SAM-Med2D's `load_from` resizes them.
// That function also leaves the mask heads of a plain SAM file at their random start; here they are kept unless asked for.

import { fromTensorData, nn, noGrad, type Tensor, tidy, toTensorData } from '@maskrank/torch';
import type { TensorData } from '@maskrank/torch/io';

const { F } = nn;

/** Mask tokens, hypernetworks and IoU head: what SAM-Med2D does not take over from a plain SAM file. */
export const MASK_HEADS = /(^|\.)(mask_tokens|output_hypernetworks_mlps|iou_prediction_head)\./;

/** What reads text features. */
export const TEXT_BRANCH = /^prompt_encoder\.text_proj\./;

const GLOBAL_TABLE = /^image_encoder\.blocks\.(\d+)\.attn\.rel_pos_[hw]$/;

export type AdaptOptions = {
  /** Blocks with global attention: their tables follow the grid. Windows do not change with the image. */
  readonly globalBlocks: readonly number[];
  /** `fresh`: drop the mask heads, as SAM-Med2D does when it loads a plain SAM file. Default `load`. */
  readonly heads?: 'load' | 'fresh';
  /** `fresh`: drop the text branch, of a network that is to be told something else by it. Default `load`. */
  readonly text?: 'load' | 'fresh';
};

export type AdaptedState = {
  readonly tensors: Map<string, TensorData>;
  /** Tables that were resized, with both shapes. */
  readonly resized: readonly {
    readonly key: string;
    readonly from: readonly number[];
    readonly to: readonly number[];
  }[];
  /** Keys that were dropped on request. */
  readonly dropped: readonly string[];
};

/** [1, h, w, C] -> [1, H, W, C], bilinear. */
function resizeGrid(table: Tensor, [, height, width]: readonly number[]): Tensor {
  const planes = table.permute([0, 3, 1, 2]); // [1, C, h, w]
  return F.interpolate(planes, [height as number, width as number], { mode: 'bilinear' }).permute([
    0, 2, 3, 1,
  ]);
}

/** [l, d] -> [L, d], bilinear as an image of one channel. */
function resizeTable(table: Tensor, [length, dim]: readonly number[]): Tensor {
  const image = table.unsqueeze(0).unsqueeze(0); // [1, 1, l, d]
  return F.interpolate(image, [length as number, dim as number], { mode: 'bilinear' })
    .squeeze(0)
    .squeeze(0);
}

/** Which function resizes a key, if any may. */
function resizerOf(key: string, globalBlocks: readonly number[]) {
  if (key === 'image_encoder.pos_embed') return resizeGrid;
  const block = GLOBAL_TABLE.exec(key)?.[1];
  return block !== undefined && globalBlocks.includes(Number(block)) ? resizeTable : undefined;
}

const canResize = (from: readonly number[], to: readonly number[]): boolean =>
  from.length === to.length && from.at(-1) === to.at(-1) && !from.every((size, i) => size === to[i]);

/** `state` with its position tables at the sizes that `shapes` needs. Other differences are left for strict loading to report. */
export function adaptState(
  state: ReadonlyMap<string, TensorData>,
  shapes: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  { globalBlocks, heads = 'load', text = 'load' }: AdaptOptions,
): AdaptedState {
  const tensors = new Map<string, TensorData>();
  const resized: AdaptedState['resized'][number][] = [];
  const dropped: string[] = [];
  for (const [key, data] of state) {
    if ((heads === 'fresh' && MASK_HEADS.test(key)) || (text === 'fresh' && TEXT_BRANCH.test(key))) {
      dropped.push(key);
      continue;
    }
    const to = shapes.get(key)?.shape;
    const resize = resizerOf(key, globalBlocks);
    if (to === undefined || resize === undefined || !canResize(data.shape, to)) {
      tensors.set(key, data);
      continue;
    }
    const from = data.shape;
    tensors.set(
      key,
      noGrad(() => tidy(() => toTensorData(resize(fromTensorData(data).to('float32'), to).contiguous()))),
    );
    resized.push({ key, from, to });
  }
  return { tensors, resized, dropped };
}
