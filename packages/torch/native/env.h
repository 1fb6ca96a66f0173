// Per-environment state of the addon: the tensors and generators that JavaScript holds, addressed by number, and the
// one edge at which C++ exceptions become JavaScript errors.
//
// A handle is slot + generation * 2^22. Releasing a slot bumps its generation, so a handle that outlived its
// tensor is recognised and answered with an error, never with another tensor's memory. Each Node environment
// (main thread or worker) has its own table; nothing here is shared between threads except PendingReferences.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/flat_hash_map.h>
#include <napi.h>
#include <torch/version.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

// For the few interfaces that changed between the versions of libtorch this is built against.
#define MASKRANK_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

namespace maskrank {

// What an argument or result is, as told to JavaScript; the order is part of the contract with src/native.ts.
enum class Kind : int {
  Tensor = 0,
  OptionalTensor,
  TensorList,
  OptionalTensorList,
  Int,
  IntList,
  Float,
  FloatList,
  Bool,
  BoolList,
  Scalar,
  ScalarList,
  String,
  Dtype,
  Layout,
  MemoryFormat,
  Device,
  Generator,
  Unsupported,
};

struct ArgumentInfo {
  Kind kind;
  bool optional;    // null is a value
  bool hasDefault;  // undefined is filled from the schema
  std::string name;
};

// An operator, resolved once.
struct Operator {
  c10::OperatorHandle handle;
  std::string name;
  std::vector<ArgumentInfo> arguments;
  std::vector<Kind> returns;
  // For a result that is one of the arguments written in place: that argument's index, else -1.
  std::vector<int> returnAlias;
  // Writing in place can change the argument's shape or element type.
  bool reshapes;
};

// JavaScript buffers lent to tensors. A tensor may die on any thread, a JavaScript reference may be dropped only on
// its own: the deleter leaves the reference here and the environment's thread picks it up.
class PendingReferences {
 public:
  void push(napi_ref reference) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!closed_) references_.push_back(reference);
  }
  std::vector<napi_ref> take() {
    std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(references_, {});
  }
  void close() {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    references_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<napi_ref> references_;
  bool closed_ = false;
};

class Environment {
 public:
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }
  ~Environment();

  double add(at::Tensor tensor);
  const at::Tensor& tensor(double handle) const;
  bool alive(double handle) const { return find(handle) != nullptr; }
  // True if the handle was alive.
  bool release(double handle);

  double addGenerator(at::Generator generator);
  const at::Generator& generator(double handle) const;
  void releaseGenerator(double handle);

  int64_t liveTensors() const { return live_; }
  int64_t liveBytes() const { return liveBytes_; }
  int64_t peakBytes() const { return peakBytes_; }
  void resetPeak() { peakBytes_ = liveBytes_; }

  // Drops JavaScript buffers whose tensors are gone.
  void drain(napi_env env);

  std::vector<Operator> operators;
  std::unordered_map<std::string, int> operatorIds;
  // The argument stack of calls, kept so that its memory is not asked for anew each time. Empty between calls.
  std::vector<c10::IValue> stack;
  std::shared_ptr<PendingReferences> pending = std::make_shared<PendingReferences>();
  // The JavaScript class of errors; null until it is set.
  napi_ref errorClass = nullptr;

 private:
  struct Slot {
    at::Tensor tensor;
    const void* storage = nullptr;
    uint32_t generation = 0;
    bool used = false;
  };
  struct StorageUse {
    int64_t handles;
    int64_t bytes;
  };
  const Slot* find(double handle) const;

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<at::Generator> generators_;
  std::vector<uint32_t> freeGenerators_;
  // By storage, so that views of one storage are counted once.
  ska::flat_hash_map<const void*, StorageUse> storages_;
  int64_t live_ = 0;
  int64_t liveBytes_ = 0;
  int64_t peakBytes_ = 0;
};

// Rethrown as a JavaScript error by whoever catches it: the exception being handled, as `who: message`, in the class that
// src/native.ts set. Call inside a catch block.
napi_value currentError(napi_env env, const Environment& state, const std::string& who);

using Body = Napi::Value (*)(const Napi::CallbackInfo&);

template <Body body>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return body(info);
  } catch (...) {
    const Environment& state = Environment::of(info.Env());
    throw Napi::Error(info.Env(), currentError(info.Env(), state, static_cast<const char*>(info.Data())));
  }
}

// Exports a function under a name; what it throws, of whatever kind, becomes a JavaScript error that `who` opens.
template <Body body>
void define(Napi::Object exports, const char* name, const char* who) {
  exports.Set(name, Napi::Function::New<guarded<body>>(exports.Env(), name, const_cast<char*>(who)));
}

template <Body body>
void define(Napi::Object exports, const char* name) {
  define<body>(exports, name, name);
}

// Exports a function of the raw Node-API; its data is the Environment, and it catches what it throws.
inline void defineRaw(Napi::Env env, Napi::Object exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, &Environment::of(env), &function);
  exports.Set(name, Napi::Value(env, function));
}

// The tensor whose handle is argument `index`.
inline const at::Tensor& tensorArgument(const Napi::CallbackInfo& info, size_t index) {
  return Environment::of(info.Env()).tensor(info[index].As<Napi::Number>());
}

void registerDispatch(Napi::Env env, Napi::Object exports);
void registerTensors(Napi::Env env, Napi::Object exports);
void registerAutograd(Napi::Object exports);
void registerRuntime(Napi::Object exports);
void registerFusedAttention(Napi::Object exports);
void registerFusedLinear(Napi::Object exports);

}  // namespace maskrank
