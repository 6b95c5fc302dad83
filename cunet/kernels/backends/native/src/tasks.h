// What crosses from plans to threads: tasks, and what they wait for.

namespace {

// Tasks are numbered by how urgent they are. Task k waits for waits[k] others; those that wait for it are
// followers[first[k]] ... followers[first[k + 1] - 1].
struct Graph {
  int64_t count;
  const int32_t *waits, *first, *followers;
};

}  // namespace
