import DFMergeCore
import DFMergeIO
import DFMergeMethods

/// Base, models, Fisher values and outputs, aligned once by name before a weight is read.
///
/// Every output with a floating-point type that is merged (F64, F32, F16, BF16) is computed; every
/// other one is copied from the reference: the base, or the first model where there is no base.
/// Where tensors do not fit together, ``MergeSettings`` decide; what they refuse is in `problems`.
package struct MergePlan: Sendable {
  /// One tensor to compute.
  package struct Entry: Sendable {
    package let output: TensorSpec
    /// Its place among the outputs.
    package let position: Int
    /// Nil for methods that take no base.
    package let base: TensorView?
    /// One per model, in the models' order; of a gathered tensor one per part and model.
    package let models: [TensorView]
    /// One per model, or none.
    package let fishers: [TensorView]
    /// The number of leading elements that are merged.
    package let mergedCount: Int
    /// Where the elements after them come from; nil when all are merged.
    package let rest: TensorView?
    /// What the method asked for, where it makes the tensor in one tile from whole inputs.
    package var whole: WholeTensor?
    /// The tensors that `whole` asks for besides: one list per name, one view per model.
    package var partners: [[TensorView]] = []
    /// What the product of the LoRA factors of the tensor's module is multiplied by, one per model.
    package var scalings: [Double] = []
    /// The parts that a gathered tensor is made of, in the method's order; see ``GatheredTensor``.
    package var parts: [GatheredTensor.Part] = []
    /// The places of further outputs that have the same values: computed once, written to all.
    package var twins: [Int] = []
    /// Whether the method gives the tensor another shape than it has in the inputs.
    package var isReshaped = false
    /// Bits beside the first model's tensor that the method reads.
    package var bits: [TensorView] = []
    /// The places among the outputs of the bits that it writes.
    package var bitOutputs: [Int] = []

    /// The shape of what is merged: all, or the leading rows.
    package var mergedShape: Shape { output.shape.leading(elements: mergedCount) }

    /// Whether the tensor is made elementwise of the same tensor of all models, so that statistics
    /// look at it.
    var isPlain: Bool { whole == nil && parts.isEmpty }

    /// The place of the output and of those that have its values.
    var positions: [Int] { [position] + twins }

    /// Whether an operand is F64.
    package var isWide: Bool { operands.contains { $0.dtype == .f64 } }

    /// What a merge reads of this tensor.
    package var operands: [TensorView] {
      (base.map { [$0] } ?? []) + models + fishers + partners.flatMap { $0 }
    }

    /// How many elements of an operand a piece of `count` elements reads.
    func count(of view: TensorView, forPieceOf count: Int) -> Int {
      whole == nil ? count : view.shape.elementCount
    }

    /// The bytes of the bits of `count` elements.
    static func bitBytes(_ count: Int) -> Int { (count &+ 7) / 8 }
  }

  /// One tensor to copy, converted where the types differ.
  package struct Copy: Sendable {
    package let output: TensorSpec
    package let position: Int
    package let source: TensorView
  }

  /// What the result consists of, in order.
  package let outputs: [TensorSpec]
  package let entries: [Entry]
  package let copies: [Copy]
  /// Outputs that are not written: `missing` is `common`, and a model lacks them.
  package let leftOut: [String]
  /// What the settings settled.
  package let notes: [PlanFinding]
  /// What they refused; a plan with problems cannot be carried out.
  package let problems: [PlanFinding]
  package let modelNames: [String]
  /// What the method reads and writes beside the merged tensors.
  package let side: SideTensors
  /// The vectors of it that are read.
  package let numbers: [TensorView]
  /// The places among the outputs of the vectors that are written.
  package let numberOutputs: [Int]

  /// The number of tensors that the method gives values.
  package var mergedTensorCount: Int { entries.reduce(0) { $0 &+ $1.positions.count } }

  /// The outputs that have the values of another one, by name: the name of that one, which is the
  /// first of them among the tensors that they are made of.
  package var ties: [String: String] {
    var found: [String: String] = [:]
    for entry in entries where !entry.twins.isEmpty {
      let names = entry.positions.map { outputs[$0].name }
      let known = Set(names)
      guard let first = entry.parts.first(where: { known.contains($0.name) })?.name ?? names.first
      else { continue }
      for name in names where name != first { found[name] = first }
    }
    return found
  }

  /// The number of elements that are computed.
  package var elementCount: Int { entries.reduce(0) { $0 &+ $1.mergedCount } }

  /// Aligns inputs with the memory that a search writes into, with every mismatch refused.
  /// - Throws: one error that lists every problem; `.invalidArgument` for no target.
  package init(
    target: [MutableTensorView], base: (any WeightSource)?, models: [any WeightSource]
  ) throws(DFMergeError) {
    try self.init(
      outputs: try target.map { (view) throws(DFMergeError) in
        try TensorSpec(name: view.name, dtype: view.dtype, shape: view.shape)
      }, base: base, models: models, fishers: [], needsBase: base != nil,
      settings: try MergeSettings())
    try throwIfRefused()
  }

  /// The methods of tensors, by the names of all.
  package typealias Methods = (_ names: [String]) throws(DFMergeError) -> MethodSet

  /// Aligns by name.
  /// - Parameters:
  ///   - outputs: what to write; nil is every tensor of the reference, in its order.
  ///   - fishers: one source per model, or none.
  ///   - needsBase: whether the method reads the base's elements.
  ///   - side: what it reads and writes beside the merged tensors.
  ///   - methods: the methods of the outputs, which are asked how they make each (see
  ///     ``MergeMethod/assembly(of:)``); nil where all are made elementwise.
  /// - Throws: `.invalidArgument` for no outputs or no models; what `methods` throws. Mismatches
  ///   are in `problems`.
  package init(
    outputs: [TensorSpec]?, base: (any WeightSource)?, models: [any WeightSource],
    fishers: [any WeightSource], needsBase: Bool, settings: MergeSettings,
    side: SideTensors = SideTensors(), methods: Methods? = nil
  ) throws(DFMergeError) {
    guard let reference = base ?? models.first else {
      throw DFMergeError(.invalidArgument, "A merge was given no models; give one or more.")
    }
    var wanted = outputs ?? []
    if outputs == nil {
      wanted = try reference.tensors.map { (view) throws(DFMergeError) in
        let dtype = view.dtype.isMergeable ? settings.dtype ?? view.dtype : view.dtype
        return try TensorSpec(name: view.name, dtype: dtype, shape: view.shape)
      }
    }
    guard !wanted.isEmpty else {
      throw DFMergeError(
        .invalidArgument,
        outputs == nil
          ? "\(reference.label) has no tensors; pass a checkpoint with weights."
          : "The target has no tensors; add the tensors to write.")
    }
    var alignment = PlanAlignment(
      reference: reference, hasBase: base != nil, models: models, fishers: fishers,
      needsBase: needsBase, target: outputs == nil ? reference.label : "the target",
      isGiven: outputs != nil, settings: settings, methods: try methods?(wanted.map(\.name)))
    let names = Set(wanted.map(\.name))
    for (position, output) in wanted.enumerated()
    where outputs == nil || !side.isWritten(output.name, beside: names) {
      wanted[position] = try alignment.align(output, position)
    }
    if outputs == nil || settings.extra != nil {
      alignment.noteExtraTensors(beside: wanted, except: side.isKnown)
    }
    alignment.noteUnusedData()
    var added = SideAlignment(side, outputs: wanted, isGiven: outputs != nil)
    try added.align(alignment, models.first)
    self.side = side
    self.outputs = added.outputs
    entries = added.entries
    numbers = added.numbers
    numberOutputs = added.numberOutputs
    copies = alignment.copies
    leftOut = alignment.leftOut
    notes = alignment.notes
    problems = alignment.problems + added.problems
    modelNames = models.map(\.label)
  }

  /// - Throws: one error that lists the problems, with the code of the first.
  package func throwIfRefused() throws(DFMergeError) {
    guard let first = problems.first else { return }
    // Twenty lines say what kind of trouble it is; a thousand would hide it.
    let shown = problems.prefix(20).map(\.text).joined(separator: "; ")
    let more = problems.count > 20 ? "; and \(problems.count - 20) more" : ""
    let remedies = PlanFinding.remedies(for: problems).joined(separator: " ")
    throw DFMergeError(
      first.kind.code,
      "\(problems.count) tensor\(problems.count == 1 ? "" : "s") cannot be aligned: \(shown)\(more)"
        + ". \(remedies)", context: ["tensor": first.tensor])
  }
}
