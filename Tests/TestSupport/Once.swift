/// A value that several tests need and that is made when the first of them asks for it.
public final class Once<Value: Sendable>: Sendable {
  private let task: Task<Value, any Error>

  public init(_ make: @escaping @Sendable () async throws -> Value) { task = Task { try await make() } }

  public var value: Value { get async throws { try await task.value } }
}
