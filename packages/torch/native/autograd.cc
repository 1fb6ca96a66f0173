// Gradients: backward, grad, the gradient mode, requires-grad, and autocast.
#include "env.h"

#include <ATen/Functions.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/version.h>

// The header torch/version.h moved and changed over the versions; these two macros are in all of them.
#define MASKRANK_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

namespace maskrank {

namespace {

torch::autograd::variable_list variables(const Environment& state, const Napi::Value& value) {
  torch::autograd::variable_list result;
  const Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value element = array.Get(i);
    result.push_back(element.IsNumber() ? state.tensor(element.As<Napi::Number>()) : at::Tensor());
  }
  return result;
}

// backward(outputs, outputGradients, retainGraph, createGraph)
Napi::Value Backward(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Environment& state = Environment::of(info.Env());
    torch::autograd::backward(variables(state, info[0]), variables(state, info[1]), info[2].As<Napi::Boolean>().Value(),
                              info[3].As<Napi::Boolean>());
    return info.Env().Undefined();
  });
}

// grad(outputs, inputs, outputGradients, retainGraph, createGraph, allowUnused): a handle or null for each input
Napi::Value Grad(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Environment& state = Environment::of(info.Env());
    const auto gradients = torch::autograd::grad(variables(state, info[0]), variables(state, info[1]), variables(state, info[2]),
                                                 info[3].As<Napi::Boolean>().Value(), info[4].As<Napi::Boolean>(),
                                                 info[5].As<Napi::Boolean>());
    Napi::Array result = Napi::Array::New(info.Env(), gradients.size());
    for (uint32_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i].defined()) {
        result[i] = Napi::Number::New(info.Env(), state.add(gradients[i]));
      } else {
        result[i] = info.Env().Null();
      }
    }
    return result;
  });
}

Napi::Value GetGradient(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Environment& state = Environment::of(info.Env());
    const at::Tensor gradient = state.tensor(info[0].As<Napi::Number>()).grad();
    if (!gradient.defined()) return info.Env().Null();
    return Napi::Number::New(info.Env(), state.add(gradient));
  });
}

// setGradient(handle, gradient handle or null)
Napi::Value SetGradient(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Environment& state = Environment::of(info.Env());
    const at::Tensor& tensor = state.tensor(info[0].As<Napi::Number>());
    tensor.mutable_grad() = info[1].IsNumber() ? state.tensor(info[1].As<Napi::Number>()) : at::Tensor();
    return info.Env().Undefined();
  });
}

Napi::Value RequiresGrad(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), Environment::of(info.Env()).tensor(info[0].As<Napi::Number>()).requires_grad());
  });
}

Napi::Value SetRequiresGrad(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Environment::of(info.Env()).tensor(info[0].As<Napi::Number>()).set_requires_grad(info[1].As<Napi::Boolean>());
    return info.Env().Undefined();
  });
}

Napi::Value IsLeaf(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), Environment::of(info.Env()).tensor(info[0].As<Napi::Number>()).is_leaf());
  });
}

// gradMode(enabled): the mode before.
Napi::Value GradMode(const Napi::CallbackInfo& info) {
  const bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(info[0].As<Napi::Boolean>());
  return Napi::Boolean::New(info.Env(), before);
}

// autocast(device 'cpu'|'cuda', enabled, dtype): whether it was enabled before.
Napi::Value Autocast(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const bool cuda = info[0].As<Napi::String>().Utf8Value() == "cuda";
    const bool enabled = info[1].As<Napi::Boolean>();
    const auto dtype = static_cast<at::ScalarType>(info[2].As<Napi::Number>().Int32Value());
#if MASKRANK_TORCH_AT_LEAST(2, 4)
    const at::DeviceType device = cuda ? at::kCUDA : at::kCPU;
    const bool before = at::autocast::is_autocast_enabled(device);
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_dtype(device, dtype);
#else
    const bool before = cuda ? at::autocast::is_enabled() : at::autocast::is_cpu_enabled();
    if (cuda) {
      at::autocast::set_enabled(enabled);
      at::autocast::set_autocast_gpu_dtype(dtype);
    } else {
      at::autocast::set_cpu_enabled(enabled);
      at::autocast::set_autocast_cpu_dtype(dtype);
    }
#endif
    if (!enabled) at::autocast::clear_cache();
    return Napi::Boolean::New(info.Env(), before);
  });
}

}  // namespace

void registerAutograd(Napi::Env env, Napi::Object exports) {
  exports["backward"] = Napi::Function::New(env, Backward, "backward");
  exports["grad"] = Napi::Function::New(env, Grad, "grad");
  exports["getGradient"] = Napi::Function::New(env, GetGradient, "getGradient");
  exports["setGradient"] = Napi::Function::New(env, SetGradient, "setGradient");
  exports["requiresGrad"] = Napi::Function::New(env, RequiresGrad, "requiresGrad");
  exports["setRequiresGrad"] = Napi::Function::New(env, SetRequiresGrad, "setRequiresGrad");
  exports["isLeaf"] = Napi::Function::New(env, IsLeaf, "isLeaf");
  exports["gradMode"] = Napi::Function::New(env, GradMode, "gradMode");
  exports["autocast"] = Napi::Function::New(env, Autocast, "autocast");
}

}  // namespace maskrank
