import DFMergeCore
import Glibc

// Where in the unit cube the acquisition function is largest.
//
// Glossary:  d: dimensions   z [m, d]: candidates, row-major   a [m]: their acquisition values
//
// `uniform` (bayesian-optimization 2.0.4): 10,000 uniform candidates, 10 local searches from
// uniform starts; the best candidate wins only where it beats the best local search strictly.
// Deviations: analytic instead of finite-difference gradients; random numbers from our seed
// instead of the operating system's entropy, hence reproducible. `incumbents`: the local searches
// start from the best of a set that covers the cube (Sobol') and the surroundings of the best
// trials at three widths, single coordinates redrawn, and faces of the cube, where a model that
// harms the merge gets coefficient 0.
struct AcquisitionSearch {
  let function: AcquisitionFunction
  let surrogate: ObjectiveModel
  /// Every point told or pending: none is suggested again.
  let known: [[Double]]
  let seed: UInt64
  /// The number of the trial to suggest: keys every random draw.
  let number: Int

  private var dimension: Int { surrogate.observations.dimension }

  /// Two points closer than this in every coordinate are the same point: a coefficient changed by a
  /// millionth changes no score.
  static let sameness = 1e-6

  static let uniformCandidates = 10_000
  static let uniformStarts = 10
  /// scipy's L-BFGS-B defaults, which the original runs with.
  private static let uniformLocal = BoundedLBFGS(
    gradientTolerance: 1e-5, valueTolerance: 2.2e-9, maximumIterations: 15_000)

  static let sobolCandidates = 512
  static let incumbents = 4
  /// Standard deviations of the steps around an incumbent, from a fifth of the cube to the last
  /// digit that a score of a few hundred examples resolves.
  static let widths = [0.2, 0.07, 0.02]
  static let perWidth = 16
  static let facesPerIncumbent = 8
  static let localStarts = 4
  /// Starts are this far apart, times √d: two in one basin are one too many.
  static let startDistance = 0.05
  private static let incumbentLocal = BoundedLBFGS(
    gradientTolerance: 1e-4, valueTolerance: 1e-7, maximumIterations: 40)

  func maximise(_ kind: OptimizerOptions.Search) -> [Double] {
    switch kind {
    case .uniform: return maximiseUniform()
    case .incumbents: return maximiseFromIncumbents()
    }
  }

  private func random(_ purpose: String) -> CounterRandom {
    CounterRandom(seed: seed, purpose: purpose, index: UInt64(truncatingIfNeeded: number))
  }

  private func maximiseUniform() -> [Double] {
    let d = dimension
    var random = random("acquisition.uniform")
    var z: [Double] = []
    z.reserveCapacity(AcquisitionSearch.uniformCandidates * d)
    for _ in 0..<(AcquisitionSearch.uniformCandidates * d) { z.append(random.uniform()) }
    let a = values(z)
    let order = ranked(a)
    var local: (point: [Double], value: Double)?
    for _ in 0..<AcquisitionSearch.uniformStarts {
      let start = (0..<d).map { _ in random.uniform() }
      let found = polish(start, AcquisitionSearch.uniformLocal)
      if found.value.isFinite, found.value > (local?.value ?? -.infinity) { local = found }
    }
    var best = local?.point
    if let first = order.first, a[first] > (local?.value ?? -.infinity) { best = row(z, first) }
    return fresh(best, z, order)
  }

  private func maximiseFromIncumbents() -> [Double] {
    let z = candidates()
    let a = values(z)
    let order = ranked(a)
    let apart = AcquisitionSearch.startDistance * Double(dimension).squareRoot()
    var starts: [[Double]] = []
    for index in order {
      if starts.count == AcquisitionSearch.localStarts { break }
      let point = row(z, index)
      let isApart = starts.allSatisfy { start in
        var squared = 0.0
        for k in 0..<dimension { squared += (start[k] - point[k]) * (start[k] - point[k]) }
        return squared.squareRoot() > apart
      }
      if isApart { starts.append(point) }
    }
    var best: (point: [Double], value: Double)?
    for start in starts {
      let found = polish(start, AcquisitionSearch.incumbentLocal)
      if found.value.isFinite, found.value > (best?.value ?? -.infinity) { best = found }
    }
    return fresh(best?.point, z, order)
  }

  private func candidates() -> [Double] {
    let d = dimension
    var z = SpaceFilling.points(
      count: AcquisitionSearch.sobolCandidates, dimension: d,
      random: random("acquisition.candidates"))
    var random = random("acquisition.incumbents")
    let means = surrogate.meansAtData
    let order = means.indices.sorted { (-means[$0], $0) < (-means[$1], $1) }
    // At least one coordinate and a half on average, so that low dimensions move too.
    let redrawn = max(0.3, 1.5 / Double(d))
    let toFace = 1.2 / Double(d)
    for index in order.prefix(AcquisitionSearch.incumbents) {
      let x = surrogate.observations.point(index)
      for width in AcquisitionSearch.widths {
        for _ in 0..<AcquisitionSearch.perWidth {
          for k in 0..<d {
            z.append(min(max(x[k] + width * SpaceFilling.normal(&random), 0), 1))
          }
        }
      }
      for _ in 0..<AcquisitionSearch.perWidth {
        for k in 0..<d {
          z.append(random.uniform() < redrawn ? random.uniform() : x[k])
        }
      }
      for _ in 0..<AcquisitionSearch.facesPerIncumbent {
        for k in 0..<d { z.append(random.uniform() < toFace ? 0 : x[k]) }
      }
    }
    return z
  }

  private func values(_ z: [Double]) -> [Double] {
    let d = dimension
    return z.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return [] }
      return (0..<(z.count / d)).map { function.value(base + $0 * d) }
    }
  }

  /// Indices of the candidates, best first; NaN last; ties in order.
  private func ranked(_ a: [Double]) -> [Int] {
    let keys = a.map { $0.isNaN ? -Double.infinity : $0 }
    return keys.indices.sorted { (-keys[$0], $0) < (-keys[$1], $1) }
  }

  private func polish(
    _ start: [Double], _ search: BoundedLBFGS
  ) -> (point: [Double], value: Double) {
    let d = dimension
    let found = search.minimise(
      from: start, lower: [Double](repeating: 0, count: d),
      upper: [Double](repeating: 1, count: d)
    ) { x, gradient in
      let value = function.value(x, gradient: &gradient)
      for k in 0..<d { gradient[k] = -gradient[k] }
      return -value
    }
    return (found.x, -found.value)
  }

  private func row(_ z: [Double], _ index: Int) -> [Double] {
    Array(z[(index * dimension)..<((index + 1) * dimension)])
  }

  /// The winner unless its score is known already; then the best candidate that is new.
  private func fresh(_ winner: [Double]?, _ z: [Double], _ order: [Int]) -> [Double] {
    if let winner, !isKnown(winner) { return winner }
    for index in order {
      let point = row(z, index)
      if !isKnown(point) { return point }
    }
    var random = random("acquisition.fallback")
    return (0..<dimension).map { _ in random.uniform() }
  }

  private func isKnown(_ point: [Double]) -> Bool {
    known.contains { other in
      zip(point, other).allSatisfy { abs($0 - $1) < AcquisitionSearch.sameness }
    }
  }
}
