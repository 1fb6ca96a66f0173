// The handle table and the errors. Contract: env.h.
#include "env.h"

namespace maskrank {

namespace {
constexpr double kSlotRange = 4194304.0;  // 2^22 tensors alive at once; 2^31 generations stay below 2^53
constexpr uint32_t kGenerationMask = 0x7fffffffu;

std::string currentMessage() {
  try {
    throw;
  } catch (const Napi::Error& e) {
    return e.Message();
  } catch (const c10::Error& e) {
    return e.what_without_backtrace();
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown C++ exception";
  }
}
}  // namespace

napi_value currentError(napi_env env, const Environment& state, const std::string& who) {
  const std::string message = who + ": " + currentMessage();
  napi_value text;
  napi_value type = nullptr;
  napi_value error;
  napi_create_string_utf8(env, message.data(), message.size(), &text);
  if (state.errorClass != nullptr) napi_get_reference_value(env, state.errorClass, &type);
  if (type == nullptr || napi_new_instance(env, type, 1, &text, &error) != napi_ok) {
    napi_create_error(env, nullptr, text, &error);
  }
  return error;
}

Environment::~Environment() { pending->close(); }

const Environment::Slot* Environment::find(double handle) const {
  if (!(handle >= 0 && handle < 9007199254740992.0)) return nullptr;
  const auto whole = static_cast<uint64_t>(handle);
  const auto slot = static_cast<size_t>(whole & (static_cast<uint64_t>(kSlotRange) - 1));
  if (slot >= slots_.size()) return nullptr;
  const Slot& s = slots_[slot];
  return s.used && s.generation == static_cast<uint32_t>(whole >> 22) ? &s : nullptr;
}

const at::Tensor& Environment::tensor(double handle) const {
  const Slot* slot = find(handle);
  if (slot == nullptr) throw std::runtime_error("the tensor was released before this use");
  return slot->tensor;
}

double Environment::add(at::Tensor tensor) {
  uint32_t index;
  if (free_.empty()) {
    if (slots_.size() >= static_cast<size_t>(kSlotRange)) {
      throw std::runtime_error("more than 4194304 tensors are alive: a loop without tidy()?");
    }
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[index];
  slot.storage = nullptr;
  if (tensor.has_storage()) {
    slot.storage = tensor.storage().unsafeGetStorageImpl();
    const auto [use, fresh] = storages_.emplace(slot.storage, StorageUse{0, 0});
    if (fresh) {
      use->second.bytes = static_cast<int64_t>(tensor.storage().nbytes());
      liveBytes_ += use->second.bytes;
      peakBytes_ = std::max(peakBytes_, liveBytes_);
    }
    ++use->second.handles;
  }
  ++live_;
  slot.tensor = std::move(tensor);
  slot.used = true;
  return static_cast<double>(index) + static_cast<double>(slot.generation) * kSlotRange;
}

bool Environment::release(double handle) {
  Slot* slot = const_cast<Slot*>(find(handle));
  if (slot == nullptr) return false;
  --live_;
  if (slot->storage != nullptr) {
    const auto use = storages_.find(slot->storage);
    if (--use->second.handles == 0) {
      liveBytes_ -= use->second.bytes;
      storages_.erase(use);
    }
  }
  slot->tensor = at::Tensor();
  slot->used = false;
  slot->generation = (slot->generation + 1) & kGenerationMask;
  free_.push_back(static_cast<uint32_t>(slot - slots_.data()));
  return true;
}

double Environment::addGenerator(at::Generator generator) {
  if (freeGenerators_.empty()) {
    generators_.push_back(std::move(generator));
    return static_cast<double>(generators_.size() - 1);
  }
  const uint32_t index = freeGenerators_.back();
  freeGenerators_.pop_back();
  generators_[index] = std::move(generator);
  return index;
}

const at::Generator& Environment::generator(double handle) const {
  if (!(handle >= 0) || handle >= static_cast<double>(generators_.size()) ||
      !generators_[static_cast<size_t>(handle)].defined()) {
    throw std::runtime_error("the generator was released before this use");
  }
  return generators_[static_cast<size_t>(handle)];
}

void Environment::releaseGenerator(double handle) {
  generator(handle);
  generators_[static_cast<size_t>(handle)] = at::Generator();
  freeGenerators_.push_back(static_cast<uint32_t>(handle));
}

void Environment::drain(napi_env env) {
  for (napi_ref reference : pending->take()) napi_delete_reference(env, reference);
}

}  // namespace maskrank
