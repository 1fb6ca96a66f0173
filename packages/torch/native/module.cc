// Entry point of the addon: one Environment for each Node environment that loads it.
#include "env.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new maskrank::Environment());
  maskrank::registerDispatch(env, exports);
  maskrank::registerTensors(env, exports);
  maskrank::registerAutograd(env, exports);
  maskrank::registerRuntime(env, exports);
  return exports;
}

NODE_API_MODULE(maskrank_torch, Init)
