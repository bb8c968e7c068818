import DFMergeCore
import DFMergeKernels
import DFMergeLinearAlgebra

// Glossary: `W` weight [o, i], `G` Gram matrix [i, i] or its diagonal [i], `S` sum of the Gram
// matrices, `D` difference from the mean.

/// Regression of every model's linear layers at once.
package struct RegMean: MergeMethod {
  package static let info = MethodInfo(
    id: "regmean",
    title: "RegMean",
    formula:
      "G'_m = c_m G_m, elements off the diagonal times off_diagonal;  "
      + "W^T = (sum G'_m)^-1 sum(G'_m W_m^T)",
    summary:
      "The linear layer whose outputs are closest to every model's own, on the inputs that its Gram "
      + "matrix G_m = mean(x x^T) stands for: no training, no labels. Needs a Gram matrix of each "
      + "model for each linear weight, under the weight's name, [i, i] or its diagonal [i] alone; "
      + "tensors without, biases among them, are averaged. Below 1, off_diagonal makes few or "
      + "narrow inputs harmless: 0.9 is a good start for large language models, and 0 needs no "
      + "solving. Inputs that no model ever has keep the mean of the weights.",
    source:
      "Jin et al. 2023 (arXiv 2212.09849), authors' code: regmean_reduce_nondiag -1 is off_diagonal 1, "
      + "the default, most of their experiments have 0.1; regmean_diag is off_diagonal 0. Deviations: "
      + "double throughout; solved for the difference from the mean of the weights, which is the same "
      + "where there is one solution; off_diagonal is at most 1 - 2^-32 where the Gram matrices are F64, "
      + "1 - 2^-14 for F32 and 1/2 for F16 and BF16, so that where inputs are fewer than their "
      + "elements, the result stays near what the diagonals give.",
    needsBase: false, needsFisher: false, needsGram: true, isPermutationInvariant: false,
    options: [
      OptionSchema(
        "off_diagonal", .number(0...1), default: .double(1),
        "What the elements off the diagonal are multiplied by; 0 keeps the diagonal alone."),
      OptionSchema(
        "coefficients", .numberPerModel(0...1e6), default: .double(1),
        "Weight of each model's Gram matrices."),
      OptionSchema(
        "transposed", .names, default: .array([]),
        "Names of weights that are stored as [i, o], such as those of GPT-2's Conv1D layers; '*' "
          + "stands for any characters, '?' for one."),
    ])

  /// Closer to 1, rounding decides what becomes of directions in which there are no inputs: that of
  /// the matrices to their type, times the root of a million, or that of the solution.
  private static func mostOffDiagonal(_ dtype: DType) -> Double {
    switch dtype {
    case .f64: 1 - 0x1p-32
    case .f32: 1 - 0x1p-14
    default: 0.5
    }
  }

  private let offDiagonal: Double
  private let coefficients: [Double]
  private let transposed: [String]

  package init(options: OptionValues, modelCount: Int) throws(DFMergeError) {
    offDiagonal = try options.number("off_diagonal")
    coefficients = try options.numberPerModel("coefficients")
    guard coefficients.contains(where: { $0 > 0 }) else {
      throw DFMergeError(
        .invalidOption,
        "Every coefficient of method 'regmean' is 0; give one model a coefficient above 0.",
        context: ["option": "coefficients"])
    }
    transposed = options.names("transposed")
  }

  package func assembly(of outline: TensorOutline) throws(DFMergeError) -> TensorAssembly {
    let grams = outline.data.compactMap { $0 }
    // Of some models only: said where such values are aligned.
    guard !grams.isEmpty, grams.count == outline.data.count else { return .elementwise }
    let shape = outline.shape
    guard shape.elementCount > 0 else { return .elementwise }
    if let other = outline.models.compactMap({ $0 }).first(where: { $0 != shape }) {
      return .refused(
        "'\(outline.name)' has a Gram matrix, but is \(shape) in one model and \(other) in another")
    }
    guard let sides = sides(of: outline.name, shape) else {
      return .refused(
        "'\(outline.name)' has a Gram matrix, but is \(shape); only weights of linear layers have one"
      )
    }
    for gram in grams where gram.dimensions != [sides.inputs, sides.inputs] {
      guard gram.dimensions != [sides.inputs] else { continue }
      let turned =
        shape.dimensions.count == 2 && gram.dimensions.first != sides.inputs
          && gram.dimensions.first == sides.outputs
        ? "; a layer that is stored the other way round, such as a Conv1D, is to be named in the "
          + "option 'transposed'" : ""
      return .refused(
        "the Gram matrix of '\(outline.name)', which is \(shape), is \(gram), but should be "
          + "[\(sides.inputs), \(sides.inputs)] or [\(sides.inputs)]\(turned)")
    }
    let isDiagonal = offDiagonal == 0 || grams.allSatisfy { $0.dimensions.count == 1 }
    return .whole(
      WholeTensor(
        shape: shape,
        memory: RegMean.memory(sides.inputs, sides.outputs, isDiagonal: isDiagonal)))
  }

  /// The sizes of a layer, from its weight; those after the first axis are one, for convolutions.
  private func sides(of name: String, _ shape: Shape) -> (inputs: Int, outputs: Int)? {
    let sizes = shape.dimensions
    guard sizes.count >= 2 else { return nil }
    if transposed.contains(where: { TensorName.matches(name, $0) }) {
      return sizes.count == 2 ? (sizes[0], sizes[1]) : nil
    }
    return (shape.elementCount / sizes[0], sizes[0])
  }

  /// Mean, difference, right side and solution; for whole matrices three of `inputs` squared.
  private static func memory(_ inputs: Int, _ outputs: Int, isDiagonal: Bool) -> TileMemory {
    func bytes(_ counts: Int...) -> Int {
      counts.reduce(8) { $0.multipliedReportingOverflow(by: $1).partialValue }
    }
    let sides = bytes(5, inputs, outputs)
    guard !isDiagonal else { return TileMemory(heap: sides &+ bytes(3, inputs)) }
    return TileMemory(
      heap: sides &+ bytes(3, inputs, inputs)
        &+ max(
          Matrix.symmetricHeapBytes(size: inputs, columns: outputs),
          Matrix.productHeapBytes(rows: inputs, inner: inputs, columns: outputs)))
  }

  package func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome {
    let sizes = tile.shape.dimensions
    guard !tile.modelShapes.isEmpty, let sides = sides(of: tile.name, tile.shape) else {
      let count = tile.models.count
      return Kernels.linearCombination(
        into: tile.out, tile.models, weights: tile.models.map { _ in 1 / Double(count) },
        count: tile.count)
    }
    // Rows are inputs in what follows, as they are in a weight that is stored so.
    let isTurned = transposed.contains { TensorName.matches(tile.name, $0) }
    let (rows, columns) = isTurned ? (sizes[0], sizes[1]) : (sides.outputs, sides.inputs)
    let total = coefficients.reduce(0, +)
    var mean = [Double](repeating: 0, count: tile.count)
    for (model, weight) in zip(tile.models, coefficients) where weight > 0 {
      for (place, value) in model.doubles(tile.count).enumerated() {
        mean[place] += weight / total * value
      }
    }
    let isFull = offDiagonal != 0 && tile.dataShapes.contains { $0.dimensions.count > 1 }
    var system = try System(inputs: sides.inputs, outputs: sides.outputs, isFull: isFull)
    let most = tile.fishers.map { RegMean.mostOffDiagonal($0.lower.dtype) }.min() ?? 1
    for (number, weight) in coefficients.enumerated() where weight > 0 {
      var difference = tile.models[number].doubles(tile.count)
      for place in difference.indices { difference[place] -= mean[place] }
      let gram = try gram(
        number, tile, inputs: sides.inputs, weight, offDiagonal: min(offDiagonal, most))
      let matrix = try Matrix(rows: rows, columns: columns, elements: difference)
      try system.add(gram, isTurned ? matrix : matrix.transposed)
    }
    let solved: Matrix
    do throws(DFMergeError) {
      solved = try system.solution()
    } catch {
      guard error.code == .nonFinite else { throw error }
      // NaN in, NaN out: the engine says where, or lets it pass.
      return tile.out.store([Double](repeating: .nan, count: tile.count))
    }
    for row in 0..<rows {
      for column in 0..<columns {
        mean[row * columns + column] += isTurned ? solved[row, column] : solved[column, row]
      }
    }
    return tile.out.store(mean)
  }

  /// The elements of a model's Gram matrix, or of its diagonal, with their factors.
  /// - Throws: `.nonFinite` for one that is none.
  private func gram(
    _ number: Int, _ tile: MergeTile, inputs: Int, _ weight: Double, offDiagonal: Double
  ) throws(DFMergeError) -> [Double] {
    let shape = tile.dataShapes[number]
    var values = tile.fishers[number].lower.doubles(shape.elementCount)
    let isDiagonal = shape.dimensions.count == 1
    let step = isDiagonal ? 1 : inputs + 1
    for place in 0..<inputs {
      let value = values[place * step]
      guard value.isFinite, value >= 0 else {
        throw DFMergeError(
          .nonFinite,
          "Element \(place) of the diagonal of the Gram matrix of '\(tile.name)' is \(value) in "
            + "model number \(number + 1) of \(tile.models.count), but means of squares are 0 or "
            + "more; check where the Gram matrices come from.", context: ["tensor": tile.name])
      }
    }
    if offDiagonal == 0, !isDiagonal {
      return (0..<inputs).map { weight * values[$0 * step] }
    }
    for place in values.indices {
      values[place] *= isDiagonal || place % step == 0 ? weight : weight * offDiagonal
    }
    return values
  }

  /// `S x = R`, summed up model by model.
  private struct System {
    private let inputs: Int
    private let outputs: Int
    private var diagonal: [Double]
    /// Nil where every Gram matrix is a diagonal.
    private var full: Matrix?
    private var right: Matrix

    init(inputs: Int, outputs: Int, isFull: Bool) throws(DFMergeError) {
      self.inputs = inputs
      self.outputs = outputs
      diagonal = [Double](repeating: 0, count: inputs)
      full = isFull ? try Matrix(rows: inputs, columns: inputs) : nil
      right = try Matrix(rows: inputs, columns: outputs)
    }

    /// Adds `G` to the left and `G D` to the right side.
    mutating func add(_ gram: [Double], _ difference: Matrix) throws(DFMergeError) {
      guard gram.count > inputs else {
        for row in 0..<inputs {
          diagonal[row] += gram[row]
          for column in 0..<outputs { right[row, column] += gram[row] * difference[row, column] }
        }
        return
      }
      full?.withElements { sum in
        for (place, value) in gram.enumerated() { sum[place] += value }
      }
      try right.add(try Matrix(rows: inputs, columns: inputs, elements: gram), difference)
    }

    /// Inputs whose element of the diagonal is 0 in every model have the solution 0.
    mutating func solution() throws(DFMergeError) -> Matrix {
      guard var full else {
        for row in 0..<inputs {
          for column in 0..<outputs {
            right[row, column] = diagonal[row] > 0 ? right[row, column] / diagonal[row] : 0
          }
        }
        return right
      }
      for row in 0..<inputs {
        full[row, row] += diagonal[row]
        guard full[row, row] == 0 else { continue }
        // The rest of the row and the column is 0, or the Gram matrix is none.
        full[row, row] = 1
        for column in 0..<outputs { right[row, column] = 0 }
      }
      return try Matrix.solution(symmetric: full, right)
    }
  }
}
