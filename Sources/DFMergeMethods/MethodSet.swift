import DFMergeCore

/// A method with the options of each tensor: one instance for every distinct set of options.
package struct MethodSet: Sendable {
  /// All of one type.
  package let instances: [any MergeMethod]
  /// The instance of each tensor; empty where all have the first.
  private let places: [Int]

  /// One instance for all tensors.
  package init(_ method: any MergeMethod) {
    instances = [method]
    places = []
  }

  /// - Parameters:
  ///   - instances: of one type; one or more.
  ///   - places: an index of `instances` for each tensor.
  package init(_ instances: [any MergeMethod], places: [Int]) {
    self.instances = instances
    self.places = places
  }

  /// The method of tensor number `entry`.
  package subscript(entry: Int) -> any MergeMethod {
    places.isEmpty ? instances[0] : instances[places[entry]]
  }

  /// What the instances ask for, place by place: as many for every instance.
  package var statistics: [[ModelStatistic]] {
    instances[0].statistics.indices.map { place in instances.map { $0.statistics[place] } }
  }
}
