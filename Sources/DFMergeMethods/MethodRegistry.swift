import DFMergeCore

/// Every merging method, by name.
public enum MethodRegistry {
  /// One line per method, in alphabetical order of their ids.
  package static let methods: [any MergeMethod.Type] = [
    WeightedAverage.self,
    Breadcrumbs.self,
    BreadcrumbsTIES.self,
    KernelCollapse.self,
    CoPA.self,
    DARE.self,
    DARETIES.self,
    DELLA.self,
    DELLALinear.self,
    DFMergeCombine.self,
    DPPA.self,
    EMR.self,
    FisherMerging.self,
    IsoC.self,
    IsoCTS.self,
    KarcherMean.self,
    LoRAConcatenation.self,
    LoRALinear.self,
    LoRASVD.self,
    ModelStock.self,
    MultiSLERP.self,
    NuSLERP.self,
    OPCM.self,
    Passthrough.self,
    PCB.self,
    RegMean.self,
    SCE.self,
    LayerSharing.self,
    SLERP.self,
    TaskArithmetic.self,
    TIES.self,
    TSVM.self,
  ]

  /// What each method is and takes, in alphabetical order of ids.
  public static var infos: [MethodInfo] { methods.map { $0.info } }

  /// The method called `id` with options checked against its schema.
  /// - Throws: `.unknownName` for a method or option that does not exist, `.invalidOption` for a
  ///   value that an option does not take, `.invalidArgument` for no models or another number of them
  ///   than the method merges.
  package static func resolve(
    _ id: String, options: JSONValue, models: [String]
  ) throws(DFMergeError) -> TensorOptions {
    guard let type = methods.first(where: { $0.info.id == id }) else {
      throw DFMergeError(
        .unknownName,
        "There is no method '\(id)'; there are: "
          + infos.map(\.id).joined(separator: ", ") + ".",
        context: ["method": id])
    }
    guard !models.isEmpty else {
      throw DFMergeError(.invalidArgument, "Method '\(id)' was given no models; give one or more.")
    }
    let counts = type.info.modelCounts
    guard counts.contains(models.count) else {
      let wanted =
        counts.count == 1
        ? "\(counts.lowerBound)"
        : models.count < counts.lowerBound
          ? "\(counts.lowerBound) or more" : "\(counts.upperBound) at most"
      throw DFMergeError(
        .invalidArgument,
        "Method '\(id)' was given \(models.count) model\(models.count == 1 ? "" : "s"); it merges "
          + "\(wanted).", context: ["method": id])
    }
    return try TensorOptions(options, of: type, models: models)
  }
}
