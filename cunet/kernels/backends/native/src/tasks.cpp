// Tasks that wait for each other, each done by one thread, whichever is free; and units of work that a task shares out.
//
// A thread that finds no task to do helps with the units of one that is being done. Nothing is computed in another way
// by more threads, so no bit depends on their number.

namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Calls there() until it is true. After a while it lets others have the processor, who may be waited for, and when it
// has called as often as fills some `kSpinMicroseconds`, it sleeps in between.
template <class Test> void until(const Test& there) {
  const int often = tuning::kSpinMicroseconds * 25;
  for (int k = 1; !there(); k++) {
    if (k % 256) pause();
    else if (k < often) std::this_thread::yield();
    else std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

class Team {
 public:
  // The tasks of `graph` are task(context, k), which return 0 or a problem; `lanes` threads do them.
  Team(const Graph& graph, int (*task)(void*, int64_t), void* context, int lanes)
      : graph_(graph), task_(task), context_(context), lanes_(lanes), left_(graph.count),
        waits_(new std::atomic<int32_t>[graph.count]), ready_(new std::atomic<uint64_t>[words()]()),
        offers_(new Offer[lanes]) {
    for (int lane = 0; lane < lanes; lane++) offers_[lane].failed.assign(lanes, -1);
    for (int64_t k = 0; k < graph.count; k++)
      if (!(waits_[k] = graph.waits[k])) ready_[k / 64] |= uint64_t(1) << k % 64;
    begin_ = take();
  }
  // Does all tasks; returns 0, or the problem of one of them, and then others are not done.
  int run() {
    pool->run([](void* team, int64_t lane) { ((Team*)team)->work(int(lane)); }, this, lanes_, lanes_);
    return problem_;
  }
  // Calls work(context, k) for k = 0 ... count - 1 for the task of this thread; who is free helps.
  void share(void (*work)(void*, int64_t), void* context, int64_t count) {
    Offer& mine = offers_[lane_];
    mine.work = work, mine.context = context, mine.count = count, mine.next = 0;
    mine.open = true;
    std::exception_ptr problem;
    try {
      for (int64_t k; (k = mine.next.fetch_add(1)) < count;) work(context, k);
    } catch (...) {
      problem = std::current_exception();
      mine.next = count;
    }
    mine.open = false;
    until([&] { return mine.helpers == 0; });
    for (int64_t& k : mine.failed) {
      const int64_t again = k;
      k = -1;
      if (again >= 0 && !problem) work(context, again);
    }
    if (problem) std::rethrow_exception(problem);
  }
  // The team that this thread does a task for, or null.
  static Team* here() { return here_; }

 private:
  // Units of a task that its thread shares. Who helps is counted before he looks whether it is open.
  struct alignas(64) Offer {
    void (*work)(void*, int64_t);
    void* context;
    int64_t count;
    std::atomic<int64_t> next{0};
    std::atomic<int> helpers{0};
    std::atomic<bool> open{false};
    std::vector<int64_t> failed;  // for each thread a unit that it found no memory for, or -1
  };

  int64_t words() const { return (graph_.count + 63) / 64; }
  // A thread goes on with what waited for its last task, which is then in its cache.
  void work(int lane) {
    here_ = this, lane_ = lane;
    int64_t next = -1, done = 0;
    if (std::this_thread::get_id() == caller_) std::swap(next, begin_);
    until([&] {
      for (int64_t k; !problem_ && (k = next < 0 ? take() : next) >= 0; done++) {
        const int problem = task_(context_, k);
        if (problem) problem_ = problem;
        next = follow(k);
      }
      if (done) left_ -= done, done = 0;
      if (!problem_ && left_) help();
      return problem_ || !left_;
    });
    here_ = nullptr;
  }
  // Takes the most urgent task that can be done now; -1: there is none.
  int64_t take() {
    for (int64_t w = 0; w < words(); w++)
      for (uint64_t bits; (bits = ready_[w]);) {
        const uint64_t bit = bits & -bits;
        if (ready_[w].fetch_and(~bit) & bit) return 64 * w + __builtin_ctzll(bit);
      }
    return -1;
  }
  // Says that a task is done; returns the most urgent of those that waited for it alone, for this thread, or -1.
  int64_t follow(int64_t k) {
    int64_t mine = -1;
    for (int64_t n = graph_.first[k]; n < graph_.first[k + 1]; n++) {
      int64_t next = graph_.followers[n];
      if (--waits_[next]) continue;
      if (mine < 0 || next < mine) std::swap(mine, next);
      if (next >= 0) ready_[next / 64] |= uint64_t(1) << next % 64;
    }
    return mine;
  }
  void help() {
    for (int lane = 0; lane < lanes_; lane++) {
      Offer& o = offers_[lane];
      if (!o.open) continue;
      o.helpers++;
      int64_t k = 0;
      try {
        while (o.open && (k = o.next.fetch_add(1)) < o.count) o.work(o.context, k);
      } catch (...) {
        o.failed[lane_] = k, o.open = false;  // nobody helps any more, so this is the only one of this thread
      }
      o.helpers--;
    }
  }

  static thread_local Team* here_;
  static thread_local int lane_;
  const Graph& graph_;
  int (*task_)(void*, int64_t);
  void* context_;
  int lanes_;
  const std::thread::id caller_ = std::this_thread::get_id();
  int64_t begin_;  // with which it begins
  std::atomic<int> problem_{0};
  std::atomic<int64_t> left_;
  std::unique_ptr<std::atomic<int32_t>[]> waits_;
  std::unique_ptr<std::atomic<uint64_t>[]> ready_;  // a bit for each task
  std::unique_ptr<Offer[]> offers_;                 // of each lane
};

thread_local Team* Team::here_ = nullptr;
thread_local int Team::lane_ = 0;

// Calls work(context, k) for k = 0 ... count - 1 in `threads` threads: those of the team whose task this is, or of the
// pool.
void share(void (*work)(void*, int64_t), void* context, int64_t count, int threads) {
  Team* team = threads > 1 ? Team::here() : nullptr;
  team ? team->share(work, context, count) : pool->run(work, context, count, threads);
}

// Calls work(k) for all k in shares of neighbours, by this thread alone if `cost` is too little to wake others, or to
// hand it to those of a team, who are awake.
template <class Work> void in_shares(const Work& work, int64_t count, double cost, int threads) {
  if (threads < 2 || count < 2 || cost < (Team::here() ? tuning::kWorthHelp : tuning::kWorthSharing)) {
    for (int64_t k = 0; k < count; k++) work(k);
    return;
  }
  const int64_t shares = threads * tuning::kSharesPerThread;
  struct Share {
    const Work* work;
    int64_t each, count;
  } parts = {&work, count / shares < 1 ? 1 : count / shares, count};
  share(
      [](void* context, int64_t n) {
        const Share& s = *(const Share*)context;
        for (int64_t k = n * s.each; k < (n + 1) * s.each && k < s.count; k++) (*s.work)(k);
      },
      &parts, (count + parts.each - 1) / parts.each, threads);
}

}  // namespace
