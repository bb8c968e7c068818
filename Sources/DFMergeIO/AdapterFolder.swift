import DFMergeCore

/// The folder of a peft adapter: `adapter_model.safetensors` and `adapter_config.json`.
///
/// A folder that also has a model's weights is a ``CheckpointFolder``. Names of tensors are peft's,
/// `base_model.model.<module>.lora_A.weight`; whatever else the adapter saves (`modules_to_save`) is
/// among them.
///
/// Source: the folder layout of peft's `save_pretrained`.
public final class AdapterFolder: WeightSource {
  /// The folder, as it was given.
  public let path: String
  public let adapter: AdapterConfig?
  /// The file of the weights.
  public let file: SafetensorsFile

  public var label: String { path }
  public var location: String? { path }
  public var tensors: [TensorView] { file.tensors }
  public var metadata: [String: String] { file.metadata }

  /// The longest configuration that is read: patterns by module may take some hundred kilobytes.
  private static let longestConfig = 16 << 20

  /// Opens and checks a folder. Reads the configuration and the header of the weights.
  /// - Throws: `.fileNotFound` for a missing file; `.invalidFormat` for a configuration that is no
  ///   JSON object; and what ``SafetensorsFile/init(path:)`` throws.
  public convenience init(path: String) throws(DFMergeError) {
    try self.init(path: path, access: .mapped)
  }

  /// ``init(path:)`` with a choice of access.
  package init(path: String, access: SafetensorsFile.Access) throws(DFMergeError) {
    try checkPath(path)
    let configPath = Folder.join(path, CheckpointNames.adapterConfig)
    let text = try InputFile(path: configPath)
    guard text.byteCount <= AdapterFolder.longestConfig else {
      throw DFMergeError(
        .invalidFormat,
        "\(configPath) has \(text.byteCount) bytes; an adapter's configuration has at most "
          + "\(AdapterFolder.longestConfig).", context: ["path": configPath])
    }
    adapter = try AdapterConfig(parsing: try text.readAll(), path: configPath)
    file = try SafetensorsFile(path: Folder.join(path, CheckpointNames.adapter), access: access)
    self.path = path
  }

  public func tensor(named name: String) -> TensorView? { file.tensor(named: name) }

  /// Whether a folder holds an adapter, and no model's weights.
  package static func isAdapter(_ path: String) -> Bool {
    func has(_ name: String) -> Bool {
      FileKind.of(Folder.join(path, name), followingLinks: false) != nil
    }
    return has(CheckpointNames.adapter) && has(CheckpointNames.adapterConfig)
      && !has(CheckpointNames.single) && !has(CheckpointNames.index)
  }
}
