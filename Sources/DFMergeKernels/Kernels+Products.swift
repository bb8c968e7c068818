import CDFMergeShims
import DFMergeCore

// Inner products of several inputs with each other, and combinations by what comes of them.
extension Kernels {
  /// Every `G_ij = sum_k (x_ik - b_k) (x_jk - b_k)` with `i <= j`, row by row: G_00, G_01, ..., G_11,
  /// and so on; without `b`, products of the inputs themselves.
  ///
  /// One read of the inputs: all products of a block are formed while it is in the cache. The order
  /// of the additions is that of `dot`.
  @inline(never)
  package static func gram(of x: [Elements], minus b: Elements? = nil, count: Int) -> [Double] {
    let pairs = x.count * (x.count + 1) / 2
    guard count > 0 else { return [Double](repeating: 0, count: pairs) }
    let loops = CPULevel.current.loops
    let inputs = x.map(\.input)
    let base = b?.input ?? .nothing
    return addUp(0..<((count &- 1) / productBlock &+ 1)) { block in
      let start = block &* productBlock
      let n = min(productBlock, count &- start)
      let origin = base.advanced(by: start)
      var found: [Double] = []
      found.reserveCapacity(pairs)
      for i in inputs.indices {
        let first = inputs[i].advanced(by: start)
        for j in i..<inputs.count {
          found.append(product(first, inputs[j].advanced(by: start), origin, n, loops))
        }
      }
      return found
    }
  }

  /// `sums_k += (x_k - b_k) (y_k - b_k)`, doubles; `x_k y_k` without `b`.
  @inline(never)
  package static func accumulateProducts(
    into sums: UnsafeMutablePointer<Double>, _ x: Elements, _ y: Elements, minus b: Elements?,
    count: Int
  ) {
    let loops = CPULevel.current.loops
    let acc = MutableElements(pointer: UnsafeMutableRawPointer(sums), dtype: .f64)
    let base = b?.input ?? .nothing
    let whole = count & ~(stepSize &- 1)
    if whole > 0 {
      loops.accumulateProducts(
        into: acc.output(live: whole), x.input, y.input, minus: base, n: whole)
    }
    let live = count &- whole
    guard live > 0 else { return }
    FilledStep.with(operands: 4) { step in
      let rest = acc.advanced(by: whole)
      let filled = step.copyWithZeros(rest.readable.input, live: live)
      let room = rest.output(live: live).moved(to: filled)
      let first = step.copyWithZeros(x.advanced(by: whole).input, live: live)
      let second = step.copyWithZeros(y.advanced(by: whole).input, live: live)
      let origin = step.copyWithZeros(base.advanced(by: whole), live: live)
      loops.accumulateProducts(into: room, first, second, minus: origin, n: stepSize)
      FilledStep.deliver(room, to: rest.output(live: live))
    }
  }

  /// `out = b + sum_m f_m (x_m - b)` with factors of their own for every element, doubles;
  /// `sum_m f_m x_m` without `b`.
  @discardableResult
  @inline(never)
  package static func scaledSum(
    into out: MutableElements, base: Elements?, models: [Elements],
    factors: [UnsafePointer<Double>], count: Int
  ) -> StoreOutcome {
    precondition(models.count == factors.count, "Factors for each model.")
    let loops = CPULevel.current.loops
    let lower = factors.map {
      FisherElements(lower: Elements(pointer: UnsafeRawPointer($0), dtype: .f64))
    }
    var outcome = LoopOperands(
      out: out, base: base, models: models, fishers: lower, factors: models.map { _ in 1 }
    ).run(count: count) {
      loops.addScaled(
        into: $0.out, base: $0.base, $0.models, count: models.count, n: $0.n, noticed: $1)
    }
    // Factors are no Fisher values.
    outcome.hasInvalidFisher = false
    return outcome
  }

  private static let productBlock = 1024

  /// The sums of several numbers over blocks, halving the range of blocks until one is left.
  static func addUp(_ blocks: Range<Int>, _ ofBlock: (Int) -> [Double]) -> [Double] {
    guard blocks.count > 1 else { return ofBlock(blocks.lowerBound) }
    let middle = blocks.lowerBound &+ blocks.count / 2
    var sums = addUp(blocks.lowerBound..<middle, ofBlock)
    for (place, value) in addUp(middle..<blocks.upperBound, ofBlock).enumerated() {
      sums[place] += value
    }
    return sums
  }

  /// The sum of products of one block.
  private static func product(
    _ x: dfmk_input, _ y: dfmk_input, _ b: dfmk_input, _ n: Int, _ loops: any InnerLoopSet.Type
  ) -> Double {
    var sums = SIMD8<Double>()
    withUnsafeMutableBytes(of: &sums) { bytes in
      guard let start = bytes.baseAddress else { return }
      let whole = n & ~(stepSize &- 1)
      if whole > 0 { loops.addDifferenceProducts(of: x, y, minus: b, to: start, n: whole) }
      let live = n &- whole
      guard live > 0 else { return }
      FilledStep.with(operands: 3) { step in
        let first = step.copyWithZeros(x.advanced(by: whole), live: live)
        let second = step.copyWithZeros(y.advanced(by: whole), live: live)
        let origin = step.copyWithZeros(b.advanced(by: whole), live: live)
        loops.addDifferenceProducts(of: first, second, minus: origin, to: start, n: stepSize)
      }
    }
    return inPairs(sums)
  }
}
