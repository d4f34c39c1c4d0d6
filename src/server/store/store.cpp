#include "server/store/store.hpp"

#include <future>

#include "server/store/writer_thread.hpp"

namespace godwit::store {
namespace {

thread_local bool this_thread_writes = false;

}  // namespace

bool is_writer_thread() { return this_thread_writes; }
void mark_writer_thread() { this_thread_writes = true; }

Result<void> Store::write(Job job) {
  GODWIT_CHECK(!is_writer_thread());
  std::promise<Result<void>> promise;
  auto outcome = promise.get_future();
  submit(std::move(job), [&promise](Result<void> result) { promise.set_value(std::move(result)); });
  return outcome.get();
}

}  // namespace godwit::store
