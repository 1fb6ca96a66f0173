// Tensor: a native tensor with the operators maskrank uses as typed methods, and `op` for every other one.
// Methods carry ATen's names in camelCase and ATen's meaning; in-place ones end in an underscore and return `this`.
// Not here: factories (factories.ts), gradients of functions (autograd.ts), layers (nn/).

import { type BoundOperator, bind, engineCall, type MemoryFormat, type OpArgument } from './dispatch.ts';
import { DTYPES, type Dtype, dtypeName, type TypedArray } from './dtype.ts';
import { EngineError } from './errors.ts';
import { TensorHandle } from './handle.ts';
import { native } from './native.ts';
import type { Generator } from './random.ts';

type Number_ = number | bigint;
type Operand = Tensor | number;

function wrapResult(bound: BoundOperator, args: readonly OpArgument[], raw: unknown, index: number): unknown {
  const alias = bound.schema.returnAlias[index] as number;
  if (alias >= 0) return args[alias];
  const kind = bound.returns[index];
  if (raw === null) return null;
  if (kind === 'Tensor') return new Tensor(raw as number);
  if (kind === 'TensorList') return (raw as number[]).map((handle) => new Tensor(handle));
  return raw;
}

/**
 * Any ATen operator by its full name, e.g. `op('aten::upsample_bilinear2d.vec')`. The returned function takes the
 * schema's arguments in order (`undefined`: the default, `null`: none) and returns its result, an array of several, or
 * undefined. The operator is resolved at the first call. Throws EngineError with libtorch's message.
 */
export function op<R = Tensor>(name: string): (...args: OpArgument[]) => R {
  let bound: BoundOperator | undefined;
  return (...args) => {
    bound ??= bind(name);
    const raw = bound.invoke(args);
    const count = bound.returns.length;
    if (count === 0) return undefined as R;
    if (count === 1) return wrapResult(bound, args, raw, 0) as R;
    const several = bound;
    return (raw as unknown[]).map((value, i) => wrapResult(several, args, value, i)) as R;
  };
}

const add = op('aten::add.Tensor');
const addScalar = op('aten::add.Scalar');
const sub = op('aten::sub.Tensor');
const subScalar = op('aten::sub.Scalar');
const rsubScalar = op('aten::rsub.Scalar');
const mul = op('aten::mul.Tensor');
const mulScalar = op('aten::mul.Scalar');
const div = op('aten::div.Tensor');
const divScalar = op('aten::div.Scalar');
const addInPlace = op('aten::add_.Tensor');
const addScalarInPlace = op('aten::add_.Scalar');
const mulInPlace = op('aten::mul_.Tensor');
const mulScalarInPlace = op('aten::mul_.Scalar');
const powScalar = op('aten::pow.Tensor_Scalar');
const compare = {
  eq: [op('aten::eq.Tensor'), op('aten::eq.Scalar')],
  ne: [op('aten::ne.Tensor'), op('aten::ne.Scalar')],
  gt: [op('aten::gt.Tensor'), op('aten::gt.Scalar')],
  ge: [op('aten::ge.Tensor'), op('aten::ge.Scalar')],
  lt: [op('aten::lt.Tensor'), op('aten::lt.Scalar')],
  le: [op('aten::le.Tensor'), op('aten::le.Scalar')],
} as const;
const unary = {
  neg: op('aten::neg'),
  abs: op('aten::abs'),
  exp: op('aten::exp'),
  log: op('aten::log'),
  log1p: op('aten::log1p'),
  sqrt: op('aten::sqrt'),
  rsqrt: op('aten::rsqrt'),
  sin: op('aten::sin'),
  cos: op('aten::cos'),
  tanh: op('aten::tanh'),
  sigmoid: op('aten::sigmoid'),
  relu: op('aten::relu'),
  silu: op('aten::silu'),
  floor: op('aten::floor'),
  round: op('aten::round'),
  sign: op('aten::sign'),
  logSigmoid: op('aten::log_sigmoid'),
  logicalNot: op('aten::logical_not'),
  isfinite: op('aten::isfinite'),
  detach: op('aten::detach'),
  t: op('aten::t'),
} as const;
const logicalAnd = op('aten::logical_and');
const logicalOr = op('aten::logical_or');
const gelu = op('aten::gelu');
const softplus = op('aten::softplus');
const clamp = op('aten::clamp');
const softmax = op('aten::softmax.int');
const logSoftmax = op('aten::log_softmax.int');
const matmul = op('aten::matmul');
const bmm = op('aten::bmm');
const transpose = op('aten::transpose.int');
const permute = op('aten::permute');
const reshape = op('aten::reshape');
const view = op('aten::view');
const flatten = op('aten::flatten.using_ints');
const squeeze = op('aten::squeeze');
const squeezeDim = op('aten::squeeze.dim');
const unsqueeze = op('aten::unsqueeze');
const expand = op('aten::expand');
const repeat = op('aten::repeat');
const repeatInterleave = op('aten::repeat_interleave.self_int');
const contiguous = op('aten::contiguous');
const clone = op('aten::clone');
const select = op('aten::select.int');
const slice = op('aten::slice.Tensor');
const indexSelect = op('aten::index_select');
const index = op('aten::index.Tensor');
const gather = op('aten::gather');
const split = op<Tensor[]>('aten::split.Tensor');
const unbind = op<Tensor[]>('aten::unbind.int');
const chunk = op<Tensor[]>('aten::chunk');
const flip = op('aten::flip');
const sum = op('aten::sum');
const sumDim = op('aten::sum.dim_IntList');
const mean = op('aten::mean');
const meanDim = op('aten::mean.dim');
const variance = op('aten::var.dim');
const amax = op('aten::amax');
const amin = op('aten::amin');
const maxDim = op<[Tensor, Tensor]>('aten::max.dim');
const argmax = op('aten::argmax');
const topk = op<[Tensor, Tensor]>('aten::topk');
const sort = op<[Tensor, Tensor]>('aten::sort');
const norm = op('aten::norm.Scalar');
const any = op('aten::any');
const all = op('aten::all');
const cumsum = op('aten::cumsum');
const maximum = op('aten::maximum');
const minimum = op('aten::minimum');
const maskedFill = op('aten::masked_fill.Scalar');
const copyInPlace = op('aten::copy_');
const zeroInPlace = op('aten::zero_');
const fillInPlace = op('aten::fill_.Scalar');
const uniformInPlace = op('aten::uniform_');
const normalInPlace = op('aten::normal_');
const toDtype = op('aten::to.dtype');
const toDevice = op('aten::to.device');

export class Tensor extends TensorHandle {
  #description: readonly [Dtype, string, readonly number[]] | undefined;

  #describe(): readonly [Dtype, string, readonly number[]] {
    if (this.#description === undefined) {
      const [code, device, ...shape] = native().describe(this.handle);
      const dtype = dtypeName(code);
      if (dtype === undefined)
        throw new EngineError(`a tensor of element type ${code} has no JavaScript form`);
      this.#description = [dtype, device, shape];
    }
    return this.#description;
  }

  override takeOver(other: TensorHandle): void {
    super.takeOver(other);
    this.#description = undefined;
  }

  get shape(): readonly number[] {
    return this.#describe()[2];
  }
  get dtype(): Dtype {
    return this.#describe()[0];
  }
  /** `cpu`, `cuda:0`. */
  get device(): string {
    return this.#describe()[1];
  }
  get ndim(): number {
    return this.shape.length;
  }
  get numel(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }
  /** Size of dimension `dim`; negative counts from the end. */
  size(dim: number): number {
    const size = this.shape.at(dim);
    if (size === undefined)
      throw new EngineError(`size: dimension ${dim} of a tensor with ${this.ndim} dimensions`);
    return size;
  }

  // Gradients -----------------------------------------------------------------------------------------------------

  get requiresGrad(): boolean {
    return native().requiresGrad(this.handle);
  }
  set requiresGrad(value: boolean) {
    engineCall('requiresGrad', () => native().setRequiresGrad(this.handle, value));
  }
  get isLeaf(): boolean {
    return native().isLeaf(this.handle);
  }
  /** The accumulated gradient, or null. Each reading gives a new Tensor on the same memory. */
  get grad(): Tensor | null {
    const handle = native().getGradient(this.handle);
    return handle === null ? null : new Tensor(handle);
  }
  set grad(value: Tensor | null) {
    engineCall('grad', () => native().setGradient(this.handle, value === null ? null : value.handle));
  }
  /** Adds d(this)/d(leaf) to the `grad` of every leaf that requires one. `gradient`: needed unless `this` is a scalar. */
  backward(gradient?: Tensor, options: { retainGraph?: boolean; createGraph?: boolean } = {}): void {
    const { createGraph = false, retainGraph = createGraph } = options;
    engineCall('backward', () =>
      native().backward([this.handle], [gradient?.handle ?? null], retainGraph, createGraph),
    );
  }
  detach(): Tensor {
    return unary.detach(this);
  }

  // Memory --------------------------------------------------------------------------------------------------------

  /** A copy of the elements, row-major. float16/bfloat16 as bits, int64 as BigInt64Array, bool as 0/1 bytes. */
  toTypedArray(): TypedArray {
    return DTYPES[this.dtype].view(engineCall('toTypedArray', () => native().toBuffer(this.handle)));
  }
  /** A copy of the elements as float32, whatever the element type. */
  toFloat32Array(): Float32Array<ArrayBuffer> {
    if (this.dtype === 'float32') return this.toTypedArray() as Float32Array<ArrayBuffer>;
    const converted = this.to('float32');
    const result = converted.toTypedArray() as Float32Array<ArrayBuffer>;
    if (converted !== this) converted.dispose();
    return result;
  }
  /**
   * The elements without a copy where the engine and the runtime allow it (contiguous, on the CPU), else a copy.
   * Writing to it changes the tensor; the memory lives as long as the array.
   */
  asTypedArray(): TypedArray {
    const buffer = native().viewBuffer(this.handle);
    return buffer === null ? this.toTypedArray() : DTYPES[this.dtype].view(buffer);
  }
  /** Overwrites the elements from an array of the same element type and count, row-major. */
  copyFrom(source: TypedArray): this {
    const expected = DTYPES[this.dtype].view(new ArrayBuffer(0)).constructor;
    if (source.constructor !== expected || source.length !== this.numel) {
      throw new EngineError(
        `copyFrom: ${source.constructor.name} of ${source.length} given, ${expected.name} of ${this.numel} needed`,
      );
    }
    engineCall('copyFrom', () => native().copyFrom(this.handle, source.buffer, source.byteOffset));
    return this;
  }
  /** The only element, as a number (a bool as 0 or 1). */
  item(): number {
    return Number(engineCall('item', () => native().item(this.handle)));
  }
  /** The same values with another element type or on another device; `this` if nothing changes. */
  to(target: Dtype | 'cpu' | `cuda${string}`, options: { nonBlocking?: boolean } = {}): Tensor {
    const nonBlocking = options.nonBlocking ?? false;
    if (target in DTYPES) return target === this.dtype ? this : toDtype(this, target, nonBlocking);
    const same = this.device === target || (target === 'cuda' && this.device.startsWith('cuda'));
    return same ? this : toDevice(this, target, this.dtype, nonBlocking);
  }
  clone(): Tensor {
    return clone(this);
  }
  contiguous(format?: MemoryFormat): Tensor {
    return contiguous(this, format);
  }

  // Arithmetic ----------------------------------------------------------------------------------------------------

  /** this + alpha * other */
  add(other: Operand, alpha: Number_ = 1): Tensor {
    return other instanceof Tensor ? add(this, other, alpha) : addScalar(this, other, alpha);
  }
  /** this - alpha * other */
  sub(other: Operand, alpha: Number_ = 1): Tensor {
    return other instanceof Tensor ? sub(this, other, alpha) : subScalar(this, other, alpha);
  }
  /** other - this */
  rsub(other: number): Tensor {
    return rsubScalar(this, other);
  }
  mul(other: Operand): Tensor {
    return other instanceof Tensor ? mul(this, other) : mulScalar(this, other);
  }
  div(other: Operand): Tensor {
    return other instanceof Tensor ? div(this, other) : divScalar(this, other);
  }
  pow(exponent: number): Tensor {
    return powScalar(this, exponent);
  }
  neg(): Tensor {
    return unary.neg(this);
  }
  abs(): Tensor {
    return unary.abs(this);
  }
  exp(): Tensor {
    return unary.exp(this);
  }
  log(): Tensor {
    return unary.log(this);
  }
  log1p(): Tensor {
    return unary.log1p(this);
  }
  sqrt(): Tensor {
    return unary.sqrt(this);
  }
  rsqrt(): Tensor {
    return unary.rsqrt(this);
  }
  sin(): Tensor {
    return unary.sin(this);
  }
  cos(): Tensor {
    return unary.cos(this);
  }
  floor(): Tensor {
    return unary.floor(this);
  }
  round(): Tensor {
    return unary.round(this);
  }
  sign(): Tensor {
    return unary.sign(this);
  }
  clamp(min: number | null, max: number | null = null): Tensor {
    return clamp(this, min, max);
  }
  maximum(other: Tensor): Tensor {
    return maximum(this, other);
  }
  minimum(other: Tensor): Tensor {
    return minimum(this, other);
  }
  matmul(other: Tensor): Tensor {
    return matmul(this, other);
  }
  bmm(other: Tensor): Tensor {
    return bmm(this, other);
  }

  // Activations ---------------------------------------------------------------------------------------------------

  relu(): Tensor {
    return unary.relu(this);
  }
  silu(): Tensor {
    return unary.silu(this);
  }
  gelu(approximate: 'none' | 'tanh' = 'none'): Tensor {
    return gelu(this, approximate);
  }
  sigmoid(): Tensor {
    return unary.sigmoid(this);
  }
  logSigmoid(): Tensor {
    return unary.logSigmoid(this);
  }
  softplus(): Tensor {
    return softplus(this);
  }
  tanh(): Tensor {
    return unary.tanh(this);
  }
  softmax(dim: number): Tensor {
    return softmax(this, dim);
  }
  logSoftmax(dim: number): Tensor {
    return logSoftmax(this, dim);
  }

  // Comparison ----------------------------------------------------------------------------------------------------

  eq(other: Operand): Tensor {
    return compare.eq[other instanceof Tensor ? 0 : 1](this, other);
  }
  ne(other: Operand): Tensor {
    return compare.ne[other instanceof Tensor ? 0 : 1](this, other);
  }
  gt(other: Operand): Tensor {
    return compare.gt[other instanceof Tensor ? 0 : 1](this, other);
  }
  ge(other: Operand): Tensor {
    return compare.ge[other instanceof Tensor ? 0 : 1](this, other);
  }
  lt(other: Operand): Tensor {
    return compare.lt[other instanceof Tensor ? 0 : 1](this, other);
  }
  le(other: Operand): Tensor {
    return compare.le[other instanceof Tensor ? 0 : 1](this, other);
  }
  logicalNot(): Tensor {
    return unary.logicalNot(this);
  }
  logicalAnd(other: Tensor): Tensor {
    return logicalAnd(this, other);
  }
  logicalOr(other: Tensor): Tensor {
    return logicalOr(this, other);
  }
  isfinite(): Tensor {
    return unary.isfinite(this);
  }
  any(): Tensor {
    return any(this);
  }
  all(): Tensor {
    return all(this);
  }
  maskedFill(mask: Tensor, value: number): Tensor {
    return maskedFill(this, mask, value);
  }

  // Shape ---------------------------------------------------------------------------------------------------------

  reshape(shape: readonly number[]): Tensor {
    return reshape(this, shape);
  }
  view(shape: readonly number[]): Tensor {
    return view(this, shape);
  }
  flatten(startDim = 0, endDim = -1): Tensor {
    return flatten(this, startDim, endDim);
  }
  transpose(a: number, b: number): Tensor {
    return transpose(this, a, b);
  }
  t(): Tensor {
    return unary.t(this);
  }
  permute(dims: readonly number[]): Tensor {
    return permute(this, dims);
  }
  squeeze(dim?: number): Tensor {
    return dim === undefined ? squeeze(this) : squeezeDim(this, dim);
  }
  unsqueeze(dim: number): Tensor {
    return unsqueeze(this, dim);
  }
  expand(shape: readonly number[]): Tensor {
    return expand(this, shape);
  }
  repeat(times: readonly number[]): Tensor {
    return repeat(this, times);
  }
  /** Each element along `dim` `times` times in a row. */
  repeatInterleave(times: number, dim: number): Tensor {
    return repeatInterleave(this, times, dim);
  }
  flip(dims: readonly number[]): Tensor {
    return flip(this, dims);
  }
  split(size: number, dim = 0): Tensor[] {
    return split(this, size, dim);
  }
  chunk(count: number, dim = 0): Tensor[] {
    return chunk(this, count, dim);
  }
  unbind(dim = 0): Tensor[] {
    return unbind(this, dim);
  }

  // Picking -------------------------------------------------------------------------------------------------------

  select(dim: number, position: number): Tensor {
    return select(this, dim, position);
  }
  /** Positions start..end (exclusive) of `dim` by `step`; negative positions count from the end. */
  slice(dim: number, start: number | null = null, end: number | null = null, step = 1): Tensor {
    return slice(this, dim, start, end, step);
  }
  indexSelect(dim: number, positions: Tensor): Tensor {
    return indexSelect(this, dim, positions);
  }
  /** Advanced indexing: one index tensor (or null: everything) a dimension. */
  index(positions: readonly (Tensor | null)[]): Tensor {
    return index(this, positions);
  }
  gather(dim: number, positions: Tensor): Tensor {
    return gather(this, dim, positions);
  }

  // Reduction -----------------------------------------------------------------------------------------------------

  sum(dims?: number | readonly number[], keepdim = false): Tensor {
    return dims === undefined ? sum(this) : sumDim(this, asList(dims), keepdim);
  }
  mean(dims?: number | readonly number[], keepdim = false): Tensor {
    return dims === undefined ? mean(this) : meanDim(this, asList(dims), keepdim);
  }
  /** Variance; `unbiased` divides by n - 1. */
  var(dims: number | readonly number[], options: { unbiased?: boolean; keepdim?: boolean } = {}): Tensor {
    return variance(this, asList(dims), options.unbiased ?? true, options.keepdim ?? false);
  }
  amax(dims: number | readonly number[] = [], keepdim = false): Tensor {
    return amax(this, asList(dims), keepdim);
  }
  amin(dims: number | readonly number[] = [], keepdim = false): Tensor {
    return amin(this, asList(dims), keepdim);
  }
  /** Largest values along `dim` and where they are (int64). */
  max(dim: number, keepdim = false): [Tensor, Tensor] {
    return maxDim(this, dim, keepdim);
  }
  argmax(dim: number | null = null, keepdim = false): Tensor {
    return argmax(this, dim, keepdim);
  }
  topk(k: number, dim = -1, largest = true): [Tensor, Tensor] {
    return topk(this, k, dim, largest, true);
  }
  sort(dim = -1, descending = false): [Tensor, Tensor] {
    return sort(this, dim, descending);
  }
  cumsum(dim: number): Tensor {
    return cumsum(this, dim);
  }
  /** The p-norm of all elements. */
  norm(p = 2): Tensor {
    return norm(this, p);
  }

  // In place ------------------------------------------------------------------------------------------------------

  add_(other: Operand, alpha: Number_ = 1): this {
    if (other instanceof Tensor) addInPlace(this, other, alpha);
    else addScalarInPlace(this, other, alpha);
    return this;
  }
  mul_(other: Operand): this {
    if (other instanceof Tensor) mulInPlace(this, other);
    else mulScalarInPlace(this, other);
    return this;
  }
  copy_(source: Tensor): this {
    copyInPlace(this, source);
    return this;
  }
  zero_(): this {
    zeroInPlace(this);
    return this;
  }
  fill_(value: number): this {
    fillInPlace(this, value);
    return this;
  }
  uniform_(low = 0, high = 1, generator?: Generator): this {
    uniformInPlace(this, low, high, generator);
    return this;
  }
  normal_(meanValue = 0, sd = 1, generator?: Generator): this {
    normalInPlace(this, meanValue, sd, generator);
    return this;
  }
}

function asList(dims: number | readonly number[]): readonly number[] {
  return typeof dims === 'number' ? [dims] : dims;
}
