// The engine itself: version, threads, random generators, CUDA.
#include "env.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/csrc/api/include/torch/cuda.h>
#include <torch/version.h>

#if __has_include(<c10/core/CachingDeviceAllocator.h>)
#include <c10/core/CachingDeviceAllocator.h>
#endif

namespace maskrank {

namespace {

Napi::Value Version(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Napi::Object result = Napi::Object::New(info.Env());
    result["version"] = TORCH_VERSION;
    result["config"] = at::show_config();
    result["cuda"] = at::hasCUDA();
    result["cudaDevices"] = at::hasCUDA() ? static_cast<int>(torch::cuda::device_count()) : 0;
    return result;
  });
}

Napi::Value GetThreads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), at::get_num_threads()); }

Napi::Value SetThreads(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    at::set_num_threads(info[0].As<Napi::Number>().Int32Value());
    return info.Env().Undefined();
  });
}

Napi::Value Deterministic(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    at::globalContext().setDeterministicAlgorithms(info[0].As<Napi::Boolean>(), /*warn_only=*/true);
    return info.Env().Undefined();
  });
}

// newGenerator(seed): an independent generator on the CPU.
Napi::Value NewGenerator(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const auto seed = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
    return Napi::Number::New(info.Env(), Environment::of(info.Env()).addGenerator(at::make_generator<at::CPUGeneratorImpl>(seed)));
  });
}

// defaultGenerator(device): the engine's own.
Napi::Value DefaultGenerator(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const c10::Device device(info[0].As<Napi::String>().Utf8Value());
    return Napi::Number::New(info.Env(), Environment::of(info.Env()).addGenerator(at::globalContext().defaultGenerator(device)));
  });
}

Napi::Value SeedGenerator(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    at::Generator generator = Environment::of(info.Env()).generator(info[0].As<Napi::Number>());
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value()));
    return info.Env().Undefined();
  });
}

// A uint8 tensor that setGeneratorState takes back.
Napi::Value GetGeneratorState(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Environment& state = Environment::of(info.Env());
    at::Generator generator = state.generator(info[0].As<Napi::Number>());
    std::lock_guard<std::mutex> lock(generator.mutex());
    return Napi::Number::New(info.Env(), state.add(generator.get_state()));
  });
}

Napi::Value SetGeneratorState(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Environment& state = Environment::of(info.Env());
    at::Generator generator = state.generator(info[0].As<Napi::Number>());
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state.tensor(info[1].As<Napi::Number>()));
    return info.Env().Undefined();
  });
}

Napi::Value ManualSeed(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    at::manual_seed(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
    return info.Env().Undefined();
  });
}

Napi::Value CudaSynchronize(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    torch::cuda::synchronize(info[0].As<Napi::Number>().Int64Value());
    return info.Env().Undefined();
  });
}

// cudaMemory(index): {allocated, peakAllocated, reserved} in bytes, or null where this engine has no interface for it.
Napi::Value CudaMemory(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
#if __has_include(<c10/core/CachingDeviceAllocator.h>) && TORCH_VERSION_MAJOR >= 2 && TORCH_VERSION_MINOR >= 8
    if (at::hasCUDA()) {
      const auto stats = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(info[0].As<Napi::Number>().Int32Value()));
      Napi::Object result = Napi::Object::New(info.Env());
      result["allocated"] = static_cast<double>(stats.allocated_bytes[0].current);
      result["peakAllocated"] = static_cast<double>(stats.allocated_bytes[0].peak);
      result["reserved"] = static_cast<double>(stats.reserved_bytes[0].current);
      return result;
    }
#endif
    return info.Env().Null();
  });
}

}  // namespace

void registerRuntime(Napi::Env env, Napi::Object exports) {
  exports["version"] = Napi::Function::New(env, Version, "version");
  exports["getThreads"] = Napi::Function::New(env, GetThreads, "getThreads");
  exports["setThreads"] = Napi::Function::New(env, SetThreads, "setThreads");
  exports["deterministic"] = Napi::Function::New(env, Deterministic, "deterministic");
  exports["newGenerator"] = Napi::Function::New(env, NewGenerator, "newGenerator");
  exports["defaultGenerator"] = Napi::Function::New(env, DefaultGenerator, "defaultGenerator");
  exports["seedGenerator"] = Napi::Function::New(env, SeedGenerator, "seedGenerator");
  exports["getGeneratorState"] = Napi::Function::New(env, GetGeneratorState, "getGeneratorState");
  exports["setGeneratorState"] = Napi::Function::New(env, SetGeneratorState, "setGeneratorState");
  exports["manualSeed"] = Napi::Function::New(env, ManualSeed, "manualSeed");
  exports["cudaSynchronize"] = Napi::Function::New(env, CudaSynchronize, "cudaSynchronize");
  exports["cudaMemory"] = Napi::Function::New(env, CudaMemory, "cudaMemory");
}

}  // namespace maskrank
