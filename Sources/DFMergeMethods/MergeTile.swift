import DFMergeCore
import DFMergeKernels

/// The same run of elements of every input, to look at.
package struct InputTile {
  /// Nil for methods that read none.
  package private(set) var base: Elements?
  package private(set) var models: [Elements]
  /// One per model, or empty where this tensor has no Fisher values.
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

  package init(
    base: Elements?, models: [Elements], fishers: [FisherElements] = [], count: Int,
    name: String = "", shape: Shape? = nil, tensorKey: UInt64 = 0, offset: Int = 0,
    statistics: [ModelStatistic: [Double]] = [:], bits: [UnsafeRawPointer] = [],
    numbers: [String: [Double]] = [:], group: Int = 0,
    workspace: UnsafeMutableRawBufferPointer = .init(start: nil, count: 0)
  ) {
    self.base = base
    self.models = models
    self.fishers = fishers
    self.count = count
    self.name = name
    self.shape = shape ?? Shape(vector: count)
    self.tensorKey = tensorKey
    self.offset = offset
    self.statistics = statistics
    self.bits = bits
    self.numbers = numbers
    self.group = group
    self.workspace = workspace
  }

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
