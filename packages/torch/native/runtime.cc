// The engine itself: version, threads, random generators, CUDA.
#include "env.h"
#include "parallel.h"

#include <cstdlib>  // tells whether the C library is glibc
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/csrc/api/include/torch/cuda.h>

// Statistics of CUDA's memory without CUDA's headers: from 2.8 on.
#if MASKRANK_TORCH_AT_LEAST(2, 8)
#define MASKRANK_DEVICE_ALLOCATOR
#include <c10/core/CachingDeviceAllocator.h>
#endif

namespace maskrank {

namespace {

// version(): {version, config, cuda, cudaDevices}
Napi::Value Version(const Napi::CallbackInfo& info) {
  Napi::Object result = Napi::Object::New(info.Env());
  result["version"] = TORCH_VERSION;
  result["config"] = at::show_config();
  result["cuda"] = at::hasCUDA();
  result["cudaDevices"] = at::hasCUDA() ? static_cast<int>(torch::cuda::device_count()) : 0;
  return result;
}

Napi::Value GetThreads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), at::get_num_threads()); }

Napi::Value SetThreads(const Napi::CallbackInfo& info) {
  const int count = info[0].As<Napi::Number>().Int32Value();
  at::set_num_threads(count);
  // OpenBLAS has a pool of its own: left alone, a program of one thread gets a second that spins in every matrix product.
  setBlasThreads(count);
  return info.Env().Undefined();
}

// keepFreedMemory(total, block): bytes that the process keeps for the next tensor when tensors are freed, and the largest
// block that is treated so. Nothing where the C library is not glibc.
Napi::Value KeepFreedMemory(const Napi::CallbackInfo& info) {
#ifdef __GLIBC__
  constexpr int kOldLimit = 32 << 20;  // of blocks, before glibc 2.35
  mallopt(M_TRIM_THRESHOLD, info[0].As<Napi::Number>().Int32Value());
  if (mallopt(M_MMAP_THRESHOLD, info[1].As<Napi::Number>().Int32Value()) == 0) mallopt(M_MMAP_THRESHOLD, kOldLimit);
#endif
  return info.Env().Undefined();
}

Napi::Value Deterministic(const Napi::CallbackInfo& info) {
  at::globalContext().setDeterministicAlgorithms(info[0].As<Napi::Boolean>(), /*warn_only=*/true);
  return info.Env().Undefined();
}

uint64_t seedArgument(const Napi::CallbackInfo& info, size_t index) {
  return static_cast<uint64_t>(info[index].As<Napi::Number>().Int64Value());
}

at::Generator defaultGenerator(const c10::Device& device) {
  if (device.is_cuda()) {
    TORCH_CHECK(at::hasCUDA() && torch::cuda::is_available(), "there is no usable CUDA device");
    at::globalContext().lazyInitCUDA();
  }
  return at::globalContext().defaultGenerator(device);
}

Napi::Value addGenerator(const Napi::CallbackInfo& info, at::Generator generator) {
  return Napi::Number::New(info.Env(), Environment::of(info.Env()).addGenerator(std::move(generator)));
}

// newGenerator(seed, device): an independent generator.
Napi::Value NewGenerator(const Napi::CallbackInfo& info) {
  const uint64_t seed = seedArgument(info, 0);
  const c10::Device device(info[1].As<Napi::String>().Utf8Value());
  if (device.is_cpu()) return addGenerator(info, at::make_generator<at::CPUGeneratorImpl>(seed));
  at::Generator generator = defaultGenerator(device).clone();
  generator.set_current_seed(seed);
  return addGenerator(info, generator);
}

// defaultGenerator(device): the engine's own.
Napi::Value DefaultGenerator(const Napi::CallbackInfo& info) {
  return addGenerator(info, defaultGenerator(c10::Device(info[0].As<Napi::String>().Utf8Value())));
}

Napi::Value ReleaseGenerator(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).releaseGenerator(info[0].As<Napi::Number>());
  return info.Env().Undefined();
}

at::Generator generatorArgument(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env()).generator(info[0].As<Napi::Number>());
}

Napi::Value SeedGenerator(const Napi::CallbackInfo& info) {
  at::Generator generator = generatorArgument(info);
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(seedArgument(info, 1));
  return info.Env().Undefined();
}

// A uint8 tensor that setGeneratorState takes back.
Napi::Value GetGeneratorState(const Napi::CallbackInfo& info) {
  at::Generator generator = generatorArgument(info);
  std::lock_guard<std::mutex> lock(generator.mutex());
  return Napi::Number::New(info.Env(), Environment::of(info.Env()).add(generator.get_state()));
}

Napi::Value SetGeneratorState(const Napi::CallbackInfo& info) {
  at::Generator generator = generatorArgument(info);
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(tensorArgument(info, 1));
  return info.Env().Undefined();
}

Napi::Value ManualSeed(const Napi::CallbackInfo& info) {
  at::manual_seed(seedArgument(info, 0));
  return info.Env().Undefined();
}

Napi::Value CudaSynchronize(const Napi::CallbackInfo& info) {
  torch::cuda::synchronize(info[0].As<Napi::Number>().Int64Value());
  return info.Env().Undefined();
}

#ifdef MASKRANK_DEVICE_ALLOCATOR
c10::DeviceIndex deviceArgument(const Napi::CallbackInfo& info) {
  return static_cast<c10::DeviceIndex>(info[0].As<Napi::Number>().Int32Value());
}
#endif

// cudaMemory(index): {allocated, peakAllocated, reserved} in bytes, or null where this engine has no interface for it.
Napi::Value CudaMemory(const Napi::CallbackInfo& info) {
#ifdef MASKRANK_DEVICE_ALLOCATOR
  if (at::hasCUDA() && torch::cuda::is_available()) {
    const auto stats = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(deviceArgument(info));
    Napi::Object result = Napi::Object::New(info.Env());
    result["allocated"] = static_cast<double>(stats.allocated_bytes[0].current);
    result["peakAllocated"] = static_cast<double>(stats.allocated_bytes[0].peak);
    result["reserved"] = static_cast<double>(stats.reserved_bytes[0].current);
    return result;
  }
#endif
  return info.Env().Null();
}

// cudaReleaseCache(index): gives unused memory back to the device and starts a new peak measurement.
Napi::Value CudaReleaseCache(const Napi::CallbackInfo& info) {
#ifdef MASKRANK_DEVICE_ALLOCATOR
  if (at::hasCUDA() && torch::cuda::is_available()) {
    at::getDeviceAllocator(at::kCUDA)->emptyCache();
    at::getDeviceAllocator(at::kCUDA)->resetPeakStats(deviceArgument(info));
  }
#endif
  return info.Env().Undefined();
}

}  // namespace

void registerRuntime(Napi::Object exports) {
  define<Version>(exports, "version");
  define<GetThreads>(exports, "getThreads");
  define<SetThreads>(exports, "setThreads");
  define<KeepFreedMemory>(exports, "keepFreedMemory");
  define<Deterministic>(exports, "deterministic");
  define<NewGenerator>(exports, "newGenerator");
  define<DefaultGenerator>(exports, "defaultGenerator");
  define<ReleaseGenerator>(exports, "releaseGenerator");
  define<SeedGenerator>(exports, "seedGenerator");
  define<GetGeneratorState>(exports, "getGeneratorState");
  define<SetGeneratorState>(exports, "setGeneratorState");
  define<ManualSeed>(exports, "manualSeed");
  define<CudaSynchronize>(exports, "cudaSynchronize");
  define<CudaMemory>(exports, "cudaMemory");
  define<CudaReleaseCache>(exports, "cudaReleaseCache");
}

}  // namespace maskrank
