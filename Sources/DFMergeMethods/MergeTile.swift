import DFMergeCore
import DFMergeKernels

/// The same run of elements of every input, to look at.
package struct InputTile {
  /// Nil for methods that read none.
  package let base: Elements?
  package let models: [Elements]
  /// One per model, or empty where this tensor has no Fisher values.
  package let fishers: [FisherElements]
  package let count: Int
  /// The tensor's name.
  package let name: String
  /// The shape of what is merged of the tensor: all, or its leading rows.
  package let shape: Shape
  /// A hash of the tensor's name: the key of random numbers.
  package let tensorKey: UInt64
  /// The number of the tile's first element within its tensor.
  package let offset: Int
  /// The numbers of each statistic asked for, those of this tensor where it is taken within each
  /// tensor: one per model, or as many as the request says.
  package let statistics: [ModelStatistic: [Double]]
  /// The group of tensors that this one belongs to, for methods with coefficients by group.
  package let group: Int
  /// As many bytes as the method asked for, aligned to 64, of any content.
  package let workspace: UnsafeMutableRawBufferPointer
  /// As many elements as the tile has, of the type ``keptDType(for:)``: written by the sums of whole
  /// units of a method that keeps them, and read by its merge. Nil where nothing is kept.
  package let kept: MutableElements?

  package init(
    base: Elements?, models: [Elements], fishers: [FisherElements] = [], count: Int,
    name: String = "", shape: Shape? = nil, tensorKey: UInt64 = 0, offset: Int = 0,
    statistics: [ModelStatistic: [Double]] = [:], group: Int = 0,
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
    self.statistics = statistics
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

  /// `value` as ``RankRequest`` compares it: rounded to float unless an operand is F64.
  @inline(__always)
  package func ranked(_ value: Double) -> Double { isWide ? value : Double(Float(value)) }
}

/// A run of elements of every input, and where the result goes.
@dynamicMemberLookup
package struct MergeTile {
  package let inputs: InputTile
  package let out: MutableElements

  package init(_ inputs: InputTile, out: MutableElements) {
    self.inputs = inputs
    self.out = out
  }

  package subscript<Value>(dynamicMember path: KeyPath<InputTile, Value>) -> Value {
    inputs[keyPath: path]
  }
}
