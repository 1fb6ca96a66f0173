// Tensors to and from JavaScript memory, their description, and their release.
#include "env.h"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/variable.h>

#include <cstring>

namespace maskrank {

namespace {

std::vector<int64_t> sizes(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<int64_t> result(array.Length());
  for (uint32_t i = 0; i < result.size(); ++i) result[i] = array.Get(i).As<Napi::Number>().Int64Value();
  return result;
}

// fromBuffer(arrayBuffer, byteOffset, shape, dtype, copy): without a copy the buffer is kept alive by the tensor and
// shared with it.
Napi::Value FromBuffer(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    Environment& state = Environment::of(env);
    state.drain(env);
    Napi::ArrayBuffer buffer = info[0].As<Napi::ArrayBuffer>();
    const auto offset = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
    const auto shape = sizes(info[2]);
    const auto dtype = static_cast<at::ScalarType>(info[3].As<Napi::Number>().Int32Value());
    const bool copy = info[4].As<Napi::Boolean>();
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    const size_t bytes = static_cast<size_t>(count) * c10::elementSize(dtype);
    if (count < 0 || offset + bytes > buffer.ByteLength()) {
      throw std::runtime_error("the buffer holds " + std::to_string(buffer.ByteLength() - offset) + " bytes, the shape needs " +
                               std::to_string(bytes));
    }
    char* data = static_cast<char*>(buffer.Data()) + offset;
    if (copy || bytes == 0) {
      at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(dtype));
      if (bytes > 0) std::memcpy(tensor.data_ptr(), data, bytes);
      return Napi::Number::New(env, state.add(std::move(tensor)));
    }
    napi_ref reference;
    if (napi_create_reference(env, buffer, 1, &reference) != napi_ok) throw std::runtime_error("cannot keep the buffer");
    at::Tensor tensor = at::from_blob(
        data, shape, [pending = state.pending, reference](void*) { pending->push(reference); },
        at::TensorOptions().dtype(dtype));
    return Napi::Number::New(env, state.add(std::move(tensor)));
  });
}

// toBuffer(handle): a copy of the elements, row-major, in a new ArrayBuffer.
Napi::Value ToBuffer(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const at::Tensor& tensor = Environment::of(env).tensor(info[0].As<Napi::Number>());
    const at::Tensor source = tensor.detach().to(at::kCPU).resolve_conj().resolve_neg().contiguous();
    const size_t bytes = static_cast<size_t>(source.numel()) * source.element_size();
    Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, bytes);
    if (bytes > 0) std::memcpy(buffer.Data(), source.data_ptr(), bytes);
    return buffer;
  });
}

// viewBuffer(handle): the tensor's own memory as an ArrayBuffer that keeps it alive; null where that is impossible
// (another device, not contiguous, a runtime without external buffers).
Napi::Value ViewBuffer(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const at::Tensor& tensor = Environment::of(env).tensor(info[0].As<Napi::Number>());
    if (!tensor.device().is_cpu() || !tensor.is_contiguous() || tensor.numel() == 0) return env.Null();
    auto* owner = new at::Tensor(tensor.detach());
    const size_t bytes = static_cast<size_t>(owner->numel()) * owner->element_size();
    napi_value result;
    const napi_status status = napi_create_external_arraybuffer(
        env, owner->data_ptr(), bytes, [](napi_env, void*, void* hint) { delete static_cast<at::Tensor*>(hint); }, owner, &result);
    if (status != napi_ok) {
      delete owner;
      return env.Null();
    }
    return Napi::Value(env, result);
  });
}

// copyFrom(handle, arrayBuffer, byteOffset): overwrites the tensor's elements, row-major.
Napi::Value CopyFrom(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const at::Tensor& tensor = Environment::of(env).tensor(info[0].As<Napi::Number>());
    Napi::ArrayBuffer buffer = info[1].As<Napi::ArrayBuffer>();
    const auto offset = static_cast<size_t>(info[2].As<Napi::Number>().Int64Value());
    const size_t bytes = static_cast<size_t>(tensor.numel()) * tensor.element_size();
    if (offset + bytes > buffer.ByteLength()) throw std::runtime_error("the buffer is shorter than the tensor");
    const at::Tensor source =
        at::from_blob(static_cast<char*>(buffer.Data()) + offset, tensor.sizes(), at::TensorOptions().dtype(tensor.scalar_type()));
    tensor.detach().copy_(source);
    return env.Undefined();
  });
}

// describe(handle): [dtype code, device, requiresGrad, isLeaf, ...shape] in one call.
Napi::Value Describe(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const at::Tensor& tensor = Environment::of(env).tensor(info[0].As<Napi::Number>());
    const auto shape = tensor.sizes();
    Napi::Array result = Napi::Array::New(env, shape.size() + 2);
    result[0u] = Napi::Number::New(env, static_cast<int>(tensor.scalar_type()));
    result[1u] = Napi::String::New(env, tensor.device().str());
    for (uint32_t i = 0; i < shape.size(); ++i) result[i + 2] = Napi::Number::New(env, static_cast<double>(shape[i]));
    return result;
  });
}

// item(handle): the only element as a number, or as true/false.
Napi::Value Item(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const at::Scalar value = Environment::of(env).tensor(info[0].As<Napi::Number>()).item();
    if (value.isBoolean()) return Napi::Boolean::New(env, value.toBool());
    return Napi::Number::New(env, value.toDouble());
  });
}

// release(handles): an array of handles; those already released are passed over.
Napi::Value Release(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    Environment& state = Environment::of(env);
    const Napi::Array handles = info[0].As<Napi::Array>();
    const uint32_t length = handles.Length();
    for (uint32_t i = 0; i < length; ++i) {
      napi_value element;
      double handle;
      napi_get_element(env, handles, i, &element);
      if (napi_get_value_double(env, element, &handle) == napi_ok) state.release(handle);
    }
    state.drain(env);
    return env.Undefined();
  });
}

Napi::Value Alive(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), Environment::of(info.Env()).alive(info[0].As<Napi::Number>()));
}

Napi::Value Memory(const Napi::CallbackInfo& info) {
  Environment& state = Environment::of(info.Env());
  state.drain(info.Env());
  Napi::Object result = Napi::Object::New(info.Env());
  result["tensors"] = static_cast<double>(state.liveTensors());
  result["bytes"] = static_cast<double>(state.liveBytes());
  result["peakBytes"] = static_cast<double>(state.peakBytes());
  return result;
}

Napi::Value ResetPeak(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).resetPeak();
  return info.Env().Undefined();
}

}  // namespace

void registerTensors(Napi::Env env, Napi::Object exports) {
  exports["fromBuffer"] = Napi::Function::New(env, FromBuffer, "fromBuffer");
  exports["toBuffer"] = Napi::Function::New(env, ToBuffer, "toBuffer");
  exports["viewBuffer"] = Napi::Function::New(env, ViewBuffer, "viewBuffer");
  exports["copyFrom"] = Napi::Function::New(env, CopyFrom, "copyFrom");
  exports["describe"] = Napi::Function::New(env, Describe, "describe");
  exports["item"] = Napi::Function::New(env, Item, "item");
  exports["release"] = Napi::Function::New(env, Release, "release");
  exports["alive"] = Napi::Function::New(env, Alive, "alive");
  exports["memory"] = Napi::Function::New(env, Memory, "memory");
  exports["resetPeak"] = Napi::Function::New(env, ResetPeak, "resetPeak");
}

}  // namespace maskrank
