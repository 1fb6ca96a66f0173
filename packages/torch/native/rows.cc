#include "rows.h"

#include <algorithm>
#include <cstring>
#include <limits>

#define MASKRANK_INLINE inline __attribute__((always_inline))
// Vectors are passed between functions that are always inlined: their calling convention does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace maskrank {

namespace generic {
#define MASKRANK_LANES 4
#include "rows-kernels.h"
#undef MASKRANK_LANES
}  // namespace generic

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MASKRANK_BY_PROCESSOR

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#define MASKRANK_LANES 8
#include "rows-kernels.h"
#undef MASKRANK_LANES
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl")
namespace avx512 {
#define MASKRANK_LANES 16
#include "rows-kernels.h"
#undef MASKRANK_LANES
}  // namespace avx512
#pragma GCC pop_options
#endif

namespace {

struct Kernels {
  decltype(&generic::finishRows) finish;
  decltype(&generic::softmaxRows) softmax;
};

Kernels choose() {
#ifdef MASKRANK_BY_PROCESSOR
  __builtin_cpu_init();
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (wide) return {avx512::finishRows, avx512::softmaxRows};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {avx2::finishRows, avx2::softmaxRows};
#endif
  return {generic::finishRows, generic::softmaxRows};
}

const Kernels& kernels() {
  static const Kernels chosen = choose();
  return chosen;
}

}  // namespace

void finishRows(float* y, int64_t rows, int64_t columns, const float* bias, const float* residual, Activation activation) {
  kernels().finish(y, rows, columns, bias, residual, activation);
}

void softmaxRows(float* y, int64_t rows, int64_t columns, int64_t stride, float scale, const float* bias) {
  kernels().softmax(y, rows, columns, stride, scale, bias);
}

}  // namespace maskrank
