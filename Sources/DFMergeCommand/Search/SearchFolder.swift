import DFMergeCore
import DFMergeIO
import Glibc

/// The folder of a search: the candidate that is being scored, the journal, what is searched, and
/// what the commands said on standard error.
struct SearchFolder {
  let path: String
  /// Where candidates are written.
  let candidate: String

  /// Makes the folder where it is missing.
  /// - Parameter out: the search's result, which tells whether candidates are files or folders.
  /// - Throws: `.ioFailure`.
  init(_ path: String, out: String) throws(DFMergeError) {
    self.path = path
    candidate = path + (out.hasSuffix(".safetensors") ? "/candidate.safetensors" : "/candidate")
    try ScratchFolder.make(path + "/logs")
  }

  var journal: String { path + "/journal.jsonl" }

  /// The file for a trial's standard error.
  func log(_ trial: Int) -> String { path + "/logs/\(trial).txt" }

  /// Writes down what is searched, or compares it with what was when the search began: a journal
  /// continued with other models would be of no search at all.
  /// - Throws: `.journalMismatch` with what differs; `.ioFailure`.
  func claim(_ description: [String: JSONValue]) throws(DFMergeError) {
    let place = path + "/search.json"
    guard access(place, F_OK) == 0 else {
      try AtomicFile.write(Array((try JSONValue.object(description).text() + "\n").utf8), to: place)
      return
    }
    let known = try JSONValue(parsing: try contents(of: place), what: place)
    let names = Set(description.keys).union((known.objectValue ?? [:]).keys).sorted()
    let different = names.filter { known[$0] != description[$0] }
    guard different.isEmpty else {
      throw DFMergeError(
        .journalMismatch,
        "\(path) belongs to a search with another \(different.joined(separator: ", ")); continue it "
          + "with what it began with, or choose another folder with --work.",
        context: ["path": path])
    }
  }

  /// Takes the candidate away, when the search is over.
  func clear() { ScratchFolder.remove(candidate) }

  private func contents(of path: String) throws(DFMergeError) -> [UInt8] {
    guard let file = fopen(path, "r") else {
      throw DFMergeError(
        .ioFailure, "\(path) cannot be read: \(String(cString: strerror(errno))).",
        context: ["path": path])
    }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&piece, 1, piece.count, file)
      guard count > 0 else { return bytes }
      bytes += piece[..<count]
    }
  }
}
