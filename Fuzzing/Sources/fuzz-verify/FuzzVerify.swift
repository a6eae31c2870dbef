import FuzzSupport

/// Everything that only reads: verify, list, diff, and their reports.
@main
struct FuzzVerify {
  static func main() {
    fuzz { data, size in
      Subject(data, size)?.read()
      return 0
    }
  }
}
