import ArgumentParser
import DFMergeCore
import DFMergeIO

/// `dfmerge inspect`: what is in a checkpoint.
struct InspectCommand: ReportingCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "List a checkpoint's tensors, types, sizes, metadata and tied names.",
    discussion: """
      Reads headers, and of tensors that could be tied (the same type, shape and first bytes) the \
      elements.
      """)

  @Argument(help: "A .safetensors file or a Hugging Face folder.") var path: String

  @Flag(help: "The summary only, without the list of tensors.")
  var summary = false

  @OptionGroup var output: OutputOptions

  func execute(_ console: Console) throws(DFMergeError) -> Int32 {
    let source = try WeightsCabinet.weights(at: path)
    let ties = try TiedTensors.groups(in: source, cancelled: { Interruption.isRequested })
    let overview = CheckpointOverview(source, ties: ties)
    try console.emit(
      json: overview.json(withTensors: !summary),
      text: overview.text(path: path, withTensors: !summary))
    return 0
  }
}

/// What a checkpoint is made of.
struct CheckpointOverview {
  let source: any WeightSource
  /// Names that stand for the same elements.
  let ties: [[String]]
  private let files: [SafetensorsFile]
  /// In the order of first appearance.
  private let types: [(dtype: DType, tensors: Int, elements: Int, bytes: Int)]

  init(_ source: any WeightSource, ties: [[String]]) {
    self.source = source
    self.ties = ties
    switch source {
    case let folder as CheckpointFolder: files = folder.files
    case let adapter as AdapterFolder: files = [adapter.file]
    case let file as SafetensorsFile: files = [file]
    default: files = []
    }
    var types: [(dtype: DType, tensors: Int, elements: Int, bytes: Int)] = []
    for tensor in source.tensors {
      let index = types.firstIndex { $0.dtype == tensor.dtype } ?? types.count
      if index == types.count { types.append((tensor.dtype, 0, 0, 0)) }
      types[index].tensors += 1
      types[index].elements &+= tensor.shape.elementCount
      types[index].bytes &+= tensor.byteCount
    }
    self.types = types
  }

  private var kind: String {
    switch source {
    case is CheckpointFolder: "folder"
    case is AdapterFolder: "adapter"
    default: "file"
    }
  }

  private var elements: Int { types.reduce(0) { $0 &+ $1.elements } }
  private var bytes: Int { types.reduce(0) { $0 &+ $1.bytes } }

  func json(withTensors: Bool) -> JSONValue {
    var members: [String: JSONValue] = [
      "path": .string(source.location ?? source.label),
      "kind": .string(kind),
      "files": .array(files.map { .string($0.path) }),
      "tensor_count": .int(Int64(source.tensors.count)), "elements": .int(Int64(elements)),
      "bytes": .int(Int64(bytes)),
      "dtypes": .object(
        Dictionary(
          types.map { type in
            (
              type.dtype.name,
              [
                "tensors": .int(Int64(type.tensors)), "elements": .int(Int64(type.elements)),
                "bytes": .int(Int64(type.bytes)),
              ] as JSONValue
            )
          }
        ) { first, _ in first }),
      "metadata": .object(source.metadata.mapValues(JSONValue.string)),
      "tied": .array(ties.map { .array($0.map(JSONValue.string)) }),
    ]
    if withTensors {
      members["tensors"] = .array(
        source.tensors.map { tensor in
          [
            "name": .string(tensor.name), "dtype": .string(tensor.dtype.name),
            "shape": tensor.shape.json, "bytes": .int(Int64(tensor.byteCount)),
          ]
        })
    }
    return .object(members)
  }

  func text(path: String, withTensors: Bool) -> String {
    var lines: [String] = []
    if withTensors {
      var table = TextTable(["tensor", "dtype", "shape", "size"], numeric: [3])
      for tensor in source.tensors {
        table.add([
          tensor.name, tensor.dtype.name, tensor.shape.description, Figures.bytes(tensor.byteCount),
        ])
      }
      lines += [table.text, ""]
    }
    let kind =
      kind == "folder" ? "folder with \(files.count) file\(files.count == 1 ? "" : "s")" : kind
    lines.append(
      "\(path): \(kind), \(Figures.grouped(source.tensors.count)) tensors, "
        + "\(Figures.grouped(elements)) elements, \(Figures.bytes(bytes))")
    for type in types {
      lines.append(
        "  \(type.dtype.name): \(Figures.grouped(type.tensors)) tensors, "
          + "\(Figures.grouped(type.elements)) elements, \(Figures.bytes(type.bytes))")
    }
    if !source.metadata.isEmpty { lines.append("metadata:") }
    for (name, value) in source.metadata.sorted(by: { $0.key < $1.key }) {
      lines.append("  \(name): \(value)")
    }
    if !ties.isEmpty { lines.append("tied:") }
    lines += ties.map { "  " + $0.joined(separator: " = ") }
    return lines.joined(separator: "\n")
  }
}
