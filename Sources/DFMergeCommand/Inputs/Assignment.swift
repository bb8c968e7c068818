import ArgumentParser
import DFMergeCore

/// `NAME=VALUE` of a command line. The value is JSON where it can be read as such, else a text:
/// `density=0.3`, `weights=[1,0.5]`, `max_memory=1GB`.
struct Assignment: ExpressibleByArgument {
  let name: String
  let value: JSONValue

  init?(argument: String) {
    guard let equals = argument.firstIndex(of: "="), equals > argument.startIndex else {
      return nil
    }
    name = String(argument[..<equals])
    let text = String(argument[argument.index(after: equals)...])
    value = (try? JSONValue(parsing: text.utf8, what: "the value")) ?? .string(text)
  }

  /// The values by name.
  /// - Parameter option: how they are given, for messages: `--option`.
  /// - Throws: `ValidationError` for a name that stands twice.
  static func object(_ list: [Assignment], option: String) throws -> [String: JSONValue] {
    var members: [String: JSONValue] = [:]
    for item in list {
      guard members.updateValue(item.value, forKey: item.name) == nil else {
        throw ValidationError("\(option) \(item.name) is given twice; give it once.")
      }
    }
    return members
  }
}

/// `PATH` or `NAME=PATH` of a command line.
struct NamedPath: ExpressibleByArgument {
  /// The path where no name was given.
  let name: String
  let path: String

  init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    // A name has no slash: `runs/lr=3/model` is a path.
    if let equals = argument.firstIndex(of: "="), equals > argument.startIndex,
      !argument[..<equals].contains("/"), argument.index(after: equals) < argument.endIndex
    {
      name = String(argument[..<equals])
      path = String(argument[argument.index(after: equals)...])
    } else {
      name = argument
      path = argument
    }
  }
}
