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
    instances[instance(of: entry)]
  }

  /// Which instance tensor number `entry` has.
  package func instance(of entry: Int) -> Int { places.isEmpty ? 0 : places[entry] }

  /// The most statistics that an instance asks for.
  package var placeCount: Int { instances.reduce(0) { max($0, $1.statistics.count) } }

  /// What the instance of tensor number `entry` asks for at a place of its statistics; nil for
  /// nothing.
  package func statistic(of entry: Int, at place: Int) -> ModelStatistic? {
    let own = self[entry].statistics
    return place < own.count ? own[place] : nil
  }

  /// What is found at a place of the statistics, by the passes that find it: what instances ask for
  /// alike once.
  package func passes(at place: Int) -> [JointStatistics] {
    var found: [JointStatistics] = []
    for instance in instances where place < instance.statistics.count {
      let statistic = instance.statistics[place]
      let hasJoined = found.indices.contains { found[$0].join(statistic) }
      if !hasJoined { found.append(JointStatistics(statistic)) }
    }
    return found
  }

  /// The instances of the given tensors, each with the places of its own in that list.
  package func instances(of entries: [Int]) -> [(any MergeMethod, [Int])] {
    var byInstance: [Int: [Int]] = [:]
    for (place, entry) in entries.enumerated() {
      byInstance[instance(of: entry), default: []].append(place)
    }
    return byInstance.map { (instances[$0.key], $0.value) }
  }
}
