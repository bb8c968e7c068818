import DFMergeMethods

extension MethodSet {
  /// The smallest run of elements of each entry that its method works on.
  func unitLengths(_ plan: MergePlan) -> [Int] {
    plan.entries.indices.map { number in
      let entry = plan.entries[number]
      if entry.whole != nil { return max(entry.mergedCount, 1) }
      return switch self[number].unit(of: entry.mergedShape, named: entry.output.name) {
      case .elements: 1
      case .rows: max(entry.mergedShape.rowLength, 1)
      case .tensor: max(entry.mergedCount, 1)
      }
    }
  }

  /// The most memory that a call of each kind takes, over all entries: for blocks of whole units and
  /// for those that statistics take of any elements.
  func memory(_ plan: MergePlan, units: [Int]) -> TileMemory {
    var most = TileMemory()
    func add(_ taken: TileMemory) {
      most.workspace = max(most.workspace, (taken.workspace &+ 63) & ~63)
      most.heap = max(most.heap, taken.heap)
    }
    for (number, entry) in plan.entries.enumerated() {
      if let whole = entry.whole {
        add(whole.memory)
        continue
      }
      for unit in Set([1, units[number]]) {
        add(
          self[number].memory(
            count: min(WorkList.blockLength(unit: unit), entry.mergedCount),
            shape: entry.mergedShape, named: entry.output.name))
      }
    }
    return most
  }
}
