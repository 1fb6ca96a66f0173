// Any ATen operator by its schema: look it up once, then call it boxed through the c10 dispatcher, which brings
// autograd, autocast and device selection with it. Arguments arrive as src/native.ts encoded them by kind.
#include "env.h"

#include <ATen/core/function_schema.h>
#include <ATen/core/jit_type.h>
#include <c10/core/Device.h>
#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>

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

// `aten::add.Tensor` -> an Operator with its arguments described.
Operator resolve(const std::string& fullName) {
  const auto dot = fullName.find('.', fullName.find("::"));
  const std::string name = fullName.substr(0, dot);
  const std::string overload = dot == std::string::npos ? "" : fullName.substr(dot + 1);
  auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!handle.has_value()) throw std::runtime_error("this engine has no operator " + fullName);
  Operator op{*handle, {}, {}, {}};
  const c10::FunctionSchema& schema = handle->schema();
  for (const auto& argument : schema.arguments()) op.arguments.push_back(describe(argument));
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

Napi::Value Lookup(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Environment& state = Environment::of(info.Env());
    const std::string name = info[0].As<Napi::String>();
    auto [entry, fresh] = state.operatorIds.try_emplace(name, static_cast<int>(state.operators.size()));
    if (fresh) {
      try {
        state.operators.push_back(resolve(name));
      } catch (...) {
        state.operatorIds.erase(entry);
        throw;
      }
    }
    const Operator& op = state.operators[entry->second];
    Napi::Object result = Napi::Object::New(info.Env());
    result["id"] = entry->second;
    Napi::Array arguments = Napi::Array::New(info.Env(), op.arguments.size());
    for (uint32_t i = 0; i < op.arguments.size(); ++i) {
      Napi::Object argument = Napi::Object::New(info.Env());
      argument["kind"] = static_cast<int>(op.arguments[i].kind);
      argument["optional"] = op.arguments[i].optional;
      argument["hasDefault"] = op.arguments[i].hasDefault;
      argument["name"] = op.arguments[i].name;
      arguments[i] = argument;
    }
    result["arguments"] = arguments;
    Napi::Array returns = Napi::Array::New(info.Env(), op.returns.size());
    Napi::Array aliases = Napi::Array::New(info.Env(), op.returns.size());
    for (uint32_t i = 0; i < op.returns.size(); ++i) {
      returns[i] = Napi::Number::New(info.Env(), static_cast<int>(op.returns[i]));
      aliases[i] = Napi::Number::New(info.Env(), op.returnAlias[i]);
    }
    result["returns"] = returns;
    result["returnAlias"] = aliases;
    return result;
  });
}

Napi::Value Has(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::string fullName = info[0].As<Napi::String>();
    const auto dot = fullName.find('.', fullName.find("::"));
    const std::string overload = dot == std::string::npos ? "" : fullName.substr(dot + 1);
    const auto handle = c10::Dispatcher::singleton().findSchema({fullName.substr(0, dot), overload});
    return Napi::Boolean::New(info.Env(), handle.has_value());
  });
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
      c10::List<at::Scalar> result;
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

Napi::Value handleOf(Napi::Env env, Environment& state, const at::Tensor& tensor) {
  if (!tensor.defined()) return env.Null();
  return Napi::Number::New(env, state.add(tensor));
}

Napi::Value toJs(Napi::Env env, Environment& state, const c10::IValue& value) {
  if (value.isTensor()) return handleOf(env, state, value.toTensor());
  if (value.isTensorList()) {
    const auto tensors = value.toTensorVector();
    Napi::Array result = Napi::Array::New(env, tensors.size());
    for (uint32_t i = 0; i < tensors.size(); ++i) result[i] = handleOf(env, state, tensors[i]);
    return result;
  }
  if (value.isInt()) return Napi::Number::New(env, static_cast<double>(value.toInt()));
  if (value.isDouble()) return Napi::Number::New(env, value.toDouble());
  if (value.isBool()) return Napi::Boolean::New(env, value.toBool());
  if (value.isScalar()) return Napi::Number::New(env, value.toScalar().toDouble());
  if (value.isString()) return Napi::String::New(env, value.toStringRef());
  if (value.isNone()) return env.Null();
  if (value.isIntList()) {
    const auto numbers = value.toIntVector();
    Napi::Array result = Napi::Array::New(env, numbers.size());
    for (uint32_t i = 0; i < numbers.size(); ++i) result[i] = Napi::Number::New(env, static_cast<double>(numbers[i]));
    return result;
  }
  throw std::runtime_error("results of type " + value.tagKind() + " cannot be passed to JavaScript");
}

// call(id, arg0, arg1, ...): one result, an array of several, or undefined. A result that is an argument written in
// place comes back as undefined: JavaScript already holds it.
Napi::Value Call(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    Environment& state = Environment::of(env);
    const Operator& op = state.operators.at(info[0].As<Napi::Number>().Uint32Value());
    const auto& schema = op.handle.schema().arguments();
    std::vector<c10::IValue> stack;
    stack.reserve(std::max(op.arguments.size(), op.returns.size()));
    for (size_t i = 0; i < op.arguments.size(); ++i) {
      const ArgumentInfo& argument = op.arguments[i];
      napi_value value = i + 1 < info.Length() ? static_cast<napi_value>(info[i + 1]) : nullptr;
      napi_valuetype type = napi_undefined;
      if (value != nullptr) napi_typeof(env, value, &type);
      if (type == napi_undefined && argument.hasDefault) {
        stack.push_back(*schema[i].default_value());
      } else if (type == napi_undefined || type == napi_null) {
        if (!argument.optional) throw std::runtime_error("missing argument '" + argument.name + "'");
        stack.emplace_back();
      } else {
        try {
          stack.push_back(convert(env, state, argument.kind, value));
        } catch (const std::runtime_error& e) {
          throw std::runtime_error("argument '" + argument.name + "': " + e.what());
        }
      }
    }
    op.handle.callBoxed(&stack);
    if (stack.empty()) return env.Undefined();
    if (stack.size() == 1) return op.returnAlias[0] >= 0 ? env.Undefined() : toJs(env, state, stack[0]);
    Napi::Array result = Napi::Array::New(env, stack.size());
    for (uint32_t i = 0; i < stack.size(); ++i) {
      result[i] = op.returnAlias[i] >= 0 ? env.Undefined() : toJs(env, state, stack[i]);
    }
    return result;
  });
}

Napi::Value Operators(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const auto names = c10::Dispatcher::singleton().getAllOpNames();
    Napi::Array result = Napi::Array::New(info.Env(), names.size());
    for (uint32_t i = 0; i < names.size(); ++i) {
      result[i] = names[i].overload_name.empty() ? names[i].name : names[i].name + "." + names[i].overload_name;
    }
    return result;
  });
}

Napi::Value Schema(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Operator& op = Environment::of(info.Env()).operators.at(info[0].As<Napi::Number>().Uint32Value());
    return Napi::String::New(info.Env(), toString(op.handle.schema()));
  });
}

}  // namespace

void registerDispatch(Napi::Env env, Napi::Object exports) {
  exports["lookup"] = Napi::Function::New(env, Lookup, "lookup");
  exports["has"] = Napi::Function::New(env, Has, "has");
  exports["call"] = Napi::Function::New(env, Call, "call");
  exports["operators"] = Napi::Function::New(env, Operators, "operators");
  exports["schema"] = Napi::Function::New(env, Schema, "schema");
}

}  // namespace maskrank
