// Tensor: a native tensor with the operators maskrank uses as typed methods, and `op` for every other one.
// Methods carry ATen's names in camelCase and ATen's meaning; in-place ones end in an underscore and return `this`.
// Not here: factories (factories.ts), gradients of functions (autograd.ts), layers (nn/).

import type { MemoryFormat } from './dispatch.ts';
import { arrayName, DTYPES, type Dtype, dtypeName, type TypedArray, unshared } from './dtype.ts';
import { EngineError } from './errors.ts';
import { TensorHandle } from './handle.ts';
import { native } from './native.ts';
import { wrapHandlesWith } from './op.ts';
import { aten } from './operators.ts';
import type { Generator } from './random.ts';

export { op } from './op.ts';

type Number_ = number | bigint;
type Operand = Tensor | number;

export class Tensor extends TensorHandle {
  #description: readonly [Dtype, string, readonly number[]] | undefined;

  #describe(): readonly [Dtype, string, readonly number[]] {
    if (this.#description === undefined) {
      const described = native().describe(this.handle);
      const dtype = dtypeName(described[0]);
      if (dtype === undefined)
        throw new EngineError(`a tensor of element type ${described[0]} has no JavaScript form`);
      this.#description = [dtype, described[1], described.slice(2) as number[]];
    }
    return this.#description;
  }

  override forgetDescription(): void {
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
    native().setRequiresGrad(this.handle, value);
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
    native().setGradient(this.handle, value === null ? null : value.handle);
  }
  /** Adds d(this)/d(leaf) to the `grad` of every leaf that requires one. `gradient`: needed unless `this` is a scalar. */
  backward(gradient?: Tensor, options: { retainGraph?: boolean; createGraph?: boolean } = {}): void {
    const { createGraph = false, retainGraph = createGraph } = options;
    native().backward([this.handle], [gradient?.handle ?? null], retainGraph, createGraph);
  }
  /** Keeps the gradient that `backward` brings to a tensor that is no leaf, too. */
  retainGrad(): this {
    native().retainGradient(this.handle);
    return this;
  }
  /** Sets `requiresGrad`; for chains. */
  requiresGrad_(value = true): this {
    this.requiresGrad = value;
    return this;
  }
  /** The same elements, cut off from the history of gradients. */
  detach(): Tensor {
    return aten.detach(this);
  }

  // Memory --------------------------------------------------------------------------------------------------------

  /** A copy of the elements, row-major. float16/bfloat16 as bits, int64 as BigInt64Array, bool as 0/1 bytes. */
  toTypedArray(): TypedArray {
    return DTYPES[this.dtype].view(native().toBuffer(this.handle));
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
    const { constructor: expected } = DTYPES[this.dtype].view(new ArrayBuffer(0));
    if (arrayName(source) !== expected.name || source.length !== this.numel) {
      throw new EngineError(
        `copyFrom: ${arrayName(source)} of ${source.length} given, ${expected.name} of ${this.numel} needed`,
      );
    }
    const { buffer, byteOffset } = unshared(source);
    native().copyFrom(this.handle, buffer, byteOffset);
    return this;
  }
  /** The only element, as a number (a bool as 0 or 1). */
  item(): number {
    return Number(native().item(this.handle));
  }
  /** The same values with another element type or on another device; `this` if nothing changes. */
  to(target: Dtype | 'cpu' | `cuda${string}`, options: { nonBlocking?: boolean } = {}): Tensor {
    const nonBlocking = options.nonBlocking ?? false;
    if (target in DTYPES) return target === this.dtype ? this : aten.toDtype(this, target, nonBlocking);
    const same = this.device === target || (target === 'cuda' && this.device.startsWith('cuda'));
    return same ? this : aten.toDevice(this, target, this.dtype, nonBlocking);
  }
  clone(): Tensor {
    return aten.clone(this);
  }
  contiguous(format?: MemoryFormat): Tensor {
    return aten.contiguous(this, format);
  }

  // Arithmetic ----------------------------------------------------------------------------------------------------

  /** this + alpha * other */
  add(other: Operand, alpha: Number_ = 1): Tensor {
    return other instanceof Tensor ? aten.add(this, other, alpha) : aten.addScalar(this, other, alpha);
  }
  /** this - alpha * other */
  sub(other: Operand, alpha: Number_ = 1): Tensor {
    return other instanceof Tensor ? aten.sub(this, other, alpha) : aten.subScalar(this, other, alpha);
  }
  /** other - this */
  rsub(other: number): Tensor {
    return aten.rsubScalar(this, other);
  }
  mul(other: Operand): Tensor {
    return other instanceof Tensor ? aten.mul(this, other) : aten.mulScalar(this, other);
  }
  div(other: Operand): Tensor {
    return other instanceof Tensor ? aten.div(this, other) : aten.divScalar(this, other);
  }
  pow(exponent: Operand): Tensor {
    return exponent instanceof Tensor ? aten.pow(this, exponent) : aten.powScalar(this, exponent);
  }
  neg(): Tensor {
    return aten.neg(this);
  }
  abs(): Tensor {
    return aten.abs(this);
  }
  exp(): Tensor {
    return aten.exp(this);
  }
  log(): Tensor {
    return aten.log(this);
  }
  log1p(): Tensor {
    return aten.log1p(this);
  }
  sqrt(): Tensor {
    return aten.sqrt(this);
  }
  rsqrt(): Tensor {
    return aten.rsqrt(this);
  }
  sin(): Tensor {
    return aten.sin(this);
  }
  cos(): Tensor {
    return aten.cos(this);
  }
  floor(): Tensor {
    return aten.floor(this);
  }
  round(): Tensor {
    return aten.round(this);
  }
  sign(): Tensor {
    return aten.sign(this);
  }
  clamp(min: number | null, max: number | null = null): Tensor {
    return aten.clamp(this, min, max);
  }
  maximum(other: Tensor): Tensor {
    return aten.maximum(this, other);
  }
  minimum(other: Tensor): Tensor {
    return aten.minimum(this, other);
  }
  matmul(other: Tensor): Tensor {
    return aten.matmul(this, other);
  }
  bmm(other: Tensor): Tensor {
    return aten.bmm(this, other);
  }

  // Activations ---------------------------------------------------------------------------------------------------

  relu(): Tensor {
    return aten.relu(this);
  }
  silu(): Tensor {
    return aten.silu(this);
  }
  gelu(approximate: 'none' | 'tanh' = 'none'): Tensor {
    // On a flat view: libtorch 1.13 with oneDNN gives wrong gradients, silently, where the incoming gradient is laid out
    // otherwise than the input.
    return aten.view(aten.gelu(aten.reshape(this, [-1]), approximate), this.shape);
  }
  sigmoid(): Tensor {
    return aten.sigmoid(this);
  }
  logSigmoid(): Tensor {
    return aten.logSigmoid(this);
  }
  softplus(): Tensor {
    return aten.softplus(this);
  }
  tanh(): Tensor {
    return aten.tanh(this);
  }
  softmax(dim: number): Tensor {
    return aten.softmax(this, dim);
  }
  logSoftmax(dim: number): Tensor {
    return aten.logSoftmax(this, dim);
  }

  // Comparison ----------------------------------------------------------------------------------------------------

  eq(other: Operand): Tensor {
    return other instanceof Tensor ? aten.eq(this, other) : aten.eqScalar(this, other);
  }
  ne(other: Operand): Tensor {
    return other instanceof Tensor ? aten.ne(this, other) : aten.neScalar(this, other);
  }
  gt(other: Operand): Tensor {
    return other instanceof Tensor ? aten.gt(this, other) : aten.gtScalar(this, other);
  }
  ge(other: Operand): Tensor {
    return other instanceof Tensor ? aten.ge(this, other) : aten.geScalar(this, other);
  }
  lt(other: Operand): Tensor {
    return other instanceof Tensor ? aten.lt(this, other) : aten.ltScalar(this, other);
  }
  le(other: Operand): Tensor {
    return other instanceof Tensor ? aten.le(this, other) : aten.leScalar(this, other);
  }
  logicalNot(): Tensor {
    return aten.logicalNot(this);
  }
  logicalAnd(other: Tensor): Tensor {
    return aten.logicalAnd(this, other);
  }
  logicalOr(other: Tensor): Tensor {
    return aten.logicalOr(this, other);
  }
  isfinite(): Tensor {
    return aten.isfinite(this);
  }
  any(): Tensor {
    return aten.any(this);
  }
  all(): Tensor {
    return aten.all(this);
  }
  maskedFill(mask: Tensor, value: number): Tensor {
    return aten.maskedFill(this, mask, value);
  }

  // Shape ---------------------------------------------------------------------------------------------------------

  reshape(shape: readonly number[]): Tensor {
    return aten.reshape(this, shape);
  }
  view(shape: readonly number[]): Tensor {
    return aten.view(this, shape);
  }
  flatten(startDim = 0, endDim = -1): Tensor {
    return aten.flatten(this, startDim, endDim);
  }
  transpose(a: number, b: number): Tensor {
    return aten.transpose(this, a, b);
  }
  t(): Tensor {
    return aten.t(this);
  }
  permute(dims: readonly number[]): Tensor {
    return aten.permute(this, dims);
  }
  squeeze(dim?: number): Tensor {
    return dim === undefined ? aten.squeeze(this) : aten.squeezeDim(this, dim);
  }
  unsqueeze(dim: number): Tensor {
    return aten.unsqueeze(this, dim);
  }
  expand(shape: readonly number[]): Tensor {
    return aten.expand(this, shape);
  }
  repeat(times: readonly number[]): Tensor {
    return aten.repeat(this, times);
  }
  /** Each element along `dim` `times` times in a row. */
  repeatInterleave(times: number, dim: number): Tensor {
    return aten.repeatInterleave(this, times, dim);
  }
  flip(dims: readonly number[]): Tensor {
    return aten.flip(this, dims);
  }
  split(size: number, dim = 0): Tensor[] {
    return aten.split(this, size, dim);
  }
  chunk(count: number, dim = 0): Tensor[] {
    return aten.chunk(this, count, dim);
  }
  unbind(dim = 0): Tensor[] {
    return aten.unbind(this, dim);
  }

  // Picking -------------------------------------------------------------------------------------------------------

  select(dim: number, position: number): Tensor {
    return aten.select(this, dim, position);
  }
  /** Positions start..end (exclusive) of `dim` by `step`; negative positions count from the end. */
  slice(dim: number, start: number | null = null, end: number | null = null, step = 1): Tensor {
    return aten.slice(this, dim, start, end, step);
  }
  indexSelect(dim: number, positions: Tensor): Tensor {
    return aten.indexSelect(this, dim, positions);
  }
  /** Advanced indexing: one index tensor (or null: everything) a dimension. */
  index(positions: readonly (Tensor | null)[]): Tensor {
    return aten.index(this, positions);
  }
  gather(dim: number, positions: Tensor): Tensor {
    return aten.gather(this, dim, positions);
  }

  // Reduction -----------------------------------------------------------------------------------------------------

  sum(dims?: number | readonly number[], keepdim = false): Tensor {
    return dims === undefined ? aten.sum(this) : aten.sumDim(this, asList(dims), keepdim);
  }
  mean(dims?: number | readonly number[], keepdim = false): Tensor {
    return dims === undefined ? aten.mean(this) : aten.meanDim(this, asList(dims), keepdim);
  }
  /** Variance; `unbiased` divides by n - 1. */
  var(dims: number | readonly number[], options: { unbiased?: boolean; keepdim?: boolean } = {}): Tensor {
    return aten.var(this, asList(dims), options.unbiased ?? true, options.keepdim ?? false);
  }
  amax(dims: number | readonly number[] = [], keepdim = false): Tensor {
    return aten.amax(this, asList(dims), keepdim);
  }
  amin(dims: number | readonly number[] = [], keepdim = false): Tensor {
    return aten.amin(this, asList(dims), keepdim);
  }
  /** Largest values along `dim` and where they are (int64). */
  max(dim: number, keepdim = false): [Tensor, Tensor] {
    return aten.maxDim(this, dim, keepdim);
  }
  /** Smallest values along `dim` and where they are (int64). */
  min(dim: number, keepdim = false): [Tensor, Tensor] {
    return aten.minDim(this, dim, keepdim);
  }
  /** Where the largest element is (int64): along `dim`, or in the flattened tensor. */
  argmax(dim: number | null = null, keepdim = false): Tensor {
    return aten.argmax(this, dim, keepdim);
  }
  topk(k: number, dim = -1, largest = true): [Tensor, Tensor] {
    return aten.topk(this, k, dim, largest, true);
  }
  sort(dim = -1, descending = false): [Tensor, Tensor] {
    return aten.sort(this, dim, descending);
  }
  cumsum(dim: number): Tensor {
    return aten.cumsum(this, dim);
  }
  /** The p-norm of all elements. */
  norm(p = 2): Tensor {
    return aten.norm(this, p);
  }

  // In place ------------------------------------------------------------------------------------------------------

  /** this += alpha * other */
  add_(other: Operand, alpha: Number_ = 1): this {
    if (other instanceof Tensor) aten.addInPlace(this, other, alpha);
    else aten.addScalarInPlace(this, other, alpha);
    return this;
  }
  /** this -= alpha * other */
  sub_(other: Operand, alpha: Number_ = 1): this {
    if (other instanceof Tensor) aten.subInPlace(this, other, alpha);
    else aten.subScalarInPlace(this, other, alpha);
    return this;
  }
  mul_(other: Operand): this {
    if (other instanceof Tensor) aten.mulInPlace(this, other);
    else aten.mulScalarInPlace(this, other);
    return this;
  }
  div_(other: Operand): this {
    if (other instanceof Tensor) aten.divInPlace(this, other);
    else aten.divScalarInPlace(this, other);
    return this;
  }
  /** Takes over the elements of a tensor of a fitting shape, of any element type and device. */
  copy_(source: Tensor): this {
    aten.copyInPlace(this, source);
    return this;
  }
  zero_(): this {
    aten.zeroInPlace(this);
    return this;
  }
  fill_(value: number): this {
    aten.fillInPlace(this, value);
    return this;
  }
  uniform_(low = 0, high = 1, generator?: Generator): this {
    aten.uniformInPlace(this, low, high, generator);
    return this;
  }
  normal_(meanValue = 0, sd = 1, generator?: Generator): this {
    aten.normalInPlace(this, meanValue, sd, generator);
    return this;
  }
}

function asList(dims: number | readonly number[]): readonly number[] {
  return typeof dims === 'number' ? [dims] : dims;
}

wrapHandlesWith((handle) => new Tensor(handle));
