import DFMergeCore
import DFMergeKernels

/// The same run of elements of every input, to look at.
package struct InputTile {
  /// Nil for methods that read none.
  package private(set) var base: Elements?
  package private(set) var models: [Elements]
  /// What comes with the models for this tensor, Fisher values or Gram matrices (as `lower`): one per
  /// model, or empty where there is none.
  package private(set) var fishers: [FisherElements]
  package private(set) var count: Int
  /// The tensor's name.
  package let name: String
  /// The shape of what is merged of the tensor: all, or its leading rows.
  package let shape: Shape
  /// A hash of the tensor's name: the key of random numbers.
  package let tensorKey: UInt64
  /// The number of the tile's first element within its tensor.
  package private(set) var offset: Int
  /// The shapes of `models` in a tile of a ``WholeTensor``; empty in others, where all are `shape`.
  package let modelShapes: [Shape]
  /// Likewise those of `fishers`.
  package let dataShapes: [Shape]
  /// The tensors that a ``WholeTensor`` asks for, by name: one per model.
  package let partners: [String: [WholeInput]]
  /// What the product of the LoRA factors of this tensor's module is multiplied by, one per model;
  /// see ``TensorOutline/scalings``.
  package let scalings: [Double]
  /// The numbers of each statistic asked for, those of this tensor where it is taken within each
  /// tensor: one per model, or as many as the request says.
  package let statistics: [ModelStatistic: [Double]]
  /// The bits of the tile's elements that ``SideTensors/bitsRead`` lists, in its order.
  package private(set) var bits: [UnsafeRawPointer]
  /// The vectors that ``SideTensors/numbersRead`` lists, by name.
  package let numbers: [String: [Double]]
  /// The group of tensors that this one belongs to, for methods with coefficients by group.
  package let group: Int
  /// As many bytes as the method asked for, aligned to 64, of any content.
  package let workspace: UnsafeMutableRawBufferPointer
  /// As many elements as the tile has, of the type ``keptDType(for:)``: written by the sums of whole
  /// units of a method that keeps them, and read by its merge. Nil where nothing is kept.
  package private(set) var kept: MutableElements?

  package init(
    base: Elements?, models: [Elements], fishers: [FisherElements] = [], count: Int,
    name: String = "", shape: Shape? = nil, tensorKey: UInt64 = 0, offset: Int = 0,
    modelShapes: [Shape] = [], dataShapes: [Shape] = [], partners: [String: [WholeInput]] = [:],
    scalings: [Double] = [], statistics: [ModelStatistic: [Double]] = [:],
    bits: [UnsafeRawPointer] = [], numbers: [String: [Double]] = [:], group: Int = 0,
    workspace: UnsafeMutableRawBufferPointer = .init(start: nil, count: 0),
    kept: MutableElements? = nil
  ) {
    self.base = base
    self.models = models
    self.fishers = fishers
    self.count = count
    self.name = name
    self.shape = shape ?? Shape(vector: count)
    self.tensorKey = tensorKey
    self.offset = offset
    self.modelShapes = modelShapes
    self.dataShapes = dataShapes
    self.partners = partners
    self.scalings = scalings
    self.statistics = statistics
    self.bits = bits
    self.numbers = numbers
    self.group = group
    self.workspace = workspace
    self.kept = kept
  }

  /// The type of what is kept for an output of type `output`, which it rounds no further.
  package static func keptDType(for output: DType) -> DType { output == .f64 ? .f64 : .f32 }

  /// The number of elements of a row; 1 for a scalar.
  package var rowLength: Int { shape.rowLength }

  /// Whether some operand is F64.
  package var isWide: Bool {
    base?.dtype == .f64 || models.contains { $0.dtype == .f64 }
  }

  /// The elements from number `start` of the tile on.
  package func run(from start: Int, count: Int) -> InputTile {
    var run = self
    run.base = base?.advanced(by: start)
    run.models = models.map { $0.advanced(by: start) }
    run.fishers = fishers.map { $0.advanced(by: start) }
    run.bits = bits.map { $0 + start / 8 }
    run.count = count
    run.offset = offset + start
    run.kept = kept?.advanced(by: start)
    return run
  }

  /// `value` as ``RankRequest`` compares it: rounded to float unless an operand is F64.
  @inline(__always)
  package func ranked(_ value: Double) -> Double { isWide ? value : Double(Float(value)) }
}

/// A run of elements of every input, and where the result goes.
@dynamicMemberLookup
package struct MergeTile {
  package let inputs: InputTile
  package let out: MutableElements
  /// Where the bits of ``SideTensors/bitsWritten`` go, in its order: whole bytes.
  package let bitsOut: [UnsafeMutableRawPointer]

  package init(
    _ inputs: InputTile, out: MutableElements, bitsOut: [UnsafeMutableRawPointer] = []
  ) {
    self.inputs = inputs
    self.out = out
    self.bitsOut = bitsOut
  }

  package subscript<Value>(dynamicMember path: KeyPath<InputTile, Value>) -> Value {
    inputs[keyPath: path]
  }
}

extension MergeTile {
  /// Calls `body` with each row of a tile of whole rows; see ``TileUnit/rows``.
  package func forEachRow(
    _ body: (MergeTile) throws(DFMergeError) -> StoreOutcome
  ) throws(DFMergeError) -> StoreOutcome {
    var outcome = StoreOutcome()
    let length = inputs.rowLength
    guard length > 0 else { return outcome }
    for start in stride(from: 0, to: inputs.count, by: length) {
      let count = min(length, inputs.count - start)
      outcome.add(
        try body(
          MergeTile(inputs.run(from: start, count: count), out: out.advanced(by: start))))
    }
    return outcome
  }
}
