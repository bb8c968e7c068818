/// What went wrong, and what to do about it.
///
/// `message` states the fact with the offending value, then the remedy. `context` names the
/// things involved (`tensor`, `path`, `method`, `option`), for programs rather than people.
public struct DFMergeError: Error, Sendable, CustomStringConvertible {
  /// The pinned status number, see ``Code``.
  public let code: Code
  /// Fact and remedy in one or two sentences.
  public let message: String
  /// Named things involved, such as `["tensor": "encoder.weight"]`.
  public let context: [String: String]

  public init(_ code: Code, _ message: String, context: [String: String] = [:]) {
    self.code = code
    self.message = message
    self.context = context
  }

  public var description: String { "\(code.name) (\(code.rawValue)): \(message)" }
}
