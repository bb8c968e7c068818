import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra

/// Which tensors a method takes as matrices and factors: those of two axes whose names hold none of
/// the given texts.
struct MatrixTensors: Sendable {
  private let excluded: [String]

  /// The option that ``init(_:)`` reads.
  static func schema(excluding names: [String], _ summary: String) -> OptionSchema {
    OptionSchema("exclude", .names, default: .array(names.map(JSONValue.string)), summary)
  }

  init(_ options: OptionValues) {
    excluded = options.names("exclude")
  }

  func contains(_ shape: Shape, named name: String) -> Bool {
    shape.dimensions.count == 2 && !excluded.contains { OptionSetting.contains(name, $0) }
  }

  func unit(of shape: Shape, named name: String) -> TileUnit {
    contains(shape, named: name) ? .tensor : .elements
  }

  /// Rows and columns of a tensor that is taken as a matrix; nil for others.
  func size(of shape: Shape, named name: String) -> (rows: Int, columns: Int)? {
    contains(shape, named: name) ? (shape.dimensions[0], shape.dimensions[1]) : nil
  }
}

extension InputTile {
  /// `theta_m - theta0` of a whole matrix.
  /// - Precondition: the tile is a whole tensor of two axes, of a method that needs the base.
  func taskMatrix(_ model: Int) throws(DFMergeError) -> Matrix {
    guard let base, shape.dimensions.count == 2, count == shape.elementCount else {
      throw DFMergeError(
        .internalError, "A matrix was cut into pieces; please report this.",
        context: ["tensor": name])
    }
    var matrix = try Matrix(rows: shape.dimensions[0], columns: shape.dimensions[1])
    matrix.withElements { elements in
      guard let start = elements.baseAddress else { return }
      Kernels.linearCombination(
        into: MutableElements(pointer: UnsafeMutableRawPointer(start), dtype: .f64),
        [models[model], base], weights: [1, -1], count: count)
    }
    return matrix
  }

  /// Runs a factorisation and names the tensor in its error.
  func naming<Result>(
    _ body: () throws(DFMergeError) -> Result
  ) throws(DFMergeError) -> Result {
    do throws(DFMergeError) {
      return try body()
    } catch {
      throw DFMergeError(
        error.code, "Tensor '\(name)': \(error.message)",
        context: error.context.merging(["tensor": name]) { own, _ in own })
    }
  }
}

extension MergeTile {
  /// Writes `theta0 + scale tau`.
  func store(_ tau: Matrix, scale: Double) -> StoreOutcome {
    guard let base = self.base else { return StoreOutcome() }
    return tau.elements.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return StoreOutcome() }
      return Kernels.linearCombination(
        into: out, [base, Elements(pointer: start, dtype: .f64)], weights: [1, scale],
        count: self.count)
    }
  }

  /// Writes `theta0 + scale mean(tau_m)`.
  func storeMean(scale: Double) -> StoreOutcome {
    guard let base = self.base else { return StoreOutcome() }
    let share = scale / Double(self.models.count)
    return Kernels.taskVectorSum(
      into: out, base: base, models: self.models, coefficients: self.models.map { _ in share },
      count: self.count)
  }
}
