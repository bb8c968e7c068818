import DFMergeCore
import DFMergeIO
import DFMergeMethods

/// The work of finding a method's ``SideTensors`` among inputs and outputs.
struct SideAlignment {
  private let side: SideTensors
  private let isGiven: Bool
  private(set) var outputs: [TensorSpec]
  private(set) var entries: [MergePlan.Entry] = []
  private(set) var numbers: [TensorView] = []
  private(set) var numberOutputs: [Int] = []
  private(set) var problems: [PlanFinding] = []
  private var places: [String: Int] = [:]

  /// - Parameter isGiven: whether the host chose the outputs; otherwise what is missing is added.
  init(_ side: SideTensors, outputs: [TensorSpec], isGiven: Bool) {
    self.side = side
    self.outputs = outputs
    self.isGiven = isGiven
    if side.writes {
      places = Dictionary(
        outputs.enumerated().map { ($0.element.name, $0.offset) },
        uniquingKeysWith: { first, _ in first })
    }
  }

  mutating func align(
    _ alignment: PlanAlignment, _ model: (any WeightSource)?
  ) throws(DFMergeError) {
    entries = alignment.entries
    for number in entries.indices {
      let entry = entries[number]
      for suffix in side.bitsRead {
        guard let own = entry.models.first, let model else { continue }
        find(own.name + suffix, in: model, bitsOf: own).map { entries[number].bits.append($0) }
      }
      for suffix in side.bitsWritten {
        let count = MergePlan.Entry.bitBytes(entry.output.shape.elementCount)
        let place = try place(entry.output.name + suffix, .u8, count)
        place.map { entries[number].bitOutputs.append($0) }
      }
      if side.writes, entry.rest != nil { refuse(entry.output.name) }
    }
    if side.writes {
      for copy in alignment.copies where copy.output.dtype.isMergeable { refuse(copy.output.name) }
    }
    for name in side.numbersRead {
      if let view = model?.tensor(named: name), view.dtype.isMergeable {
        numbers.append(view)
      } else {
        problem(.missing, name, "'\(name)' is missing from \(model?.label ?? "the models")")
      }
    }
    for vector in side.numbersWritten {
      try place(vector.name, .f64, vector.count).map { numberOutputs.append($0) }
    }
  }

  private mutating func find(
    _ name: String, in model: any WeightSource, bitsOf tensor: TensorView
  ) -> TensorView? {
    guard let view = model.tensor(named: name) else {
      problem(.missing, name, "'\(name)' is missing from \(model.label)")
      return nil
    }
    let count = MergePlan.Entry.bitBytes(tensor.shape.elementCount)
    guard view.dtype == .u8, view.shape.elementCount == count else {
      problem(
        .shape, name,
        "'\(name)' is \(view.dtype.name) \(view.shape) in \(model.label); the bits of "
          + "'\(tensor.name)' are U8 [\(count)]")
      return nil
    }
    return view
  }

  /// Where an output goes: added at the end, or found among those that the host has.
  private mutating func place(
    _ name: String, _ dtype: DType, _ count: Int
  ) throws(DFMergeError) -> Int? {
    let spec = try TensorSpec(name: name, dtype: dtype, shape: Shape(vector: count))
    if let place = places[name] {
      guard isGiven, outputs[place].dtype == dtype, outputs[place].shape.elementCount == count
      else {
        problem(
          .shape, name,
          isGiven
            ? "'\(name)' is \(outputs[place].dtype.name) \(outputs[place].shape) in the target; "
              + "what the method writes there is \(dtype.name) [\(count)]"
            : "the base has a tensor '\(name)', a name that the method writes to")
        return nil
      }
      return place
    }
    guard !isGiven else {
      problem(
        .missing, name,
        "'\(name)', which the method writes, is missing from the target: \(dtype.name) [\(count)]")
      return nil
    }
    places[name] = outputs.count
    outputs.append(spec)
    return outputs.count - 1
  }

  private mutating func refuse(_ name: String) {
    problem(
      .shape, name,
      "'\(name)' would be copied from the base, in part or whole, and what the method writes beside "
        + "it needs all models' elements")
  }

  private mutating func problem(_ kind: PlanFinding.Kind, _ tensor: String, _ text: String) {
    problems.append(PlanFinding(kind: kind, tensor: tensor, text: text))
  }
}
