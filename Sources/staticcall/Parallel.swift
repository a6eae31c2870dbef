import Dispatch
import Glibc
import Synchronization

/// Runs `work` for every item, on up to `jobs` threads or one for each processor, and returns the results in the order of the items.
func inParallel<Item: Sendable, Result: Sendable>(
  _ items: [Item], jobs: Int?, _ work: @escaping @Sendable (Item) -> Result
) -> [Result] {
  // The number of processors stands in a file of the kernel's: one object does not need it.
  guard items.count > 1 else { return items.map(work) }
  let jobs = jobs ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  guard jobs > 1 else { return items.map(work) }
  let results = Mutex([Result?](repeating: nil, count: items.count))
  let next = Atomic(0)
  DispatchQueue.concurrentPerform(iterations: min(jobs, items.count)) { _ in
    while true {
      let position = next.add(1, ordering: .relaxed).oldValue
      guard position < items.count else { return }
      let result = work(items[position])
      results.withLock { $0[position] = result }
    }
  }
  return results.withLock { $0.compactMap(\.self) }
}
