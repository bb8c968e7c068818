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

  /// What is found by passes of its own at a place of the statistics: what instances ask for alike
  /// once, and all sums together.
  package func passes(at place: Int) -> [ModelStatistic] {
    var found: [ModelStatistic] = []
    for instance in instances where place < instance.statistics.count {
      let statistic = instance.statistics[place]
      if case .sums(let request) = statistic {
        let shared = found.firstIndex {
          if case .sums(let other) = $0 {
            other.ofWholeUnits == request.ofWholeUnits
          } else {
            false
          }
        }
        guard let shared else {
          found.append(statistic)
          continue
        }
        // The one that takes most memory stands for all.
        if case .sums(let other) = found[shared], other.count < request.count {
          found[shared] = statistic
        }
      } else if !found.contains(statistic) {
        found.append(statistic)
      }
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
