// The handle table. Contract: env.h.
#include "env.h"

namespace maskrank {

namespace {
constexpr double kSlotRange = 4194304.0;  // 2^22 tensors alive at once; 2^31 generations stay below 2^53
constexpr uint32_t kGenerationMask = 0x7fffffffu;

const void* storageKey(const at::Tensor& tensor) {
  return tensor.has_storage() ? static_cast<const void*>(tensor.storage().unsafeGetStorageImpl()) : nullptr;
}
}  // namespace

Environment::~Environment() { pending->close(); }

const Environment::Slot* Environment::find(double handle) const {
  if (!(handle >= 0)) return nullptr;
  const double generation = std::floor(handle / kSlotRange);
  const auto slot = static_cast<size_t>(handle - generation * kSlotRange);
  if (slot >= slots_.size()) return nullptr;
  const Slot& s = slots_[slot];
  return s.used && s.generation == static_cast<uint32_t>(generation) ? &s : nullptr;
}

const at::Tensor& Environment::tensor(double handle) const {
  const Slot* slot = find(handle);
  if (slot == nullptr) throw std::runtime_error("the tensor was released before this use");
  return slot->tensor;
}

bool Environment::alive(double handle) const { return find(handle) != nullptr; }

void Environment::countIn(const at::Tensor& tensor) {
  ++live_;
  const void* key = storageKey(tensor);
  if (key != nullptr && ++storages_[key] == 1) {
    liveBytes_ += static_cast<int64_t>(tensor.storage().nbytes());
    peakBytes_ = std::max(peakBytes_, liveBytes_);
  }
}

void Environment::countOut(const at::Tensor& tensor) {
  --live_;
  const auto entry = storages_.find(storageKey(tensor));
  if (entry != storages_.end() && --entry->second == 0) {
    liveBytes_ -= static_cast<int64_t>(tensor.storage().nbytes());
    storages_.erase(entry);
  }
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
  countIn(tensor);
  Slot& slot = slots_[index];
  slot.tensor = std::move(tensor);
  slot.used = true;
  return static_cast<double>(index) + static_cast<double>(slot.generation) * kSlotRange;
}

bool Environment::release(double handle) {
  Slot* slot = const_cast<Slot*>(find(handle));
  if (slot == nullptr) return false;
  countOut(slot->tensor);
  slot->tensor = at::Tensor();
  slot->used = false;
  slot->generation = (slot->generation + 1) & kGenerationMask;
  free_.push_back(static_cast<uint32_t>(slot - slots_.data()));
  return true;
}

double Environment::addGenerator(at::Generator generator) {
  generators_.push_back(std::move(generator));
  return static_cast<double>(generators_.size() - 1);
}

at::Generator Environment::generator(double handle) const {
  if (!(handle >= 0) || handle >= static_cast<double>(generators_.size())) {
    throw std::runtime_error("unknown generator");
  }
  return generators_[static_cast<size_t>(handle)];
}

void Environment::drain(napi_env env) {
  for (napi_ref reference : pending->take()) napi_delete_reference(env, reference);
}

}  // namespace maskrank
