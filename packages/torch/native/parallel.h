// Work on several threads of libtorch's own pool, with the products of matrices inside it on one thread each.
// OpenBLAS on POSIX threads has a second pool, whose idle threads spin for some milliseconds after each product and take the
// cores from whatever libtorch does next. Within `parallelTasks` that pool is not used.
#pragma once

#include <cstdint>
#include <functional>

namespace maskrank {

// Threads of OpenBLAS, where libtorch uses it; nothing otherwise.
void setBlasThreads(int count);

// Threads that `parallelTasks` uses for this many tasks.
int64_t parallelWorkers(int64_t count);

// Calls task(0, worker) ... task(count - 1, worker), each once. Workers, numbered from 0, take tasks one by one. Nothing is
// recorded for gradients inside. One of the exceptions thrown is rethrown here, and tasks not begun are left out.
void parallelTasks(int64_t count, const std::function<void(int64_t task, int64_t worker)>& task);

}  // namespace maskrank
