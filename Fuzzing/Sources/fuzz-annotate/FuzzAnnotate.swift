import FuzzSupport

/// The whole way of an object, with what must hold of the outcome.
@main
struct FuzzAnnotate {
  static func main() {
    fuzz { data, size in
      Subject(data, size)?.annotate()
      return 0
    }
  }
}
