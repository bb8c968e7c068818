import DFMergeCore
import DFMergeIO

/// How a merge is carried out, whatever the method: threads, memory, element types, and what
/// happens to tensors that do not fit together.
///
/// None of `threads` and `maxMemory` changes a byte of the result.
public struct MergeSettings: Sendable {
  /// What to do with a tensor that cannot be merged as it is.
  public enum MismatchPolicy: String, Sendable {
    /// Refuse the merge.
    case error
    /// Take the base's tensor (without a base, the first model's) as it is.
    case base
    /// Keep what all have in common.
    case common
  }

  /// Number of threads; 0 is one per core that the process may use.
  public let threads: Int
  /// The most memory in bytes that the merge may take beyond its inputs and outputs in memory; nil
  /// takes what runs fastest, which is a few MiB per thread and operand.
  public let maxMemory: Int?
  /// The type of every merged tensor; nil keeps the base's own, tensor by tensor.
  public let dtype: DType?
  /// Whether results that are NaN or infinite are written.
  public let allowsNonFinite: Bool
  /// A tensor of the base that a model lacks, or has with a type that is not merged. `common`
  /// leaves it out of the result.
  public let missing: MismatchPolicy
  /// A tensor that a model has and the result lacks. `base` leaves it out. Nil is `error` for a
  /// result laid out like the base, and `base` for memory that the host chose.
  public let extra: MismatchPolicy?
  /// A tensor with another shape in a model. `common` merges the leading rows that all have, as
  /// suits a vocabulary that was extended or padded, and takes the other rows from the base.
  public let shape: MismatchPolicy
  /// The most bytes of data in one file of a folder.
  public let maxShardSize: ShardSize
  /// Whether a folder gets the base's other files (configuration, tokenizer), a card and a recipe.
  public let copiesFiles: Bool
  /// Whether a plan measures the machine's speed for its estimate of the time.
  public let estimates: Bool
  /// Every setting as it was resolved, for the recipe.
  public let json: JSONValue

  /// Checks `given`, an object or `.null` for all defaults, against ``schema``.
  /// - Throws: `.unknownName`, `.invalidOption`.
  public init(_ given: JSONValue = .null) throws(DFMergeError) {
    let values = try OptionValues(
      given, schema: MergeSettings.schema, owner: "a merge", models: [])
    threads = try values.integer("threads")
    maxMemory = try MergeSettings.size("max_memory", in: values)?.byteCount
    dtype = values.word("dtype").flatMap { DType(name: $0) }
    allowsNonFinite = values.word("non_finite") == "allow"
    missing = values.word("missing").flatMap(MismatchPolicy.init) ?? .error
    extra = values.word("extra").flatMap(MismatchPolicy.init)
    shape = values.word("shape").flatMap(MismatchPolicy.init) ?? .error
    maxShardSize = try MergeSettings.size("max_shard_size", in: values) ?? .standard
    copiesFiles = try values.flag("copy_files")
    estimates = try values.flag("estimate")
    json = .object(values.values)
  }

  private static func size(
    _ name: String, in values: OptionValues
  ) throws(DFMergeError) -> ShardSize? {
    switch values.values[name] {
    case .string(let text):
      do throws(DFMergeError) {
        return try ShardSize(parsing: text)
      } catch {
        throw DFMergeError(
          .invalidOption,
          "Option '\(name)' of a merge is \"\(text)\"; it takes a number of bytes of 1 or more, or a "
            + "text such as \"300MB\".",
          context: ["option": name])
      }
    case .some(let value):
      return try value.intValue.map { (bytes) throws(DFMergeError) in
        try ShardSize(bytes: bytes)
      }
    case nil: return nil
    }
  }

  /// What each setting takes, its default and its meaning.
  public static let schema: [OptionSchema] = [
    OptionSchema(
      "threads", .integer(0...1024), default: .int(0),
      "Number of threads; 0 is one per core. Changes no result."),
    OptionSchema(
      "max_memory", .byteSize, default: .null,
      "The most memory that the merge may take beyond inputs and outputs in memory, such as "
        + "300MB. Changes no result."),
    OptionSchema(
      "dtype", .choice(["base", "F64", "F32", "F16", "BF16"]), default: .string("base"),
      "Element type of the merged tensors; base keeps the base's own, tensor by tensor."),
    OptionSchema(
      "non_finite", .choice(["error", "allow"]), default: .string("error"),
      "Whether a result that is NaN or infinite stops the merge or is written."),
    OptionSchema(
      "missing", .choice(["error", "base", "common"]), default: .string("error"),
      "A tensor that a model lacks: refuse, copy the base's, or leave it out."),
    OptionSchema(
      "extra", .choice(["error", "base"]), default: .null,
      "A tensor that only a model has: refuse, or leave it out. By default refused where the result "
        + "is laid out like the base, and left out where the caller chose what to write."),
    OptionSchema(
      "shape", .choice(["error", "base", "common"]), default: .string("error"),
      "A tensor whose shape differs: refuse, copy the base's, or merge the leading rows that all "
        + "have and copy the other rows of the base."),
    OptionSchema(
      "max_shard_size", .byteSize, default: .string("5GB"),
      "Folders: the most bytes of data in one file."),
    OptionSchema(
      "copy_files", .flag, default: .bool(true),
      "Folders: copy the base's other files (configuration, tokenizer), and write a model card and "
        + "a recipe."),
    OptionSchema(
      "estimate", .flag, default: .bool(true),
      "Plans: measure this machine's speed, which takes about a tenth of a second, to say how long "
        + "the merge takes."),
  ]
}
