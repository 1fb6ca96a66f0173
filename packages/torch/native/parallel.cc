#include "parallel.h"

#include <dlfcn.h>

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

// OpenMP's entry for `#pragma omp parallel`, in whichever library libtorch has loaded (the loader looks through libtorch's
// own dependencies): compiling with -fopenmp would link the compiler's, and with it a second pool beside that of PyTorch's
// packages. Null where there is none; then work stays on one thread.
extern "C" __attribute__((weak)) void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);

namespace maskrank {

namespace {

// OpenBLAS's functions, looked up once; null where it is not loaded.
struct OpenBlas {
  using Setter = void (*)(int);
  using Getter = int (*)();
  Setter set = nullptr;
  Getter get = nullptr;

  static const OpenBlas& instance() {
    static const OpenBlas found;
    return found;
  }

 private:
  OpenBlas() {
    void* library = dlopen("libopenblas.so.0", RTLD_LAZY | RTLD_NOLOAD);
    if (library == nullptr) return;
    set = reinterpret_cast<Setter>(dlsym(library, "openblas_set_num_threads"));
    get = reinterpret_cast<Getter>(dlsym(library, "openblas_get_num_threads"));
    dlclose(library);
  }
};

// How many threads OpenBLAS uses. The setting is the process's, while several of Node's threads can ask at once for products
// on one thread: the last of them to end restores what is wanted otherwise.
class BlasThreads {
 public:
  void set(int count) {
    const std::lock_guard<std::mutex> lock(mutex_);
    wanted_ = count;
    if (alone_ == 0) apply(count);
  }
  void enterAlone() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (alone_++ > 0) return;
    const auto& blas = OpenBlas::instance();
    if (blas.get != nullptr) wanted_ = blas.get();
    apply(1);
  }
  void leaveAlone() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--alone_ == 0) apply(wanted_);
  }

 private:
  void apply(int count) const {
    const auto& blas = OpenBlas::instance();
    if (blas.set != nullptr && count > 0) blas.set(count);
  }
  std::mutex mutex_;
  int alone_ = 0;
  int wanted_ = 0;
};

BlasThreads& blasThreads() {
  static BlasThreads instance;
  return instance;
}

// While one lives, OpenBLAS computes on the thread that calls it.
struct OneBlasThread {
  OneBlasThread() { blasThreads().enterAlone(); }
  ~OneBlasThread() { blasThreads().leaveAlone(); }
  OneBlasThread(const OneBlasThread&) = delete;
  OneBlasThread& operator=(const OneBlasThread&) = delete;
};

}  // namespace

void setBlasThreads(int count) { blasThreads().set(count); }

int64_t parallelWorkers(int64_t count) {
  if (GOMP_parallel == nullptr || at::in_parallel_region()) return 1;
  return std::clamp<int64_t>(at::get_num_threads(), 1, std::max<int64_t>(count, 1));
}

void parallelTasks(int64_t count, const std::function<void(int64_t task, int64_t worker)>& task) {
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> workers{0};
  std::mutex failing;
  std::exception_ptr failure;
  const std::function<void()> work = [&] {
    const at::AutoDispatchBelowADInplaceOrView unrecorded;
    const int64_t worker = workers++;
    try {
      for (int64_t i = next++; i < count; i = next++) task(i, worker);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failing);
      failure = std::current_exception();
      next = count;
    }
  };
  const int64_t threads = parallelWorkers(count);
  if (threads == 1) {
    work();
  } else {
    const OneBlasThread alone;
    const auto call = [](void* body) { (*static_cast<const std::function<void()>*>(body))(); };
    GOMP_parallel(call, const_cast<std::function<void()>*>(&work), static_cast<unsigned>(threads), 0);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace maskrank
