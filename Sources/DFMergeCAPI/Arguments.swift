import DFMergeCore

// The checks that every C argument goes through before it is used.

/// The pointer, or `.nullPointer` naming the argument.
func required<Pointer>(_ pointer: Pointer?, _ argument: String) throws(DFMergeError) -> Pointer {
  guard let pointer else {
    throw DFMergeError(
      .nullPointer, "'\(argument)' is NULL; it must point to something.",
      context: ["argument": argument])
  }
  return pointer
}

/// The text of a C string.
/// - Throws: `.nullPointer`, `.invalidArgument` for bytes that are not UTF-8.
func text(_ pointer: UnsafePointer<CChar>?, _ argument: String) throws(DFMergeError) -> String {
  guard let text = String(validatingCString: try required(pointer, argument)) else {
    throw DFMergeError(
      .invalidArgument, "'\(argument)' is not valid UTF-8.", context: ["argument": argument])
  }
  return text
}

/// The options in a C string: JSON, where NULL and an empty string mean "all defaults".
func parseOptions(_ pointer: UnsafePointer<CChar>?) throws(DFMergeError) -> JSONValue {
  guard let pointer, pointer.pointee != 0 else { return .null }
  return try JSONValue(parsing: try text(pointer, "options").utf8, what: "The options text")
}

/// A count that is not negative and fits in `Int`.
func count(_ value: Int64, _ argument: String) throws(DFMergeError) -> Int {
  guard value >= 0, let count = Int(exactly: value) else {
    throw DFMergeError(
      .invalidArgument, "'\(argument)' is \(value); it must be 0 or more.",
      context: ["argument": argument])
  }
  return count
}

/// The items of a C array of `length`; NULL is allowed for no items.
func items<Item>(
  _ pointer: UnsafePointer<Item>?, _ length: Int64, _ argument: String
) throws(DFMergeError) -> [Item] {
  let number = try count(length, "number of \(argument)")
  guard number > 0 else { return [] }
  // A count beyond this cannot be an array of anything that these functions take.
  guard number <= 1 << 24 else {
    throw DFMergeError(
      .invalidArgument, "'\(argument)' is said to have \(number) items; the most is 16777216.",
      context: ["argument": argument])
  }
  return Array(UnsafeBufferPointer(start: try required(pointer, argument), count: number))
}
