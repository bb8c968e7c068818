import DFMergeCore
import DFMergeIO
import Glibc

/// The file or folder that a merge writes.
struct OutputFiles {
  let target: MergeTarget
  private let file: SafetensorsWriter?
  private let folder: CheckpointWriter?

  /// Starts the file, or the folder with the base's other files beside. A path that is an input's
  /// is replaced in the end, like any other; the input is read to its end.
  /// - Throws: what the writers throw.
  init(path: String, merge: Merge, plan: MergePlan) throws(DFMergeError) {
    let left = Set(plan.leftOut)
    let specs = plan.outputs.filter { !left.contains($0.name) }
    var numbers: [Int?] = []
    var next = 0
    for output in plan.outputs {
      numbers.append(left.contains(output.name) ? nil : next)
      if !left.contains(output.name) { next += 1 }
    }
    let reference = (merge.base ?? merge.models.first).map(OutputFiles.unlabelled)
    let metadata =
      reference.map { CarriedMetadata.from($0, writing: specs.map(\.name)) } ?? [:]
    guard !OutputFiles.isFile(path) else {
      let writer = try SafetensorsWriter(path: path, tensors: specs, metadata: metadata)
      file = writer
      folder = nil
      target = .sink(writer, tensors: numbers)
      return
    }
    let baseFolder = reference?.location.flatMap { OutputFiles.isFolder($0) ? $0 : nil }
    let copies = merge.settings.copiesFiles
    let isModel = plan.side.isModel
    let writer = try CheckpointWriter(
      folder: path, tensors: specs, shardSize: merge.settings.maxShardSize, metadata: metadata,
      copyingFilesFrom: copies && isModel ? baseFolder : nil)
    if copies {
      let record = try MergeRecord(merge)
      try writer.add(try record.recipe(), as: MergeRecord.recipeName)
      let name = path.split(separator: "/").last.map(String.init) ?? path
      if isModel {
        try writer.add(
          try record.card(outputName: name, baseFolder: baseFolder), as: MergeRecord.cardName)
      }
    }
    if let dtype = merge.settings.dtype { writer.setConfigDType(dtype) }
    file = nil
    folder = writer
    target = .sink(writer, tensors: numbers)
  }

  /// Completes the files and gives them their names.
  func finish(poll: () throws(DFMergeError) -> Void) throws(DFMergeError) {
    try file?.finish(poll: poll)
    try folder?.finish(poll: poll)
  }

  static func isFile(_ path: String) -> Bool { path.hasSuffix(".safetensors") }

  /// The weights behind a label, which know their files.
  static func unlabelled(_ source: any WeightSource) -> any WeightSource {
    (source as? LabelledWeights)?.source ?? source
  }

  private static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether a merge into `path` replaces a file, or the weights of a folder.
  static func hasWeights(_ path: String) -> Bool {
    let names =
      isFile(path) ? [""] : ["/" + CheckpointNames.single, "/" + CheckpointNames.index]
    return names.contains { access(path + $0, F_OK) == 0 }
  }

  /// The nearest folder above `path`, or `path` itself, that is there already.
  static func existingFolder(for path: String) -> String? {
    var candidate = path
    while !candidate.isEmpty {
      if isFolder(candidate) { return candidate }
      guard let slash = candidate.lastIndex(of: "/") else { return "." }
      candidate = String(candidate[..<slash])
    }
    return "/"
  }
}

extension SafetensorsWriter: TensorSink {}
extension CheckpointWriter: TensorSink {}
