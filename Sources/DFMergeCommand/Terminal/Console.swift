import DFMergeCore
import Glibc

/// Where a command's words go: the result to standard output, everything else to standard error.
struct Console {
  let isJSON: Bool
  let isQuiet: Bool

  init(_ options: OutputOptions) {
    isJSON = options.json
    isQuiet = options.quiet
  }

  /// Whether a bar is of use: somebody looks.
  var showsProgress: Bool { !isQuiet && isatty(STDERR_FILENO) == 1 }

  /// The result, in the form that was asked for.
  /// - Throws: `.ioFailure` where standard output cannot take it.
  func emit(json: JSONValue, text: @autoclosure () -> String) throws(DFMergeError) {
    let line = isJSON ? try json.text() : text()
    guard StandardStream.output.write(line + "\n") else {
      throw DFMergeError(
        .ioFailure,
        "Standard output cannot be written: \(String(cString: strerror(errno))); is the disk full?")
    }
  }

  /// Something that the user should know and that is no failure.
  func note(_ text: String) {
    if !isQuiet { Console.complain("note: \(text)") }
  }

  func warn(_ text: String) {
    if !isQuiet { Console.complain("warning: \(text)") }
  }

  /// Reports the failure that ends a command, and gives its exit status.
  func fail(_ error: DFMergeError) -> Int32 {
    let isStopped = error.code == .cancelled && Interruption.signal != 0
    Console.complain("\(isStopped ? "stopped" : "error"): \(error.message)")
    if isJSON {
      let json: JSONValue = [
        "error": [
          "code": .int(Int64(error.code.rawValue)), "name": .string(error.code.name),
          "message": .string(error.message),
          "context": .object(error.context.mapValues(JSONValue.string)),
        ]
      ]
      StandardStream.output.write(((try? json.text()) ?? "{}") + "\n")
    }
    return isStopped ? 128 + Interruption.signal : 1
  }

  private static func complain(_ text: String) {
    StandardStream.error.write("dfmerge: \(text)\n")
  }
}

extension JSONValue {
  /// A number as JSON can say it: null for NaN and the infinities.
  static func finite(_ value: Double?) -> JSONValue {
    guard let value, value.isFinite else { return .null }
    return .double(value)
  }
}
