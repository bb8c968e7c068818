import DFMergeCore

/// What a C program may hold a handle of.
package protocol HandleObject: AnyObject {
  /// The C type, for messages: `"dfm_search"`.
  static var handleName: String { get }
}

/// The handles that are out in C programs.
///
/// A handle looks like a pointer but is a number, which is looked up, never dereferenced, and never
/// given out twice. So a handle already freed, one of another kind, or any other pointer gives an
/// error instead of undefined behaviour, whatever memory has been reused since.
package enum Handle {
  /// A new handle, which keeps `object` alive until `free`.
  package static func make<Object: HandleObject>(_ object: Object) -> OpaquePointer? {
    HandleRegistry.live.insert(object)
  }

  /// The object behind `pointer`.
  /// - Parameter argument: the name of the C argument, for messages.
  /// - Throws: `.nullPointer` for null; `.wrongHandle` for anything but a live handle of this kind.
  package static func get<Object: HandleObject>(
    _ pointer: OpaquePointer?, as kind: Object.Type, argument: String
  ) throws(DFMergeError) -> Object {
    guard let pointer else {
      throw DFMergeError(
        .nullPointer, "'\(argument)' is NULL; pass a \(Object.handleName).",
        context: ["argument": argument])
    }
    guard let found = HandleRegistry.live.object(at: pointer) else {
      throw DFMergeError(
        .wrongHandle,
        "'\(argument)' is not a live handle; pass a \(Object.handleName) that has not been freed.",
        context: ["argument": argument])
    }
    guard let object = found as? Object else {
      throw DFMergeError(
        .wrongHandle,
        "'\(argument)' is a \(type(of: found).handleName); pass a \(Object.handleName).",
        context: ["argument": argument])
    }
    return object
  }

  /// Ends the life of a handle. Null, and whatever is not a live handle of this kind, is left
  /// alone: a second free does nothing.
  /// - Returns: whether a handle was freed.
  @discardableResult
  package static func free<Object: HandleObject>(
    _ pointer: OpaquePointer?, as kind: Object.Type
  ) -> Bool {
    guard let pointer, HandleRegistry.live.object(at: pointer) is Object else { return false }
    // The object goes away here, outside the lock: its own end may free further handles.
    return HandleRegistry.live.remove(pointer) != nil
  }

  /// How many handles are out; for tests that look for leaks.
  package static var liveCount: Int { HandleRegistry.live.count }
}
