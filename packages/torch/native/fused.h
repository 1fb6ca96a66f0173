// What the fused layers share: whether they may take a tensor, and how optional tensors come and results go.
#pragma once

#include "env.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>

namespace maskrank {

inline bool autocastsOnCpu() {
#if MASKRANK_TORCH_AT_LEAST(2, 4)
  return at::autocast::is_autocast_enabled(at::kCPU);
#else
  return at::autocast::is_cpu_enabled();
#endif
}

// Float32 in this machine's memory, and no gradient will be asked for. Undefined tensors do not object.
inline bool isPlain(const at::Tensor& tensor) {
  if (!tensor.defined()) return true;
  const bool recorded = at::GradMode::is_enabled() && tensor.requires_grad();
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided && !recorded;
}

template <typename... Tensors>
bool arePlain(const Tensors&... tensors) {
  return !autocastsOnCpu() && (isPlain(tensors) && ...);
}

inline at::Tensor optionalTensor(const Napi::CallbackInfo& info, size_t index) {
  return info[index].IsNumber() ? tensorArgument(info, index) : at::Tensor();
}

inline Napi::Value handleOf(const Napi::CallbackInfo& info, at::Tensor tensor) {
  return Napi::Number::New(info.Env(), Environment::of(info.Env()).add(std::move(tensor)));
}

}  // namespace maskrank
