import Synchronization
public import SystemPackage

/// Runs `body`, which annotates the file at `path`, when no other thread of this process is at work on that file: an object may be named
/// beside a thin archive that names it, too. Threads that hold one file must not ask for another.
public func takingTurns<Result>(at path: FilePath, _ body: () throws -> Result) throws -> Result {
  // What is wrong with a file that cannot be examined is found, and said, by `body`.
  guard let file = FileIdentity(of: path) else { return try body() }
  let queue = queues.withLock { queues in
    let queue = queues[file] ?? Queue()
    queues[file] = queue
    queue.length += 1
    return queue
  }
  defer {
    queues.withLock { queues in
      queue.length -= 1
      if queue.length == 0 { queues[file] = nil }
    }
  }
  return try queue.turn.withLock { _ in try body() }
}

private final class Queue {
  let turn = Mutex(())
  /// How many threads wait or work; changed by whoever holds the lock of all queues.
  var length = 0
}

/// The files that threads are at work on.
private let queues = Mutex<[FileIdentity: Queue]>([:])
