// Entry point of the addon: one Environment for each Node environment that loads it.
#include "env.h"

namespace maskrank {

namespace {

// setErrorClass(constructor): what every later error is an instance of.
Napi::Value SetErrorClass(const Napi::CallbackInfo& info) {
  Environment& state = Environment::of(info.Env());
  if (state.errorClass != nullptr) napi_delete_reference(info.Env(), state.errorClass);
  napi_create_reference(info.Env(), info[0].As<Napi::Function>(), 1, &state.errorClass);
  return info.Env().Undefined();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment());
  define<SetErrorClass>(exports, "setErrorClass");
  registerDispatch(env, exports);
  registerTensors(env, exports);
  registerAutograd(exports);
  registerRuntime(exports);
  registerFusedAttention(exports);
  registerFusedLinear(exports);
  return exports;
}

}  // namespace

}  // namespace maskrank

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return maskrank::Init(env, exports); }
NODE_API_MODULE(maskrank_torch, Init)
