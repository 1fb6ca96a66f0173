// Any ATen operator by its schema: look it up once, then call it boxed through the c10 dispatcher, which brings
// autograd, autocast and device selection with it. Arguments arrive as src/native.ts encoded them by kind.
#include "env.h"

#include <ATen/core/function_schema.h>
#include <ATen/core/jit_type.h>
#include <c10/core/Device.h>
#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>

#include <algorithm>

namespace maskrank {

namespace {

using c10::TypeKind;

Kind elementKind(TypeKind element) {
  switch (element) {
    case TypeKind::TensorType: return Kind::TensorList;
    case TypeKind::IntType:
    case TypeKind::SymIntType: return Kind::IntList;
    case TypeKind::FloatType: return Kind::FloatList;
    case TypeKind::BoolType: return Kind::BoolList;
    case TypeKind::NumberType: return Kind::ScalarList;
    case TypeKind::OptionalType: return Kind::OptionalTensorList;
    default: return Kind::Unsupported;
  }
}

Kind kindOf(const c10::TypePtr& type) {
  switch (type->kind()) {
    case TypeKind::TensorType: return Kind::Tensor;
    case TypeKind::IntType:
    case TypeKind::SymIntType: return Kind::Int;
    case TypeKind::FloatType: return Kind::Float;
    case TypeKind::BoolType: return Kind::Bool;
    case TypeKind::NumberType: return Kind::Scalar;
    case TypeKind::StringType: return Kind::String;
    case TypeKind::DeviceObjType: return Kind::Device;
    case TypeKind::GeneratorType: return Kind::Generator;
    case TypeKind::ScalarTypeType: return Kind::Dtype;
    case TypeKind::LayoutType: return Kind::Layout;
    case TypeKind::MemoryFormatType: return Kind::MemoryFormat;
    case TypeKind::ListType: return elementKind(type->castRaw<c10::ListType>()->getElementType()->kind());
    default: return Kind::Unsupported;
  }
}

ArgumentInfo describe(const c10::Argument& argument) {
  c10::TypePtr type = argument.real_type();
  bool optional = false;
  if (type->kind() == TypeKind::OptionalType) {
    optional = true;
    type = type->castRaw<c10::OptionalType>()->getElementType();
  }
  Kind kind = kindOf(type);
  if (kind == Kind::Tensor && optional) kind = Kind::OptionalTensor;
  return {kind, optional, argument.default_value().has_value(), argument.name()};
}

// More arguments than any operator of libtorch has (30 in 2.15).
constexpr size_t kMaxArguments = 40;

// `aten::add.Tensor` -> name and overload.
c10::OperatorName operatorName(const std::string& fullName) {
  const auto colons = fullName.find("::");
  const auto dot = fullName.find('.', colons == std::string::npos ? 0 : colons);
  return {fullName.substr(0, dot), dot == std::string::npos ? "" : fullName.substr(dot + 1)};
}

Operator resolve(const std::string& fullName) {
  const auto handle = c10::Dispatcher::singleton().findSchema(operatorName(fullName));
  if (!handle.has_value()) throw std::runtime_error("this engine (libtorch " TORCH_VERSION ") has no operator of this name");
  const c10::FunctionSchema& schema = handle->schema();
  if (schema.arguments().size() > kMaxArguments) throw std::runtime_error("more arguments than can be passed");
  Operator op{*handle, fullName, {}, {}, {}, handle->hasTag(at::Tag::inplace_view)};
  for (const auto& argument : schema.arguments()) {
    op.arguments.push_back(describe(argument));
    // Results written into an argument are resized to fit.
    if (argument.is_out()) op.reshapes = true;
  }
  for (const auto& result : schema.returns()) {
    op.returns.push_back(kindOf(result.real_type()));
    int alias = -1;
    const c10::AliasInfo* info = result.alias_info();
    if (info != nullptr && info->isWrite()) {
      for (size_t i = 0; i < schema.arguments().size(); ++i) {
        const c10::AliasInfo* other = schema.arguments()[i].alias_info();
        if (other != nullptr && other->isWrite() && other->beforeSets() == info->beforeSets()) alias = static_cast<int>(i);
      }
    }
    op.returnAlias.push_back(alias);
  }
  return op;
}

Napi::Value describe(Napi::Env env, int id, const Operator& op) {
  Napi::Object result = Napi::Object::New(env);
  result["id"] = id;
  Napi::Array arguments = Napi::Array::New(env, op.arguments.size());
  for (uint32_t i = 0; i < op.arguments.size(); ++i) {
    Napi::Object argument = Napi::Object::New(env);
    argument["kind"] = static_cast<int>(op.arguments[i].kind);
    argument["optional"] = op.arguments[i].optional;
    argument["hasDefault"] = op.arguments[i].hasDefault;
    argument["name"] = op.arguments[i].name;
    arguments[i] = argument;
  }
  result["arguments"] = arguments;
  Napi::Array returns = Napi::Array::New(env, op.returns.size());
  Napi::Array aliases = Napi::Array::New(env, op.returns.size());
  for (uint32_t i = 0; i < op.returns.size(); ++i) {
    returns[i] = Napi::Number::New(env, static_cast<int>(op.returns[i]));
    aliases[i] = Napi::Number::New(env, op.returnAlias[i]);
  }
  result["returns"] = returns;
  result["returnAlias"] = aliases;
  result["reshapes"] = op.reshapes;
  return result;
}

// lookup(full name): what `call` needs to know of an operator.
Napi::Value Lookup(const Napi::CallbackInfo& info) {
  Environment& state = Environment::of(info.Env());
  const std::string name = info[0].As<Napi::String>();
  auto known = state.operatorIds.find(name);
  if (known == state.operatorIds.end()) {
    try {
      state.operators.push_back(resolve(name));
    } catch (const std::exception& e) {
      throw std::runtime_error(name + ": " + e.what());
    }
    known = state.operatorIds.emplace(name, static_cast<int>(state.operators.size()) - 1).first;
  }
  return describe(info.Env(), known->second, state.operators[known->second]);
}

// has(full name)
Napi::Value Has(const Napi::CallbackInfo& info) {
  const auto handle = c10::Dispatcher::singleton().findSchema(operatorName(info[0].As<Napi::String>()));
  return Napi::Boolean::New(info.Env(), handle.has_value());
}

// hasKernel(full name, 'cpu'|'cuda'): whether the operator is written for that kind of device (not composed of others).
Napi::Value HasKernel(const Napi::CallbackInfo& info) {
  const auto handle = c10::Dispatcher::singleton().findSchema(operatorName(info[0].As<Napi::String>()));
  const auto key = info[1].As<Napi::String>().Utf8Value() == "cuda" ? c10::DispatchKey::CUDA : c10::DispatchKey::CPU;
  return Napi::Boolean::New(info.Env(), handle.has_value() && handle->hasKernelForDispatchKey(key));
}

// The raw API in the conversions below: they run for every argument of every call.
double number(napi_env env, napi_value value) {
  double result;
  if (napi_get_value_double(env, value, &result) == napi_ok) return result;
  bool lossless;
  int64_t big;
  if (napi_get_value_bigint_int64(env, value, &big, &lossless) == napi_ok) return static_cast<double>(big);
  throw std::runtime_error("expected a number");
}

int64_t integer(napi_env env, napi_value value) {
  double result;
  if (napi_get_value_double(env, value, &result) == napi_ok) {
    if (std::floor(result) != result) throw std::runtime_error("expected a whole number, found " + std::to_string(result));
    return static_cast<int64_t>(result);
  }
  bool lossless;
  int64_t big;
  if (napi_get_value_bigint_int64(env, value, &big, &lossless) == napi_ok && lossless) return big;
  throw std::runtime_error("expected a whole number");
}

bool boolean(napi_env env, napi_value value) {
  bool result;
  if (napi_get_value_bool(env, value, &result) != napi_ok) throw std::runtime_error("expected true or false");
  return result;
}

std::string text(napi_env env, napi_value value) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) throw std::runtime_error("expected a string");
  std::string result(length, '\0');
  napi_get_value_string_utf8(env, value, result.data(), length + 1, &length);
  return result;
}

// Whole numbers stay integers, so that an int64 tensor plus 1 stays an int64 tensor.
at::Scalar scalar(napi_env env, napi_value value) {
  napi_valuetype type;
  napi_typeof(env, value, &type);
  if (type == napi_boolean) return at::Scalar(boolean(env, value));
  if (type == napi_bigint) return at::Scalar(integer(env, value));
  const double v = number(env, value);
  if (std::floor(v) == v && std::abs(v) < 9007199254740992.0 && !(v == 0 && std::signbit(v))) {
    return at::Scalar(static_cast<int64_t>(v));
  }
  return at::Scalar(v);
}

template <typename F>
void forEach(napi_env env, napi_value list, F&& body) {
  uint32_t length;
  if (napi_get_array_length(env, list, &length) != napi_ok) throw std::runtime_error("expected a list");
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element;
    napi_get_element(env, list, i, &element);
    body(element);
  }
}

template <typename T, typename F>
c10::List<T> list(napi_env env, napi_value value, F&& convert) {
  c10::List<T> result;
  forEach(env, value, [&](napi_value element) { result.push_back(convert(element)); });
  return result;
}

bool isNull(napi_env env, napi_value value) {
  napi_valuetype type;
  napi_typeof(env, value, &type);
  return type == napi_null;
}

c10::IValue convert(napi_env env, const Environment& state, Kind kind, napi_value value) {
  switch (kind) {
    case Kind::Tensor:
    case Kind::OptionalTensor: return state.tensor(number(env, value));
    case Kind::TensorList:
      return list<at::Tensor>(env, value, [&](napi_value v) { return state.tensor(number(env, v)); });
    case Kind::OptionalTensorList:
      return list<c10::optional<at::Tensor>>(env, value, [&](napi_value v) {
        return isNull(env, v) ? c10::optional<at::Tensor>() : c10::optional<at::Tensor>(state.tensor(number(env, v)));
      });
    case Kind::Int:
    case Kind::Dtype:
    case Kind::Layout:
    case Kind::MemoryFormat: return integer(env, value);
    case Kind::IntList: return list<int64_t>(env, value, [&](napi_value v) { return integer(env, v); });
    case Kind::Float: return number(env, value);
    case Kind::FloatList: return list<double>(env, value, [&](napi_value v) { return number(env, v); });
    case Kind::Bool: return boolean(env, value);
    case Kind::BoolList: return list<bool>(env, value, [&](napi_value v) { return boolean(env, v); });
    case Kind::Scalar: return scalar(env, value);
    case Kind::ScalarList: {
      c10::impl::GenericList generic(c10::NumberType::get());
      forEach(env, value, [&](napi_value v) { generic.push_back(scalar(env, v)); });
      return generic;
    }
    case Kind::String: return text(env, value);
    case Kind::Device: return c10::Device(text(env, value));
    case Kind::Generator: return state.generator(number(env, value));
    case Kind::Unsupported: break;
  }
  throw std::runtime_error("arguments of this type cannot be passed from JavaScript");
}

napi_value ofNumber(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}

napi_value ofBoolean(napi_env env, bool value) {
  napi_value result;
  napi_get_boolean(env, value, &result);
  return result;
}

napi_value null(napi_env env) {
  napi_value result;
  napi_get_null(env, &result);
  return result;
}

napi_value undefined(napi_env env) {
  napi_value result;
  napi_get_undefined(env, &result);
  return result;
}

template <typename List, typename F>
napi_value ofList(napi_env env, const List& values, F&& convertElement) {
  napi_value result;
  napi_create_array_with_length(env, values.size(), &result);
  for (uint32_t i = 0; i < values.size(); ++i) napi_set_element(env, result, i, convertElement(values[i]));
  return result;
}

napi_value handleOf(napi_env env, Environment& state, at::Tensor tensor) {
  return tensor.defined() ? ofNumber(env, state.add(std::move(tensor))) : null(env);
}

// Takes the value's contents.
napi_value toJs(napi_env env, Environment& state, c10::IValue& value) {
  if (value.isTensor()) return handleOf(env, state, std::move(value).toTensor());
  if (value.isTensorList()) {
    return ofList(env, value.toTensorVector(), [&](const at::Tensor& tensor) { return handleOf(env, state, tensor); });
  }
  if (value.isInt()) return ofNumber(env, static_cast<double>(value.toInt()));
  if (value.isDouble()) return ofNumber(env, value.toDouble());
  if (value.isBool()) return ofBoolean(env, value.toBool());
  if (value.isScalar()) return ofNumber(env, value.toScalar().toDouble());
  if (value.isNone()) return null(env);
  if (value.isIntList()) {
    return ofList(env, value.toIntVector(), [&](int64_t v) { return ofNumber(env, static_cast<double>(v)); });
  }
  if (value.isDoubleList()) return ofList(env, value.toDoubleVector(), [&](double v) { return ofNumber(env, v); });
  if (value.isString() || value.isDevice()) {
    const std::string content = value.isString() ? value.toStringRef() : value.toDevice().str();
    napi_value result;
    napi_create_string_utf8(env, content.data(), content.size(), &result);
    return result;
  }
  throw std::runtime_error("results of type " + value.tagKind() + " cannot be passed to JavaScript");
}

void pushArgument(napi_env env, Environment& state, const Operator& op, size_t index, napi_value value) {
  const ArgumentInfo& argument = op.arguments[index];
  napi_valuetype type = napi_undefined;
  if (value != nullptr) napi_typeof(env, value, &type);
  if (type == napi_undefined && argument.hasDefault) {
    state.stack.push_back(*op.handle.schema().arguments()[index].default_value());
  } else if (type == napi_undefined || type == napi_null) {
    if (!argument.optional) throw std::runtime_error("missing argument '" + argument.name + "'");
    state.stack.emplace_back();
  } else {
    try {
      state.stack.push_back(convert(env, state, argument.kind, value));
    } catch (const std::runtime_error& e) {
      throw std::runtime_error("argument '" + argument.name + "': " + e.what());
    }
  }
}

// A result that is an argument written in place comes back as undefined: JavaScript already holds it.
napi_value result(napi_env env, Environment& state, const Operator& op, size_t index) {
  return op.returnAlias[index] >= 0 ? undefined(env) : toJs(env, state, state.stack[index]);
}

// call(id, arg0, arg1, ...): one result, an array of several, or undefined. Written to the raw Node-API: this is the
// path of every operator.
napi_value Call(napi_env env, napi_callback_info info) {
  size_t given = kMaxArguments + 1;
  napi_value values[kMaxArguments + 1];
  void* data;
  napi_get_cb_info(env, info, &given, values, nullptr, &data);
  Environment& state = *static_cast<Environment*>(data);
  const Operator* op = nullptr;
  try {
    uint32_t id = 0;
    napi_get_value_uint32(env, values[0], &id);
    op = &state.operators.at(id);
    for (size_t i = 0; i < op->arguments.size(); ++i) pushArgument(env, state, *op, i, i + 1 < given ? values[i + 1] : nullptr);
    op->handle.callBoxed(&state.stack);
    const size_t count = state.stack.size();
    napi_value answer;
    if (count == 1) {
      answer = result(env, state, *op, 0);
    } else if (count == 0) {
      answer = undefined(env);
    } else {
      napi_create_array_with_length(env, count, &answer);
      for (uint32_t i = 0; i < count; ++i) napi_set_element(env, answer, i, result(env, state, *op, i));
    }
    state.stack.clear();
    return answer;
  } catch (...) {
    state.stack.clear();
    napi_throw(env, currentError(env, state, op == nullptr ? "call" : op->name));
    return nullptr;
  }
}

// operators(): the full names of all.
Napi::Value Operators(const Napi::CallbackInfo& info) {
  const auto names = c10::Dispatcher::singleton().getAllOpNames();
  Napi::Array result = Napi::Array::New(info.Env(), names.size());
  for (uint32_t i = 0; i < names.size(); ++i) {
    result[i] = names[i].overload_name.empty() ? names[i].name : names[i].name + "." + names[i].overload_name;
  }
  return result;
}

// schema(id): as libtorch writes it.
Napi::Value Schema(const Napi::CallbackInfo& info) {
  const Operator& op = Environment::of(info.Env()).operators.at(info[0].As<Napi::Number>().Uint32Value());
  return Napi::String::New(info.Env(), toString(op.handle.schema()));
}

}  // namespace

void registerDispatch(Napi::Env env, Napi::Object exports) {
  defineRaw(env, exports, "call", Call);
  define<Lookup>(exports, "lookup", "op");
  define<Has>(exports, "has");
  define<HasKernel>(exports, "hasKernel");
  define<Operators>(exports, "operators");
  define<Schema>(exports, "schema");
}

}  // namespace maskrank
