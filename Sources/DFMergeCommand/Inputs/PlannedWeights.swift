import DFMergeCore
import DFMergeEngine

/// The result of a merge that was not made: names, types and shapes, no elements.
///
/// Lets a plan go through merges that use each other's results.
final class PlannedWeights: WeightSource {
  let tensors: [TensorView]
  let label: String
  private let index: [String: Int]

  /// What a merge laid out like `reference` has.
  /// - Parameter models: for tensors that are left out where one of these lacks them.
  init(
    like reference: any WeightSource, models: [any WeightSource], settings: MergeSettings,
    label: String
  ) throws(DFMergeError) {
    var tensors: [TensorView] = []
    var index: [String: Int] = [:]
    for view in reference.tensors {
      if settings.missing == .common, models.contains(where: { $0.tensor(named: view.name) == nil })
      {
        continue
      }
      index[view.name] = tensors.count
      tensors.append(
        try TensorView(
          name: view.name,
          dtype: view.dtype.isMergeable ? settings.dtype ?? view.dtype : view.dtype,
          shape: view.shape, stored: StoredBytes(storage: Nothing.shared, offset: 0)))
    }
    self.tensors = tensors
    self.label = label
    self.index = index
  }

  func tensor(named name: String) -> TensorView? { index[name].map { tensors[$0] } }

  private final class Nothing: TensorStorage {
    static let shared = Nothing()

    func read(
      into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(DFMergeError) {
      throw DFMergeError(.invalidState, "The weights are planned and not there yet; merge first.")
    }

    func willRead(offset: Int, count: Int) {}
  }
}
