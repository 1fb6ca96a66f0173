// Gradients: backward, grad, the gradient mode, requires-grad, and autocast.
#include "env.h"

#include <ATen/Functions.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

namespace maskrank {

namespace {

// A list of handles and nulls.
torch::autograd::variable_list variables(const Napi::CallbackInfo& info, size_t index) {
  const Environment& state = Environment::of(info.Env());
  torch::autograd::variable_list result;
  const Napi::Array array = info[index].As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value element = array.Get(i);
    result.push_back(element.IsNumber() ? state.tensor(element.As<Napi::Number>()) : at::Tensor());
  }
  return result;
}

bool flag(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::Boolean>(); }

Napi::Value handleOrNull(Napi::Env env, const at::Tensor& tensor) {
  if (!tensor.defined()) return env.Null();
  return Napi::Number::New(env, Environment::of(env).add(tensor));
}

// backward(outputs, outputGradients, retainGraph, createGraph)
Napi::Value Backward(const Napi::CallbackInfo& info) {
  torch::autograd::backward(variables(info, 0), variables(info, 1), flag(info, 2), flag(info, 3));
  return info.Env().Undefined();
}

// grad(outputs, inputs, outputGradients, retainGraph, createGraph, allowUnused): a handle or null for each input
Napi::Value Grad(const Napi::CallbackInfo& info) {
  const auto gradients = torch::autograd::grad(variables(info, 0), variables(info, 1), variables(info, 2), flag(info, 3),
                                               flag(info, 4), flag(info, 5));
  Napi::Array result = Napi::Array::New(info.Env(), gradients.size());
  for (uint32_t i = 0; i < gradients.size(); ++i) result[i] = handleOrNull(info.Env(), gradients[i]);
  return result;
}

Napi::Value GetGradient(const Napi::CallbackInfo& info) {
  return handleOrNull(info.Env(), tensorArgument(info, 0).grad());
}

// setGradient(handle, gradient handle or null). Keeps the promise that a gradient lies in memory as its tensor does, which
// the fused update kernels rely on.
Napi::Value SetGradient(const Napi::CallbackInfo& info) {
  const at::Tensor& tensor = tensorArgument(info, 0);
  at::Tensor gradient = info[1].IsNumber() ? tensorArgument(info, 1) : at::Tensor();
  if (gradient.defined()) {
    TORCH_CHECK(gradient.sizes() == tensor.sizes(), "the gradient has shape ", gradient.sizes(), ", the tensor ", tensor.sizes());
    TORCH_CHECK(gradient.scalar_type() == tensor.scalar_type(), "the gradient has type ", gradient.scalar_type(), ", the tensor ",
                tensor.scalar_type());
    TORCH_CHECK(gradient.device() == tensor.device(), "the gradient is on ", gradient.device(), ", the tensor on ", tensor.device());
    if (gradient.strides() != tensor.strides() && !gradient.requires_grad()) {
      const at::NoGradGuard unrecorded;
      gradient = at::empty_strided(tensor.sizes(), tensor.strides(), gradient.options()).copy_(gradient);
    }
  }
  tensor.mutable_grad() = gradient;
  return info.Env().Undefined();
}

// Keeps the gradient of a tensor that is no leaf.
Napi::Value RetainGradient(const Napi::CallbackInfo& info) {
  tensorArgument(info, 0).retain_grad();
  return info.Env().Undefined();
}

Napi::Value RequiresGrad(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), tensorArgument(info, 0).requires_grad());
}

Napi::Value SetRequiresGrad(const Napi::CallbackInfo& info) {
  const at::Tensor& tensor = tensorArgument(info, 0);
  TORCH_CHECK(tensor.is_leaf() || flag(info, 1),
              "only leaves can be told not to require a gradient; use detach() on a tensor that was computed");
  tensor.set_requires_grad(flag(info, 1));
  return info.Env().Undefined();
}

Napi::Value IsLeaf(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), tensorArgument(info, 0).is_leaf());
}

// gradMode(enabled): the mode before.
Napi::Value GradMode(const Napi::CallbackInfo& info) {
  const bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(flag(info, 0));
  return Napi::Boolean::New(info.Env(), before);
}

struct Autocasting {
  bool enabled;
  at::ScalarType dtype;
};

Autocasting autocasting(bool cuda) {
#if MASKRANK_TORCH_AT_LEAST(2, 4)
  const at::DeviceType device = cuda ? at::kCUDA : at::kCPU;
  return {at::autocast::is_autocast_enabled(device), at::autocast::get_autocast_dtype(device)};
#else
  if (cuda) return {at::autocast::is_enabled(), at::autocast::get_autocast_gpu_dtype()};
  return {at::autocast::is_cpu_enabled(), at::autocast::get_autocast_cpu_dtype()};
#endif
}

// The type first: not every version takes every type, and a refusal must change nothing.
void setAutocasting(bool cuda, Autocasting wanted) {
#if MASKRANK_TORCH_AT_LEAST(2, 4)
  const at::DeviceType device = cuda ? at::kCUDA : at::kCPU;
  at::autocast::set_autocast_dtype(device, wanted.dtype);
  at::autocast::set_autocast_enabled(device, wanted.enabled);
#else
  if (cuda) {
    at::autocast::set_autocast_gpu_dtype(wanted.dtype);
    at::autocast::set_enabled(wanted.enabled);
  } else {
    at::autocast::set_autocast_cpu_dtype(wanted.dtype);
    at::autocast::set_cpu_enabled(wanted.enabled);
  }
#endif
}

bool isCuda(const Napi::CallbackInfo& info) { return info[0].As<Napi::String>().Utf8Value() == "cuda"; }

// autocastEnter(device 'cpu'|'cuda', enabled, dtype): [enabled, dtype] before, for autocastExit.
Napi::Value AutocastEnter(const Napi::CallbackInfo& info) {
  const Autocasting before = autocasting(isCuda(info));
  setAutocasting(isCuda(info), {flag(info, 1), static_cast<at::ScalarType>(info[2].As<Napi::Number>().Int32Value())});
  at::autocast::increment_nesting();
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result[0u] = Napi::Boolean::New(info.Env(), before.enabled);
  result[1u] = Napi::Number::New(info.Env(), static_cast<int>(before.dtype));
  return result;
}

// autocastExit(device, enabled, dtype): restores; converted weights are forgotten when the outermost region ends.
Napi::Value AutocastExit(const Napi::CallbackInfo& info) {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  setAutocasting(isCuda(info), {flag(info, 1), static_cast<at::ScalarType>(info[2].As<Napi::Number>().Int32Value())});
  return info.Env().Undefined();
}

}  // namespace

void registerAutograd(Napi::Object exports) {
  define<Backward>(exports, "backward");
  define<Grad>(exports, "grad");
  define<GetGradient>(exports, "getGradient");
  define<SetGradient>(exports, "setGradient");
  define<RetainGradient>(exports, "retainGradient");
  define<RequiresGrad>(exports, "requiresGrad");
  define<SetRequiresGrad>(exports, "setRequiresGrad");
  define<IsLeaf>(exports, "isLeaf");
  define<GradMode>(exports, "gradMode");
  define<AutocastEnter>(exports, "autocastEnter");
  define<AutocastExit>(exports, "autocastExit");
}

}  // namespace maskrank
