// Limited-memory BFGS inside a box, by gradient projection on the active set.
//
// Minimises f over lower <= x <= upper, f smooth. One iteration:
//   1. active set: coordinates at a bound whose gradient points out of the box; they stay put;
//   2. direction p = -H g on the free coordinates, H from the last pairs (s, y) by the two-loop
//      recursion (Nocedal and Wright 2006, Algorithm 7.4), the pairs restricted to the free ones;
//   3. x(t) = clip(x + t p), t by backtracking with quadratic interpolation until Armijo's rule
//      f(x(t)) <= f(x) + c1 g·(x(t) - x) holds (Bertsekas 1982, projected Newton, Eq. 36).
// Pairs of negative curvature are left out, which keeps H positive definite without Wolfe's rule.
// Simpler than L-BFGS-B (Byrd et al. 1995): no generalised Cauchy point. Same fixed points.
//
// Glossary:  d: number of variables   x, g, p [d]   s = x⁺ - x, y = g⁺ - g [d]
struct BoundedLBFGS {
  /// Stop where the projected gradient's largest entry is at most this.
  var gradientTolerance = 1e-5
  /// Stop where an iteration lowers f by at most this times max(1, |f|).
  var valueTolerance = 1e-9
  var maximumIterations = 100
  /// Pairs kept: scipy's default, ample for the d <= 100 of this module.
  var memory = 10

  /// c1 of Armijo's rule; 1e-4 as in Nocedal and Wright, section 3.1.
  private static let sufficientDecrease = 1e-4
  /// Trial points per line search. 20 halvings reach the resolution of any useful step.
  private static let maximumBacktracks = 20
  /// A pair counts as positive curvature where s·y exceeds this times |y|².
  private static let curvatureFloor = 1e-10

  struct Minimum {
    var x: [Double]
    var value: Double
    var iterations: Int
    var evaluations: Int
  }

  /// The best point found, never worse than the clipped start.
  ///
  /// `evaluate(x, &gradient)` returns f and fills the gradient; a value that is not finite means
  /// "not here" and makes the line search shorten its step. Where the start itself is not finite,
  /// the result is the start with its value.
  func minimise(
    from start: [Double], lower: [Double], upper: [Double],
    _ evaluate: (_ x: [Double], _ gradient: inout [Double]) -> Double
  ) -> Minimum {
    let d = start.count
    var x = start
    for i in 0..<d { x[i] = min(max(x[i], lower[i]), upper[i]) }
    var g = [Double](repeating: 0, count: d)
    var value = evaluate(x, &g)
    var evaluations = 1
    var pairs: [Pair] = []
    var iterations = 0
    while iterations < maximumIterations, value.isFinite {
      var free = [Bool](repeating: true, count: d)
      var largest = 0.0
      for i in 0..<d {
        if (x[i] <= lower[i] && g[i] >= 0) || (x[i] >= upper[i] && g[i] <= 0) {
          free[i] = false
        } else {
          let step = min(max(x[i] - g[i], lower[i]), upper[i]) - x[i]
          largest = max(largest, abs(step))
        }
      }
      if largest <= gradientTolerance { break }
      iterations += 1

      var p = direction(g, free, pairs)
      var slope = 0.0
      for i in 0..<d { slope += p[i] * g[i] }
      if !(slope < 0) {
        pairs.removeAll()
        p = direction(g, free, pairs)
      }
      var step = 1.0
      if pairs.isEmpty {
        var length = 0.0
        for i in 0..<d where free[i] { length += g[i] * g[i] }
        step = min(1, 1 / length.squareRoot())
      }

      guard let found = search(x, value, g, p, step, lower, upper, &evaluations, evaluate) else {
        // A stale model may point nowhere: start again from the gradient once, else stop.
        if pairs.isEmpty { break }
        pairs.removeAll()
        continue
      }
      var pair = Pair(s: found.x, y: found.g)
      for i in 0..<d {
        pair.s[i] -= x[i]
        pair.y[i] -= g[i]
      }
      pairs.append(pair)
      if pairs.count > memory { pairs.removeFirst() }
      let gain = value - found.value
      (x, g, value) = (found.x, found.g, found.value)
      if gain <= valueTolerance * max(1, abs(value)) { break }
    }
    return Minimum(x: x, value: value, iterations: iterations, evaluations: evaluations)
  }

  private struct Pair {
    var s: [Double]
    var y: [Double]
  }

  /// -H g on the free coordinates, 0 elsewhere.
  private func direction(_ g: [Double], _ free: [Bool], _ pairs: [Pair]) -> [Double] {
    let d = g.count
    var q = [Double](repeating: 0, count: d)
    for i in 0..<d where free[i] { q[i] = g[i] }
    var used: [(pair: Pair, alpha: Double, rho: Double)] = []
    var scale = 1.0
    for pair in pairs.reversed() {
      var sy = 0.0
      var yy = 0.0
      var sq = 0.0
      for i in 0..<d where free[i] {
        sy += pair.s[i] * pair.y[i]
        yy += pair.y[i] * pair.y[i]
        sq += pair.s[i] * q[i]
      }
      guard sy > BoundedLBFGS.curvatureFloor * yy, yy > 0 else { continue }
      if used.isEmpty { scale = sy / yy }
      let alpha = sq / sy
      for i in 0..<d where free[i] { q[i] -= alpha * pair.y[i] }
      used.append((pair, alpha, 1 / sy))
    }
    for i in 0..<d { q[i] *= scale }
    for (pair, alpha, rho) in used.reversed() {
      var yq = 0.0
      for i in 0..<d where free[i] { yq += pair.y[i] * q[i] }
      let correction = alpha - rho * yq
      for i in 0..<d where free[i] { q[i] += correction * pair.s[i] }
    }
    for i in 0..<d { q[i] = -q[i] }
    return q
  }

  private func search(
    _ x: [Double], _ value: Double, _ g: [Double], _ p: [Double], _ firstStep: Double,
    _ lower: [Double], _ upper: [Double], _ evaluations: inout Int,
    _ evaluate: (_ x: [Double], _ gradient: inout [Double]) -> Double
  ) -> (x: [Double], g: [Double], value: Double)? {
    let d = x.count
    var step = firstStep
    var trial = x
    var gradient = g
    for _ in 0..<BoundedLBFGS.maximumBacktracks {
      var slope = 0.0
      var moved = false
      for i in 0..<d {
        trial[i] = min(max(x[i] + step * p[i], lower[i]), upper[i])
        slope += g[i] * (trial[i] - x[i])
        if trial[i] != x[i] { moved = true }
      }
      if !moved { return nil }
      let candidate = evaluate(trial, &gradient)
      evaluations += 1
      if candidate.isFinite, candidate <= value + BoundedLBFGS.sufficientDecrease * slope {
        return (trial, gradient, candidate)
      }
      // The parabola through f(x), slope and f(trial), kept within [0.1, 0.5] of the step.
      var shrink = 0.5
      if candidate.isFinite, slope < 0 {
        let parabola = -slope / (2 * (candidate - value - slope))
        if parabola.isFinite { shrink = min(max(parabola, 0.1), 0.5) }
      }
      step *= shrink
    }
    return nil
  }
}
