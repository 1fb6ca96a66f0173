// Entry point of the addon: one Environment for each Node environment that loads it.
#include "env.h"

#include <dlfcn.h>

namespace maskrank {

namespace {

// Node unloads an addon when the last worker that loaded it ends; libtorch's thread pools and thread-local destructors
// do not survive that. This keeps the libraries in the process.
void stayLoaded() {
  Dl_info here;
  if (dladdr(reinterpret_cast<void*>(&stayLoaded), &here) != 0) dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

// setErrorClass(constructor): what every later error is an instance of.
Napi::Value SetErrorClass(const Napi::CallbackInfo& info) {
  Environment& state = Environment::of(info.Env());
  if (state.errorClass != nullptr) napi_delete_reference(info.Env(), state.errorClass);
  napi_create_reference(info.Env(), info[0].As<Napi::Function>(), 1, &state.errorClass);
  return info.Env().Undefined();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  stayLoaded();
  env.SetInstanceData(new Environment());
  define<SetErrorClass>(exports, "setErrorClass");
  registerDispatch(env, exports);
  registerTensors(env, exports);
  registerAutograd(exports);
  registerRuntime(exports);
  return exports;
}

}  // namespace

}  // namespace maskrank

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return maskrank::Init(env, exports); }
NODE_API_MODULE(maskrank_torch, Init)
