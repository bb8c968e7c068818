import DFMergeCore

/// What lies beside the weights.
extension CheckpointWriter {
  /// Adds a file to the folder: it comes and goes with the weights, in place of the base's file of
  /// the same name.
  /// - Throws: `.invalidArgument` for a name with a folder in it, or one of weights.
  package func add(_ contents: [UInt8], as name: String) throws(DFMergeError) {
    guard !name.isEmpty, !name.hasPrefix("."), !name.utf8.contains(UInt8(ascii: "/")),
      !name.utf8.contains(0), CheckpointCompanions.isCompanion(name)
    else {
      throw DFMergeError(
        .invalidArgument,
        "\(quoted(name)) is no name for a file beside weights; use one like README.md.",
        context: ["path": folder])
    }
    extraFiles.removeAll { $0.name == name }
    extraFiles.append((name, contents))
  }

  /// Says that the weights are written as `dtype`, not the base's: its `config.json` goes along
  /// with that dtype. See ``ConfigText``.
  package func setConfigDType(_ dtype: DType) { configDType = dtype }

  func stageIndex() throws(DFMergeError) -> AtomicFile? {
    guard plan.isSharded else { return nil }
    let text = CheckpointIndex.text(
      shardOfTensor: plan.fileNameOfTensor, totalByteCount: plan.totalByteCount)
    return try stage(Array(text.utf8), as: CheckpointNames.index)
  }

  func stageCompanions(
    poll: () throws(DFMergeError) -> Void
  ) throws(DFMergeError) {
    staged = []  // What an earlier `finish` staged before its `poll` threw.
    for file in extraFiles {
      try poll()
      staged.append(try stage(file.contents, as: file.name))
    }
    guard let base else { return }
    let isInPlace = FileIdentity.of(base) == FileIdentity.of(folder)
    let companions = try CheckpointCompanions(base: base)
    if !isInPlace {
      for name in companions.folders {
        madeFolders += try Folder.make(Folder.join(folder, name))
      }
    }
    for name in companions.relativePaths where !extraFiles.contains(where: { $0.name == name }) {
      try poll()
      if name == CheckpointNames.config, let configDType {
        let text = try InputFile(path: Folder.join(base, name)).readAll()
        staged.append(try stage(ConfigText.setting(configDType, in: text), as: name))
      } else if !isInPlace {
        staged.append(
          try CheckpointCompanions.stage(
            Folder.join(base, name), as: Folder.join(folder, name), poll: poll))
      }
    }
  }

  /// A durable file that still has to be published.
  private func stage(_ contents: [UInt8], as name: String) throws(DFMergeError) -> AtomicFile {
    let file = try AtomicFile(path: Folder.join(folder, name), byteCount: contents.count)
    try file.write(contents)
    try file.seal()
    return file
  }

  /// Removes the weight files of an older save that the new one did not replace. `names` are the
  /// folder's files before the new ones came.
  func removeOlderSave(_ names: [String]) throws(DFMergeError) {
    guard !isAdapter else { return }
    let current = Set(fileNames)
    for name in names where !current.contains(name) {
      let isOld =
        CheckpointNames.isShard(name)
        || (plan.isSharded ? name == CheckpointNames.single : name == CheckpointNames.index)
      if isOld { try Folder.removeFile(Folder.join(folder, name)) }
    }
    try Folder.synchronize(folder)
  }
}
