// The functions of rows.h for vectors of MASKRANK_LANES numbers. No guard: rows.cc includes this once for every instruction
// set, in a namespace of its own. (GCC splits vectors into what a function's target has before it makes `target_clones`.)

constexpr int kLanes = MASKRANK_LANES;
typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef float Unaligned __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

MASKRANK_INLINE Floats splat(float x) { return Floats{} + x; }

// The first `count` numbers from `from`, 1 to kLanes; the others are `fill`.
MASKRANK_INLINE Floats load(const float* from, int64_t count, float fill = 0) {
  if (count >= kLanes) return *reinterpret_cast<const Unaligned*>(from);
  Floats result = splat(fill);
  std::memcpy(&result, from, 4 * count);
  return result;
}

MASKRANK_INLINE void store(float* to, int64_t count, Floats value) {
  if (count >= kLanes) {
    *reinterpret_cast<Unaligned*>(to) = value;
  } else {
    std::memcpy(to, &value, 4 * count);
  }
}

// exp(x + rest) for x up to 88 and a small rest; 0 where it is below 1e-37. NaN stays NaN.
MASKRANK_INLINE Floats exponential(Floats x, Floats rest) {
  constexpr float kLowest = -85;
  // Adding and subtracting 1.5 * 2^23 rounds to whole numbers, whose bits then lie lowest.
  const Floats magic = splat(12582912.0f);
  const Floats bounded = x < kLowest ? splat(kLowest) : x;
  const Floats shifted = bounded * 1.44269504f + magic;
  const Floats n = shifted - magic;
  const Floats r = ((bounded - n * 0.693359375f) - n * -2.12194440e-4f) + rest;  // |r| <= ln(2) / 2 and a little
  Floats p = r * 1.98412698e-4f + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Ints power = ((Ints)shifted - (Ints)magic + 127) << 23;
  const Floats result = p * (Floats)power;
  return x < kLowest ? splat(0) : result;
}

// Normal distribution function at -a for a >= 0: exp(-a^2 / 2) g(a), where g is a polynomial in t = 1 / (1 + 0.35 a) of
// relative error 3e-8 up to a = 15.
MASKRANK_INLINE Floats normalTail(Floats a) {
  const Floats t = 1.0f / (a * 0.35f + 1.0f);
  Floats g = t * -2.916393298e-02f + 1.440608364e-01f;
  g = g * t - 2.559019322e-01f;
  g = g * t + 1.593929879e-01f;
  g = g * t - 2.326388568e-02f;
  g = g * t + 1.055748220e-01f;
  g = g * t + 1.198154934e-01f;
  g = g * t + 1.398643367e-01f;
  g = g * t + 1.396212584e-01f;
  // The square of a's upper bits is exact, so that the exponential loses nothing where its argument is large.
  const Floats upper = (Floats)((Ints)a & 0x7ffff000);
  return g * t * exponential(upper * upper * -0.5f, (a - upper) * (a + upper) * -0.5f);
}

template <Activation activation>
MASKRANK_INLINE Floats activated(Floats x) {
  if (activation == Activation::Relu) return x < 0.0f ? splat(0) : x;
  if (activation == Activation::Gelu) {
    const Floats tail = normalTail((Floats)((Ints)x & 0x7fffffff));
    return x * (x < 0.0f ? tail : 1.0f - tail);
  }
  if (activation == Activation::QuickGelu) {
    const Floats scaled = x * -1.702f;
    return x / (exponential(scaled > 85.0f ? splat(85) : scaled, splat(0)) + 1.0f);
  }
  return x;
}

template <Activation activation>
MASKRANK_INLINE void finish(float* y, int64_t rows, int64_t columns, const float* bias, const float* residual) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < columns; i += kLanes) {
      float* at = y + row * columns + i;
      Floats x = load(at, columns - i);
      if (bias != nullptr) x += load(bias + i, columns - i);
      x = activated<activation>(x);
      if (residual != nullptr) x += load(residual + row * columns + i, columns - i);
      store(at, columns - i, x);
    }
  }
}


void finishRows(float* y, int64_t rows, int64_t columns, const float* bias, const float* residual, Activation activation) {
  switch (activation) {
    case Activation::None: return finish<Activation::None>(y, rows, columns, bias, residual);
    case Activation::Relu: return finish<Activation::Relu>(y, rows, columns, bias, residual);
    case Activation::Gelu: return finish<Activation::Gelu>(y, rows, columns, bias, residual);
    case Activation::QuickGelu: return finish<Activation::QuickGelu>(y, rows, columns, bias, residual);
  }
}

// Lanes of the vector at column `i` that lie beyond `columns` become `fill`.
MASKRANK_INLINE Floats within(Floats x, int64_t i, int64_t columns, float fill) {
  if (columns - i >= kLanes) return x;
  Ints lane;
  for (int32_t k = 0; k < kLanes; ++k) lane[k] = k;
  return lane < static_cast<int32_t>(columns - i) ? x : splat(fill);
}

void softmaxRows(float* y, int64_t rows, int64_t columns, int64_t stride, float scale, const float* bias) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  for (int64_t row = 0; row < rows; ++row) {
    float* logits = y + row * stride;
    Floats highest = splat(kNone);
    for (int64_t i = 0; i < columns; i += kLanes) {
      Floats x = load(logits + i, kLanes) * scale;
      if (bias != nullptr) x += load(bias + row * columns + i, columns - i);
      x = within(x, i, columns, kNone);
      store(logits + i, kLanes, x);
      highest = x > highest ? x : highest;
    }
    float top = highest[0];
    for (int k = 1; k < kLanes; ++k) top = std::max(top, highest[k]);
    Floats sums = splat(0);
    for (int64_t i = 0; i < columns; i += kLanes) {
      const Floats weights = exponential(load(logits + i, kLanes) - top, splat(0));
      sums += weights;
      store(logits + i, kLanes, weights);
    }
    float sum = 0;
    for (int k = 0; k < kLanes; ++k) sum += sums[k];
    const float share = 1.0f / sum;
    for (int64_t i = 0; i < columns; i += kLanes) store(logits + i, kLanes, load(logits + i, kLanes) * share);
  }
}
