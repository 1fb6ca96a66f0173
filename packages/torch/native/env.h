// Per-environment state of the addon: the tensors and generators that JavaScript holds, addressed by number.
//
// A handle is slot + generation * 2^22. Releasing a slot bumps its generation, so a handle that outlived its
// tensor is recognised and answered with an error, never with another tensor's memory. Each Node environment
// (main thread or worker) has its own table; nothing here is shared between threads except PendingReferences.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/Generator.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <napi.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

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
  std::vector<ArgumentInfo> arguments;
  std::vector<Kind> returns;
  // For a result that is one of the arguments written in place: that argument's index, else -1.
  std::vector<int> returnAlias;
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
  bool alive(double handle) const;
  // True if the handle was alive.
  bool release(double handle);

  double addGenerator(at::Generator generator);
  at::Generator generator(double handle) const;

  int64_t liveTensors() const { return live_; }
  int64_t liveBytes() const { return liveBytes_; }
  int64_t peakBytes() const { return peakBytes_; }
  void resetPeak() { peakBytes_ = liveBytes_; }

  // Drops JavaScript buffers whose tensors are gone.
  void drain(napi_env env);

  std::vector<Operator> operators;
  std::unordered_map<std::string, int> operatorIds;
  std::shared_ptr<PendingReferences> pending = std::make_shared<PendingReferences>();

 private:
  struct Slot {
    at::Tensor tensor;
    uint32_t generation = 0;
    bool used = false;
  };
  const Slot* find(double handle) const;
  void countIn(const at::Tensor& tensor);
  void countOut(const at::Tensor& tensor);

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<at::Generator> generators_;
  // Handles a storage, so that views of one storage are counted once.
  std::unordered_map<const void*, int64_t> storages_;
  int64_t live_ = 0;
  int64_t liveBytes_ = 0;
  int64_t peakBytes_ = 0;
};

// Runs body and turns every C++ exception into a JavaScript one that carries libtorch's own message.
template <typename F>
Napi::Value guarded(const Napi::CallbackInfo& info, F&& body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const c10::Error& e) {
    throw Napi::Error::New(info.Env(), e.what_without_backtrace());
  } catch (const std::exception& e) {
    throw Napi::Error::New(info.Env(), e.what());
  } catch (...) {
    throw Napi::Error::New(info.Env(), "unknown C++ exception");
  }
}

void registerDispatch(Napi::Env env, Napi::Object exports);
void registerTensors(Napi::Env env, Napi::Object exports);
void registerAutograd(Napi::Env env, Napi::Object exports);
void registerRuntime(Napi::Env env, Napi::Object exports);

}  // namespace maskrank
