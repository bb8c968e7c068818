import DFMergeCore
import DFMergeIO
import Glibc

/// The file or folder that a merge writes.
struct OutputFiles {
  let target: MergeTarget
  private let file: SafetensorsWriter?
  private let folder: CheckpointWriter?
  /// What the texts beside the weights say; nil where there are none.
  private let texts:
    (
      record: MergeRecord, name: String, baseFolder: String?, adapter: AdapterConfig?,
      isModel: Bool
    )?

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
      texts = nil
      target = .sink(writer, tensors: numbers)
      return
    }
    let baseFolder = reference?.location.flatMap { OutputFiles.isFolder($0) ? $0 : nil }
    let copies = merge.settings.copiesFiles
    let isModel = plan.side.isModel
    let writer: CheckpointWriter
    if let adapter = reference?.adapter {
      let result = try AdapterResult(
        adapter, outputs: specs, foldsScaling: merge.info.foldsScaling)
      writer = try CheckpointWriter(
        adapter: path, tensors: specs, metadata: metadata,
        copyingFilesFrom: copies ? baseFolder : nil)
      // Without it the weights are no adapter.
      try writer.add(try result.text(), as: CheckpointNames.adapterConfig)
    } else {
      writer = try CheckpointWriter(
        folder: path, tensors: specs, shardSize: merge.settings.maxShardSize, metadata: metadata,
        copyingFilesFrom: copies && isModel ? baseFolder : nil)
    }
    if copies {
      let name = path.split(separator: "/").last.map(String.init) ?? path
      var record = try MergeRecord(merge)
      record.ties = plan.ties
      texts = (record, name, baseFolder, reference?.adapter, isModel)
    } else {
      texts = nil
    }
    if let dtype = merge.settings.dtype { writer.setConfigDType(dtype) }
    file = nil
    folder = writer
    target = .sink(writer, tensors: numbers)
  }

  /// Completes the files and gives them their names.
  /// - Parameter figures: what the method found, for the recipe.
  func finish(
    figures: [String: Double], poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) {
    if let folder, let texts {
      var record = texts.record
      record.figures = figures
      try folder.add(try record.recipe(), as: MergeRecord.recipeName)
      // What is no model by itself has no card of one.
      if texts.isModel {
        try folder.add(
          try record.card(
            outputName: texts.name, baseFolder: texts.baseFolder, adapter: texts.adapter),
          as: MergeRecord.cardName)
      }
    }
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
  static func hasWeights(_ path: String, ofAdapter: Bool) -> Bool {
    let folder =
      ofAdapter ? [CheckpointNames.adapter] : [CheckpointNames.single, CheckpointNames.index]
    let names = isFile(path) ? [""] : folder.map { "/" + $0 }
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
