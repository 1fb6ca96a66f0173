// Tensors to and from JavaScript memory, their description, and their release.
#include "env.h"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/variable.h>

#include <cstring>

namespace maskrank {

namespace {

struct Extent {
  std::vector<int64_t> shape;
  size_t bytes;
};

Extent extent(const Napi::Value& value, at::ScalarType dtype) {
  const Napi::Array array = value.As<Napi::Array>();
  Extent result{std::vector<int64_t>(array.Length()), c10::elementSize(dtype)};
  for (uint32_t i = 0; i < result.shape.size(); ++i) {
    const int64_t size = array.Get(i).As<Napi::Number>().Int64Value();
    if (size < 0) throw std::runtime_error("dimension " + std::to_string(i) + " has size " + std::to_string(size));
    result.shape[i] = size;
    if (__builtin_mul_overflow(result.bytes, static_cast<size_t>(size), &result.bytes)) {
      throw std::runtime_error("the shape is too large");
    }
  }
  return result;
}

// `bytes` bytes of the buffer from `offset`.
char* contents(const Napi::Value& value, int64_t offset, size_t bytes) {
  if (!value.IsArrayBuffer()) throw std::runtime_error("the memory is not an ArrayBuffer");
  Napi::ArrayBuffer buffer = value.As<Napi::ArrayBuffer>();
  if (buffer.IsDetached()) throw std::runtime_error("the ArrayBuffer was detached (its memory was transferred away)");
  if (offset < 0 || bytes > buffer.ByteLength() || static_cast<size_t>(offset) > buffer.ByteLength() - bytes) {
    throw std::runtime_error("the ArrayBuffer has " + std::to_string(buffer.ByteLength()) + " bytes, too few for " +
                             std::to_string(bytes) + " from byte " + std::to_string(offset));
  }
  return static_cast<char*>(buffer.Data()) + offset;
}

// A bool's byte must be 0 or 1; what other bytes would do depends on the operator.
void copyElements(void* to, const void* from, size_t bytes, at::ScalarType dtype) {
  if (dtype == at::kBool) {
    for (size_t i = 0; i < bytes; ++i) static_cast<char*>(to)[i] = static_cast<const char*>(from)[i] != 0;
  } else if (bytes > 0) {
    std::memcpy(to, from, bytes);
  }
}

// fromBuffer(arrayBuffer, byteOffset, shape, dtype, copy): without a copy the buffer is kept alive by the tensor and
// shared with it.
Napi::Value FromBuffer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Environment& state = Environment::of(env);
  state.drain(env);
  const auto dtype = static_cast<at::ScalarType>(info[3].As<Napi::Number>().Int32Value());
  const auto [shape, bytes] = extent(info[2], dtype);
  char* data = contents(info[0], info[1].As<Napi::Number>().Int64Value(), bytes);
  const auto options = at::TensorOptions().dtype(dtype);
  if (info[4].As<Napi::Boolean>() || bytes == 0) {
    at::Tensor tensor = at::empty(shape, options);
    copyElements(tensor.data_ptr(), data, bytes, dtype);
    return Napi::Number::New(env, state.add(std::move(tensor)));
  }
  napi_ref reference;
  if (napi_create_reference(env, info[0], 1, &reference) != napi_ok) throw std::runtime_error("cannot keep the buffer");
  at::Tensor tensor = at::from_blob(
      data, shape, [pending = state.pending, reference](void*) { pending->push(reference); }, options);
  return Napi::Number::New(env, state.add(std::move(tensor)));
}

// toBuffer(handle): a copy of the elements, row-major, in a new ArrayBuffer.
Napi::Value ToBuffer(const Napi::CallbackInfo& info) {
  const at::Tensor source = tensorArgument(info, 0).detach().to(at::kCPU).resolve_conj().resolve_neg().contiguous();
  const size_t bytes = static_cast<size_t>(source.numel()) * source.element_size();
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(info.Env(), bytes);
  if (bytes > 0) std::memcpy(buffer.Data(), source.data_ptr(), bytes);
  return buffer;
}

// viewBuffer(handle): the tensor's own memory as an ArrayBuffer that keeps it alive; null where that is impossible
// (another device, not contiguous, a runtime without external buffers).
Napi::Value ViewBuffer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const at::Tensor& tensor = tensorArgument(info, 0);
  if (!tensor.device().is_cpu() || !tensor.is_contiguous() || tensor.is_neg() || tensor.numel() == 0) return env.Null();
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
}

// copyFrom(handle, arrayBuffer, byteOffset): overwrites the tensor's elements, row-major.
Napi::Value CopyFrom(const Napi::CallbackInfo& info) {
  const at::Tensor& tensor = tensorArgument(info, 0);
  const auto dtype = tensor.scalar_type();
  const size_t bytes = static_cast<size_t>(tensor.numel()) * tensor.element_size();
  char* data = contents(info[1], info[2].As<Napi::Number>().Int64Value(), bytes);
  at::Tensor target = tensor.detach();
  if (target.device().is_cpu() && target.is_contiguous()) {
    copyElements(target.data_ptr(), data, bytes, dtype);
  } else {
    at::Tensor source = at::empty(target.sizes(), at::TensorOptions().dtype(dtype));
    copyElements(source.data_ptr(), data, bytes, dtype);
    target.copy_(source);
  }
  tensor.unsafeGetTensorImpl()->bump_version();
  return info.Env().Undefined();
}

// describe(handle): [dtype code, device, ...shape] in one call. Written to the raw Node-API: shapes are asked for often.
napi_value Describe(napi_env env, napi_callback_info info) {
  size_t given = 1;
  napi_value handle;
  void* data;
  napi_get_cb_info(env, info, &given, &handle, nullptr, &data);
  Environment& state = *static_cast<Environment*>(data);
  try {
    double number = -1;
    napi_get_value_double(env, handle, &number);
    const at::Tensor& tensor = state.tensor(number);
    const auto shape = tensor.sizes();
    const std::string device = tensor.device().str();
    napi_value result;
    napi_value element;
    napi_create_array_with_length(env, shape.size() + 2, &result);
    napi_create_int32(env, static_cast<int32_t>(tensor.scalar_type()), &element);
    napi_set_element(env, result, 0, element);
    napi_create_string_latin1(env, device.data(), device.size(), &element);
    napi_set_element(env, result, 1, element);
    for (uint32_t i = 0; i < shape.size(); ++i) {
      napi_create_int64(env, shape[i], &element);
      napi_set_element(env, result, i + 2, element);
    }
    return result;
  } catch (...) {
    napi_throw(env, currentError(env, state, "describe"));
    return nullptr;
  }
}

// item(handle): the only element as a number, or as true/false.
Napi::Value Item(const Napi::CallbackInfo& info) {
  const at::Scalar value = tensorArgument(info, 0).item();
  if (value.isBoolean()) return Napi::Boolean::New(info.Env(), value.toBool());
  return Napi::Number::New(info.Env(), value.toDouble());
}

// release(handle), or release(Float64Array of handles, how many of them); those already released are passed over.
Napi::Value Release(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Environment& state = Environment::of(env);
  if (info[0].IsNumber()) {
    state.release(info[0].As<Napi::Number>());
  } else {
    void* data;
    size_t length;
    napi_typedarray_type type;
    if (napi_get_typedarray_info(env, info[0], &type, &length, &data, nullptr, nullptr) != napi_ok || type != napi_float64_array) {
      throw std::runtime_error("the handles are not in a Float64Array");
    }
    const size_t count = std::min<size_t>(length, info[1].As<Napi::Number>().Uint32Value());
    for (size_t i = 0; i < count; ++i) state.release(static_cast<const double*>(data)[i]);
  }
  state.drain(env);
  return env.Undefined();
}

// memory(): what JavaScript holds now, and the most bytes since resetPeak.
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
  define<FromBuffer>(exports, "fromBuffer");
  define<ToBuffer>(exports, "toBuffer");
  define<ViewBuffer>(exports, "viewBuffer");
  define<CopyFrom>(exports, "copyFrom");
  defineRaw(env, exports, "describe", Describe);
  define<Item>(exports, "item");
  define<Release>(exports, "release");
  define<Memory>(exports, "memory");
  define<ResetPeak>(exports, "resetPeak");
}

}  // namespace maskrank
