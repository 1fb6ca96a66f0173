// Plain image types shared by every part: typed arrays with their size, nothing else.
// Row-major; pixel (x, y) covers the area [x, x+1) x [y, y+1), its centre is (x+0.5, y+0.5).
// Not here: how they are read (formats/), how they are resized (resample, geometry).

/** 8-bit, 16-bit or float image, row-major, channels interleaved: index `(y * width + x) * channels + c`. */
export type Image<T extends Uint8Array | Uint16Array | Float32Array = Uint8Array> = {
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 colour (RGB unless a function says otherwise). */
  readonly channels: 1 | 3;
  readonly data: T;
};

/** Binary mask: every value is 0 or 1, index `y * width + x`. */
export type Mask = {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
};

/** Class-coded mask: 0 background, small ids for classes, index `y * width + x`. */
export type LabelMap = {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
};

/** Per-pixel real values (logits, probabilities, saliency), index `y * width + x`. */
export type FloatMap = {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
};

/** Box in pixels; `x1` and `y1` are exclusive, so width is `x1 - x0`. */
export type Box = {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
};

/** Point prompt in pixels: 1 foreground, 0 background. */
export type Point = {
  readonly x: number;
  readonly y: number;
  readonly label: 0 | 1;
};

/** Width and height in pixels. */
export type Size = {
  readonly width: number;
  readonly height: number;
};
