import DFMergeCore
import DFMergeMethods

/// What a merge by a method takes, reckoned as every merge is, for an example.
///
/// The example: a matrix `[4096, 4096]` and a vector `[4096]` in BF16, for methods for adapters the
/// factors of a LoRA update of rank 16; Fisher values and Gram matrices in F32; three models, or as
/// many as the method takes; a base where the method reads one; default options; from files to a
/// file, with one thread.
public struct MethodCost: Sendable {
  /// What of a matrix is in memory at a time.
  public enum Unit: String, Sendable {
    case elements
    case rows
    case tensor
  }

  /// How many models the example has.
  public let models: Int
  /// How often base and models are read.
  public let weightReads: Int
  /// The same where a tensor is F64.
  public let weightReadsOfDoubles: Int
  /// How often Fisher values or Gram matrices are read; 0 for methods without.
  public let dataReads: Int
  public let unit: Unit
  /// The most memory in bytes.
  public let peakMemory: Int

  /// - Throws: what the method refuses with default options.
  init(_ info: MethodInfo) throws(DFMergeError) {
    let counts = info.modelCounts
    models = min(max(3, counts.lowerBound), counts.upperBound)
    func resources(_ dtype: DType) throws(DFMergeError) -> MergeResources {
      let source = try ExampleWeights(dtype, for: info)
      let data = try ExampleWeights(.f32, for: info, asData: true)
      let merge = try Merge(
        info.id, base: info.usesBase ? source : nil,
        models: (0..<models).map { LabelledWeights(source, label: "model \($0)") },
        fishers: info.modelData == .none ? [] : (0..<models).map { _ in data },
        settings: .object(["threads": .int(1)]))
      let destination = MergeDestination.path("merged.safetensors")
      let plan = try merge.align(destination)
      try plan.throwIfRefused()
      return try merge.resources(for: plan, merge.methods(for: plan), destination)
    }
    let found = try resources(.bf16)
    weightReads = found.weightReads
    weightReadsOfDoubles = try resources(.f64).weightReads
    dataReads = info.modelData == .none ? 0 : found.dataReads
    let length = found.unitLengths.first ?? 1
    unit = length == 1 ? .elements : length == ExampleWeights.size ? .rows : .tensor
    peakMemory = found.peakMemory
  }

  public var json: JSONValue {
    .object([
      "models": .int(Int64(models)), "weight_reads": .int(Int64(weightReads)),
      "weight_reads_of_doubles": .int(Int64(weightReadsOfDoubles)),
      "data_reads": .int(Int64(dataReads)), "unit": .string(unit.rawValue),
      "peak_memory": .int(Int64(peakMemory)),
    ])
  }
}

extension MethodInfo {
  /// What a merge by the method takes; nil for a method without a default for something it needs.
  public var cost: MethodCost? { try? MethodCost(self) }
}

extension MethodRegistry {
  /// The listing that the bindings print: an array of ``MethodInfo/json``, with a member `cost`.
  public static var json: JSONValue {
    .array(
      infos.map { info in
        var members = info.json.objectValue ?? [:]
        members["cost"] = info.cost?.json ?? .null
        return .object(members)
      })
  }
}

/// Weights that can be planned with and not read.
private final class ExampleWeights: WeightSource {
  static let size = 4096
  private static let rank = 16

  let tensors: [TensorView]
  let label = "an example"
  let adapter: AdapterConfig?

  init(_ dtype: DType, for info: MethodInfo, asData: Bool = false) throws(DFMergeError) {
    let (size, rank) = (ExampleWeights.size, ExampleWeights.rank)
    let layer = "model.layers.0."
    var shapes = [(layer + "mlp.down_proj.weight", [size, size])]
    if info.isForAdapters {
      let module = "base_model.model." + layer + "mlp.down_proj.lora_"
      shapes = [(module + "A.weight", [rank, size]), (module + "B.weight", [size, rank])]
    } else if !asData || info.modelData == .fisher {
      shapes.append((layer + "input_layernorm.weight", [size]))
    }
    adapter =
      info.isForAdapters
      ? AdapterConfig([
        "peft_type": .string("LORA"), "r": .int(Int64(rank)), "lora_alpha": .int(Int64(rank)),
      ]) : nil
    tensors = try shapes.map { (name, shape) throws(DFMergeError) in
      try TensorView(
        name: name, dtype: dtype, shape: try Shape(shape),
        stored: StoredBytes(storage: NoBytes(), offset: 0))
    }
  }

  func tensor(named name: String) -> TensorView? { tensors.first { $0.name == name } }
}

/// What nobody reads.
private final class NoBytes: TensorStorage {
  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(DFMergeError) {
    throw DFMergeError(.internalError, "An example was read; please report this.")
  }

  func willRead(offset: Int, count: Int) {}
}
