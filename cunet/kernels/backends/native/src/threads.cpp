// Threads that share units of work. Which thread computes a unit changes nothing in its result.
//
// A unit may find no memory (std::bad_alloc) before it has changed anything that it reads. A thread of ours then stops,
// and who called runs that unit again: it has what it needs beforehand, or ends with the exception.
//
// The texts of the runtime follow each other in one library: this one, tasks, arrays, copies, elementwise, reduction,
// calls, assign, packed, products, recurrence, python, builtin; tuning.h stands before them.
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace {

class Threads {
 public:
  // Calls work(context, k) for k = 0 ... count - 1 in `threads` threads; in this one alone if they are busy.
  void run(void (*work)(void*, int64_t), void* context, int64_t count, int threads) {
    std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (threads > count) threads = int(count);
    if (threads < 2 || !turn.owns_lock()) {
      for (int64_t k = 0; k < count; k++) work(context, k);
      return;
    }
    hand_out(work, context, count, threads);
    std::exception_ptr problem;
    try {
      drain();
    } catch (...) {
      problem = std::current_exception();
      next_ = count;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_ = 0;  // who has not woken up by now is not waited for
    lock.unlock();
    spin([this] { return active_ == 0; });
    lock.lock();
    done_.wait(lock, [this] { return active_ == 0; });
    lock.unlock();
    if (problem) std::rethrow_exception(problem);
    for (int64_t k : failed_) work(context, k);
  }

 private:
  void hand_out(void (*work)(void*, int64_t), void* context, int64_t count, int threads) {
    bool asleep;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (helpers_ < threads - 1) {
        try {
          failed_.reserve(helpers_ + 1);
          std::thread(&Threads::help, this, helpers_, generation_.load()).detach();
        } catch (...) {  // no more threads can be had: those there are do it
          break;
        }
        helpers_++;
      }
      failed_.clear();
      work_ = work, context_ = context, count_ = count, next_ = 0;
      wanted_ = threads - 1 < helpers_ ? threads - 1 : helpers_;
      generation_++;
      asleep = sleepers_ > 0;
    }
    if (asleep) wake_.notify_all();
  }
  void drain() {
    for (int64_t k; (k = next_.fetch_add(1)) < count_;) work_(context_, k);
  }
  // In a thread of ours: what fails is left to who called.
  void drain_or_leave() {
    int64_t k = 0;
    try {
      while ((k = next_.fetch_add(1)) < count_) work_(context_, k);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      failed_.push_back(k);  // there is room for one of each thread
    }
  }
  // Looks again and again for a little while: to sleep and to be woken takes longer than what a small net leaves free.
  template <class Test> static void spin(Test there) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(tuning::kSpinMicroseconds);
    for (int k = 1; !there(); k++) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      if (k % 64 == 0 && std::chrono::steady_clock::now() > end) return;
    }
  }
  void help(int number, int64_t seen) {
    sigset_t all;  // signals are for threads that know Python
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    for (;;) {
      spin([&] { return generation_ != seen; });
      {
        std::unique_lock<std::mutex> lock(mutex_);
        sleepers_++;
        wake_.wait(lock, [&] { return generation_ != seen; });
        sleepers_--;
        seen = generation_;
        if (number >= wanted_) continue;
        active_++;
      }
      drain_or_leave();
      std::lock_guard<std::mutex> lock(mutex_);
      if (--active_ == 0) done_.notify_one();
    }
  }
  std::mutex turn_, mutex_;
  std::condition_variable wake_, done_;
  void (*work_)(void*, int64_t) = nullptr;
  void* context_ = nullptr;
  int64_t count_ = 0;
  std::vector<int64_t> failed_;
  std::atomic<int64_t> generation_{0}, next_{0};
  std::atomic<int> active_{0};
  int helpers_ = 0, wanted_ = 0, sleepers_ = 0;
};

Threads* pool = nullptr;  // never deleted: helpers sleep in it when the process ends

void fresh_pool() { pool = new Threads; }  // in a forked child, where no helper lives on

}  // namespace
