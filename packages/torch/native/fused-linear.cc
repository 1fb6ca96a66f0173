// A linear map with what follows it in a transformer: activation(x weight' + bias) + residual. The product's rows are finished
// by the thread that computed them, without a pool of threads, a tensor and a pass over memory for every operator.
// Not here: gradients, autocast, other devices and element types (the answer is null, and src/nn/fused.ts composes
// operators), the arithmetic on rows (rows.h), who does what (parallel.h).
// Shapes: M rows, K inputs, N outputs.
#include "fused.h"
#include "parallel.h"
#include "rows.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <vector>

namespace maskrank {

namespace {

// Rows of one task, at least: rearranging the weight for a product, once a task, must not count.
constexpr int64_t kLeastRows = 256;

struct Following {
  const at::Tensor& bias;
  Activation activation;
  const at::Tensor& residual;
};

bool fits(const at::Tensor& x, const at::Tensor& weight, const Following& then, at::IntArrayRef shape) {
  const auto& [bias, activation, residual] = then;
  if (x.numel() == 0 || weight.dim() != 2 || x.size(-1) != weight.size(1)) return false;
  if (bias.defined() && (bias.sizes() != at::IntArrayRef{weight.size(0)} || !bias.is_contiguous())) return false;
  return !residual.defined() || (residual.sizes() == shape);
}

const float* dataOf(const at::Tensor& tensor, int64_t offset = 0) {
  return tensor.defined() ? tensor.data_ptr<float>() + offset : nullptr;
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const Following& then, at::IntArrayRef shape) {
  const int64_t outputs = weight.size(0);
  at::Tensor result = at::empty(shape, x.options());
  const at::Tensor in = x.reshape({-1, x.size(-1)});  // [M, K]
  const at::Tensor out = result.view({-1, outputs});  // [M, N]
  const at::Tensor transposed = weight.t();           // [K, N]
  const int64_t rows = in.size(0);
  const int64_t tasks = parallelWorkers(rows / kLeastRows);
  parallelTasks(tasks, [&](int64_t task, int64_t) {
    const int64_t begin = rows * task / tasks;
    const int64_t count = rows * (task + 1) / tasks - begin;
    at::Tensor part = out.narrow(0, begin, count);
    at::mm_out(part, in.narrow(0, begin, count), transposed);
    finishRows(part.data_ptr<float>(), count, outputs, dataOf(then.bias), dataOf(then.residual, begin * outputs), then.activation);
  });
  return result;
}

// fusedLinear(x [..., K], weight [N, K], bias [N] or null, activation, residual [..., N] or null): [..., N], or null where
// operators have to be composed.
Napi::Value FusedLinear(const Napi::CallbackInfo& info) {
  const at::Tensor x = tensorArgument(info, 0);
  const at::Tensor weight = tensorArgument(info, 1);
  const at::Tensor bias = optionalTensor(info, 2);
  at::Tensor residual = optionalTensor(info, 4);
  const Following then{bias, static_cast<Activation>(info[3].As<Napi::Number>().Int32Value()), residual};
  if (!arePlain(x, weight, bias, residual) || x.dim() == 0) return info.Env().Null();
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  if (!fits(x, weight, then, shape)) return info.Env().Null();
  const at::NoGradGuard unrecorded;
  if (residual.defined()) residual = residual.contiguous();
  return handleOf(info, linear(x, weight, then, shape));
}

}  // namespace

void registerFusedLinear(Napi::Object exports) { define<FusedLinear>(exports, "fusedLinear"); }

}  // namespace maskrank
