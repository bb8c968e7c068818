import CDFMergeShims
import DFMergeCore

/// A handle of type dfm_text.
public typealias DFMTextRef = OpaquePointer

/// A text that the library hands out.
final class TextBox: HandleObject {
  static let handleName = "dfm_text"
  let bytes: UnsafeMutableBufferPointer<CChar>

  init(_ text: String) {
    let source = text.utf8CString
    bytes = .allocate(capacity: source.count)
    _ = bytes.initialize(from: source)
  }

  deinit { bytes.deallocate() }

  /// Stores a new handle with the JSON text of `value` in `out`.
  static func hand(
    _ value: JSONValue, to out: UnsafeMutablePointer<DFMTextRef?>?
  ) throws(DFMergeError) {
    try required(out, "out").pointee = Handle.make(TextBox(try value.text()))
  }
}

/// The characters of a text, ended by a zero byte.
///
/// - Parameter text: [in] [borrowed] [nullable] A text handle.
/// - Returns: [borrowed] UTF-8 characters, valid until the text is freed; an empty string for NULL
///   or a handle that is not a live dfm_text.
@_cdecl("dfm_text_data")
public func dfm_text_data(_ text: DFMTextRef?) -> UnsafePointer<CChar>? {
  guard let box = try? Handle.get(text, as: TextBox.self, argument: "text"),
    let start = box.bytes.baseAddress
  else { return StaticText.empty.pointer }
  return UnsafePointer(start)
}

/// The length of a text in bytes, without the zero byte at its end.
///
/// - Parameter text: [in] [borrowed] [nullable] A text handle.
/// - Returns: The number of bytes; 0 for NULL or a handle that is not a live dfm_text.
@_cdecl("dfm_text_size")
public func dfm_text_size(_ text: DFMTextRef?) -> Int64 {
  guard let box = try? Handle.get(text, as: TextBox.self, argument: "text") else { return 0 }
  return Int64(box.bytes.count - 1)
}

/// Frees a text.
///
/// - Parameter text: [in] [owned] [nullable] A text handle; NULL and handles already freed are
///   ignored.
@_cdecl("dfm_text_free")
public func dfm_text_free(_ text: DFMTextRef?) {
  Handle.free(text, as: TextBox.self)
}
