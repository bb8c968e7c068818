import DFMergeCore
import DFMergeIO

/// What the configuration of a merged adapter says.
struct AdapterResult {
  private let members: [String: JSONValue]

  /// - Parameters:
  ///   - own: the configuration that the result takes over.
  ///   - outputs: the tensors that are written.
  ///   - foldsScaling: whether the scaling is in the factors: the result's own is then 1, its
  ///     `lora_alpha` the rank, module by module.
  /// - Throws: `.invalidOption` where the two factors of a module have different ranks.
  init(
    _ own: AdapterConfig, outputs: [TensorSpec], foldsScaling: Bool
  ) throws(DFMergeError) {
    guard foldsScaling else {
      members = own.members
      return
    }
    var ranks: [(module: String, rank: Int)] = []
    var known: [String: Int] = [:]
    for output in outputs {
      guard let factor = LoRAFactor(output.name), let rank = factor.rank(output.shape) else {
        continue
      }
      guard known[factor.module, default: rank] == rank else {
        throw DFMergeError(
          .invalidOption,
          "The factors of '\(factor.module)' get the ranks \(known[factor.module] ?? 0) and "
            + "\(rank); give both the same options.", context: ["tensor": output.name])
      }
      if known.updateValue(rank, forKey: factor.module) == nil {
        ranks.append((factor.module, rank))
      }
    }
    // The rank of most modules, the larger of two as common.
    let counts = ranks.reduce(into: [Int: Int]()) { $0[$1.rank, default: 0] += 1 }
    let common = counts.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key ?? own.rank ?? 1
    var patterns: [String: JSONValue] = [:]
    for (module, rank) in ranks where rank != common {
      // From the beginning of the name: a name may be the end of another.
      patterns["^" + module] = .int(Int64(rank))
    }
    var members = own.members
    members["r"] = .int(Int64(common))
    members["lora_alpha"] = .int(Int64(common))
    members["rank_pattern"] = .object(patterns)
    members["alpha_pattern"] = .object(patterns)
    self.members = members
  }

  /// The text of `adapter_config.json`, as peft lays it out.
  /// - Throws: `.nonFinite` for a number that JSON cannot say.
  func text() throws(DFMergeError) -> [UInt8] { try MergeRecord.text(of: members) }
}
