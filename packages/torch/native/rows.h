// Arithmetic on rows of float32 between products of matrices, in as few passes over memory as possible. Compiled for several
// instruction sets; the widest that the processor has is chosen when the addon is loaded.
#pragma once

#include <cstdint>

namespace maskrank {

enum class Activation : int { None = 0, Relu, Gelu, QuickGelu };

// y = activation(y + bias) + residual, in place, for `rows` rows of `columns`; bias [columns] and residual [rows, columns] may
// be null. Gelu is x times the normal distribution function, to a relative error below 1e-6 (also far down the negative
// tail, where it is more exact than 1 + erf). QuickGelu is x sigmoid(1.702 x).
void finishRows(float* y, int64_t rows, int64_t columns, const float* bias, const float* residual, Activation activation);

// Columns that rows of `softmaxRows` are rounded up to.
constexpr int64_t kRowMultiple = 16;

// y = softmax(scale y + bias) over each of `rows` rows of `columns`, in place; bias [rows, columns] may be null. Rows lie
// `stride` apart, a multiple of kRowMultiple; what lies between `columns` and `stride` is overwritten. A row without a number
// above -infinity gives NaN, as in libtorch.
void softmaxRows(float* y, int64_t rows, int64_t columns, int64_t stride, float scale, const float* bias);

}  // namespace maskrank
