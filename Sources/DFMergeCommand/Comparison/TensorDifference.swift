import DFMergeCore
import DFMergeKernels

/// How far two tensors of one shape are from each other, as sums that can be added up.
///
/// Definition:  over all elements where both are finite: the largest and the mean `|b - a|`,
/// `|b - a| / |a|` as Euclidean norms, and the cosine of the angle between a and b; with a base, that
/// between `a - base` and `b - base`. In double.
struct TensorDifference: Sendable {
  /// Elements, those that differ, and those where one is NaN or infinite, which are in no sum.
  var count = 0
  var differing = 0
  var nonFinite = 0
  var largest = 0.0
  var absolute = 0.0
  var squared = 0.0
  var squaredA = 0.0
  var squaredB = 0.0
  var product = 0.0
  /// Of the task vectors, with a base.
  var squaredTaskA = 0.0
  var squaredTaskB = 0.0
  var taskProduct = 0.0

  mutating func add(_ other: TensorDifference) {
    count &+= other.count
    differing &+= other.differing
    nonFinite &+= other.nonFinite
    largest = max(largest, other.largest)
    absolute += other.absolute
    squared += other.squared
    squaredA += other.squaredA
    squaredB += other.squaredB
    product += other.product
    squaredTaskA += other.squaredTaskA
    squaredTaskB += other.squaredTaskB
    taskProduct += other.taskProduct
  }

  private var finiteCount: Int { count &- nonFinite }

  var mean: Double? { finiteCount > 0 ? absolute / Double(finiteCount) : nil }

  /// Nil where a is all zeros and b is not.
  var relative: Double? {
    if squared == 0 { return finiteCount > 0 ? 0 : nil }
    return squaredA > 0 ? (squared / squaredA).squareRoot() : nil
  }

  /// Nil where one of them is all zeros.
  var cosine: Double? { TensorDifference.cosine(product, squaredA, squaredB) }
  var taskCosine: Double? { TensorDifference.cosine(taskProduct, squaredTaskA, squaredTaskB) }

  private static func cosine(_ product: Double, _ a: Double, _ b: Double) -> Double? {
    let norms = a.squareRoot() * b.squareRoot()
    return norms > 0 ? min(max(product / norms, -1), 1) : nil
  }

  /// Over `count` doubles each.
  /// - Parameter base: nil without one.
  static func between(
    _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, base: UnsafeRawPointer?, count: Int
  ) -> TensorDifference {
    var sums = Lanes()
    var place = 0
    while place &+ 8 <= count {
      func load(_ pointer: UnsafeRawPointer) -> SIMD8<Double> {
        pointer.loadUnaligned(fromByteOffset: place &* 8, as: SIMD8<Double>.self)
      }
      sums.add(load(a), load(b), base.map(load))
      place &+= 8
    }
    if place < count {
      // The rest, filled up with elements that differ in nothing.
      func load(_ pointer: UnsafeRawPointer) -> SIMD8<Double> {
        var lanes = SIMD8<Double>.zero
        for lane in 0..<(count &- place) {
          lanes[lane] = pointer.loadUnaligned(
            fromByteOffset: (place &+ lane) &* 8, as: Double.self)
        }
        return lanes
      }
      sums.add(load(a), load(b), base.map(load))
    }
    var result = sums.total
    result.count = count
    return result
  }

  /// Eight sums of each kind side by side.
  private struct Lanes {
    private var largest = SIMD8<Double>.zero
    private var absolute = SIMD8<Double>.zero
    private var squared = SIMD8<Double>.zero
    private var squaredA = SIMD8<Double>.zero
    private var squaredB = SIMD8<Double>.zero
    private var product = SIMD8<Double>.zero
    private var squaredTaskA = SIMD8<Double>.zero
    private var squaredTaskB = SIMD8<Double>.zero
    private var taskProduct = SIMD8<Double>.zero
    private var differing = SIMD8<Int64>.zero
    private var nonFinite = SIMD8<Int64>.zero

    @inline(__always)
    mutating func add(_ a: SIMD8<Double>, _ b: SIMD8<Double>, _ base: SIMD8<Double>?) {
      let origin = base ?? .zero
      differing &+= SIMD8<Int64>.zero.replacing(with: 1, where: a .!= b)
      // What is not finite differs from itself by NaN.
      let isFinite = (a - a .== 0) .& (b - b .== 0) .& (origin - origin .== 0)
      nonFinite &+= SIMD8<Int64>(repeating: 1).replacing(with: 0, where: isFinite)
      let x = SIMD8<Double>.zero.replacing(with: a, where: isFinite)
      let y = SIMD8<Double>.zero.replacing(with: b, where: isFinite)
      let difference = y - x
      let magnitude = difference.replacing(with: -difference, where: difference .< 0)
      largest = largest.replacing(with: magnitude, where: magnitude .> largest)
      absolute += magnitude
      squared += difference * difference
      squaredA += x * x
      squaredB += y * y
      product += x * y
      guard base != nil else { return }
      let zero = SIMD8<Double>.zero.replacing(with: origin, where: isFinite)
      let taskA = x - zero
      let taskB = y - zero
      squaredTaskA += taskA * taskA
      squaredTaskB += taskB * taskB
      taskProduct += taskA * taskB
    }

    var total: TensorDifference {
      TensorDifference(
        differing: Int(differing.wrappedSum()), nonFinite: Int(nonFinite.wrappedSum()),
        largest: largest.max(), absolute: absolute.sum(), squared: squared.sum(),
        squaredA: squaredA.sum(), squaredB: squaredB.sum(), product: product.sum(),
        squaredTaskA: squaredTaskA.sum(), squaredTaskB: squaredTaskB.sum(),
        taskProduct: taskProduct.sum())
    }
  }
}
