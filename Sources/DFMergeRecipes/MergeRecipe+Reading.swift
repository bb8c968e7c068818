import DFMergeCore
import Glibc

extension MergeRecipe {
  /// Reads a file: our own recipe where its name ends in `.json`, else a configuration of mergekit.
  /// - Throws: `.fileNotFound`, `.ioFailure`; `.invalidFormat`, `.invalidJSON`, `.unsupported`,
  ///   `.unknownName` with file, line and key.
  public static func read(_ path: String) throws(DFMergeError) -> MergeRecipe {
    let text = try contents(of: path)
    return try parse(text, file: path)
  }

  /// ``read(_:)`` for contents that are at hand; `file` is the name of the file they are from.
  public static func parse(_ text: [UInt8], file: String) throws(DFMergeError) -> MergeRecipe {
    if file.hasSuffix(".json") { return try RecipeDocument.recipe(text, file: file) }
    guard let string = String(validating: text, as: UTF8.self) else {
      throw DFMergeError(
        .invalidFormat, "\(file) is not UTF-8 text; pass the file that describes the merge.",
        context: ["path": file])
    }
    return try MergekitFile.recipe(string, file: file)
  }

  /// A file's bytes, 100 MB at most.
  package static func contents(of path: String) throws(DFMergeError) -> [UInt8] {
    func failure(_ code: DFMergeError.Code, _ fact: String) -> DFMergeError {
      DFMergeError(code, "\(path) \(fact).", context: ["path": path])
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw errno == ENOENT
        ? failure(.fileNotFound, "does not exist; check the path")
        : failure(.ioFailure, "cannot be opened: \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = piece.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count == 0 { return bytes }
      guard count > 0 else {
        if errno == EINTR { continue }
        throw failure(
          .ioFailure,
          errno == EISDIR
            ? "is a folder; pass the file that describes the merge, such as its dfmerge_recipe.json"
            : "cannot be read: \(String(cString: strerror(errno)))")
      }
      bytes += piece[..<count]
      guard bytes.count <= 100_000_000 else {
        throw failure(
          .invalidFormat, "has more than 100 MB; pass the file that describes the merge")
      }
    }
  }
}
