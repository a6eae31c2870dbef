import Glibc

/// What libFuzzer calls for each input.
public typealias Body = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>, _ body: Body
) -> CInt

/// Hands the process over to libFuzzer, which has no `main` of its own here: the package manager wants to name it.
public func fuzz(_ body: Body) -> Never {
  var count = CommandLine.argc
  var arguments = CommandLine.unsafeArgv
  exit(withUnsafeMutablePointer(to: &arguments) { runDriver(&count, $0, body) })
}
