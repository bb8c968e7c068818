import CDFMergeShims

extension InnerLoops {
  /// `out = b + M * (sum_m W_m (c_m (x_m - b))) / (sum_m W_m)` with `W_m = w_m + epsilon`, and with
  /// every weight 1 where they sum to 0. The weights are doubles where `weightsAreWide`.
  @inline(never)
  package static func mergeTaskVectors(
    into out: UnsafeMutableRawPointer, base: UnsafeRawPointer,
    _ x: UnsafePointer<UnsafeRawPointer>, weights: UnsafePointer<UnsafeRawPointer>,
    coefficients: UnsafePointer<Double>, epsilon: Double, models: Int, n: Int, wide: Bool,
    weightsAreWide: Bool
  ) {
    if wide {
      mergeTaskVectors(
        DoubleLane.self, DoubleLane.self, into: out, base, x, weights, coefficients, epsilon,
        models, n)
    } else if weightsAreWide {
      mergeTaskVectors(
        FloatLane.self, DoubleLane.self, into: out, base, x, weights, coefficients, epsilon,
        models, n)
    } else {
      mergeTaskVectors(
        FloatLane.self, FloatLane.self, into: out, base, x, weights, coefficients, epsilon,
        models, n)
    }
  }

  /// `out = lower + fraction * (upper - lower)`; `lower` alone where there is no `upper`.
  @inline(never)
  package static func interpolate(
    into out: UnsafeMutableRawPointer, lower: UnsafeRawPointer, upper: UnsafeRawPointer?,
    fraction: Double, n: Int, wide: Bool
  ) {
    if wide {
      interpolate(DoubleLane.self, lower, upper, fraction, into: out, n)
    } else {
      interpolate(FloatLane.self, lower, upper, fraction, into: out, n)
    }
  }

  /// `v = v + epsilon`, in place.
  @inline(never)
  package static func add(_ epsilon: Double, to values: UnsafeMutableRawPointer, n: Int) {
    var i = 0
    while i < n {
      let sum = values.load(fromByteOffset: i &* 8, as: Doubles.self) + epsilon
      values.storeBytes(of: sum, toByteOffset: i &* 8, as: Doubles.self)
      i &+= 8
    }
  }

  /// `v = sqrt(v + epsilon)`, in place, rounded correctly; NaN for negative numbers.
  @inline(never)
  package static func squareRoot(
    of values: UnsafeMutableRawPointer, adding epsilon: Double, n: Int
  ) {
    var i = 0
    while i < n {
      let sum = values.load(fromByteOffset: i &* 8, as: Doubles.self) + epsilon
      values.storeBytes(of: dfmk_sqrt_f64x8(sum), toByteOffset: i &* 8, as: Doubles.self)
      i &+= 8
    }
  }

  /// `W = weight * max(F, floor)`, in place; NaN stays NaN.
  @inline(never)
  package static func weigh(
    _ values: UnsafeMutableRawPointer, floor: Double, weight: Double, n: Int
  ) {
    var i = 0
    while i < n {
      let value = values.load(fromByteOffset: i &* 8, as: Doubles.self)
      // Not a maximum function: those prefer the number to the NaN.
      let raised = value.replacing(with: floor, where: value .< floor)
      values.storeBytes(of: raised * weight, toByteOffset: i &* 8, as: Doubles.self)
      i &+= 8
    }
  }

  /// `out = (sum_m w_m x_m) / (sum_m w_m)`, the plain mean where the weights, doubles, sum to 0.
  @inline(never)
  package static func average(
    into out: UnsafeMutableRawPointer, _ x: UnsafePointer<UnsafeRawPointer>,
    weights: UnsafePointer<UnsafeRawPointer>, models: Int, n: Int, wide: Bool
  ) {
    if wide {
      average(DoubleLane.self, into: out, x, weights, models, n)
    } else {
      average(FloatLane.self, into: out, x, weights, models, n)
    }
  }

  @inline(__always)
  private static func mergeTaskVectors<X: Lane, W: Lane>(
    _: X.Type, _: W.Type, into out: UnsafeMutableRawPointer, _ base: UnsafeRawPointer,
    _ x: UnsafePointer<UnsafeRawPointer>, _ w: UnsafePointer<UnsafeRawPointer>,
    _ c: UnsafePointer<Double>, _ epsilon: Double, _ models: Int, _ n: Int
  ) {
    let modelCount = Double(models)
    var i = 0
    while i < n {
      let b = X.load(base + i &* X.width)
      var top = Doubles()
      var bottom = Doubles()
      for m in 0..<models {
        let weight = W.load(w[m] + i &* W.width) + epsilon
        top += (X.load(x[m] + i &* X.width) - b) * c[m] * weight
        bottom += weight
      }
      if dfmk_any_zero(bottom) {
        // Lanes without any weight: plain sums, which are those with every weight 1.
        var plain = Doubles()
        for m in 0..<models { plain += (X.load(x[m] + i &* X.width) - b) * c[m] }
        let isZero = bottom .== 0
        top = (top * modelCount).replacing(with: plain, where: isZero)
        bottom = bottom.replacing(with: 1, where: isZero)
      } else {
        top *= modelCount
      }
      out.storeBytes(of: b + top / bottom, toByteOffset: i &* 8, as: Doubles.self)
      i &+= 8
    }
  }

  @inline(__always)
  private static func interpolate<F: Lane>(
    _: F.Type, _ lower: UnsafeRawPointer, _ upper: UnsafeRawPointer?, _ fraction: Double,
    into out: UnsafeMutableRawPointer, _ n: Int
  ) {
    var i = 0
    while i < n {
      var values = F.load(lower + i &* F.width)
      if let upper { values += (F.load(upper + i &* F.width) - values) * fraction }
      out.storeBytes(of: values, toByteOffset: i &* 8, as: Doubles.self)
      i &+= 8
    }
  }

  @inline(__always)
  private static func average<X: Lane>(
    _: X.Type, into out: UnsafeMutableRawPointer, _ x: UnsafePointer<UnsafeRawPointer>,
    _ w: UnsafePointer<UnsafeRawPointer>, _ models: Int, _ n: Int
  ) {
    var i = 0
    while i < n {
      var top = Doubles()
      var bottom = Doubles()
      for m in 0..<models {
        let weight = DoubleLane.load(w[m] + i &* 8)
        top += X.load(x[m] + i &* X.width) * weight
        bottom += weight
      }
      if dfmk_any_zero(bottom) {
        let isZero = bottom .== 0
        var plain = Doubles()
        for m in 0..<models { plain += X.load(x[m] + i &* X.width) }
        top = top.replacing(with: plain, where: isZero)
        bottom = bottom.replacing(with: Double(models), where: isZero)
      }
      out.storeBytes(of: top / bottom, toByteOffset: i &* 8, as: Doubles.self)
      i &+= 8
    }
  }
}
