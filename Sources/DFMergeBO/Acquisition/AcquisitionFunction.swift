import DFMergeCore
import Glibc

// Acquisition functions with gradients, in score units.
//
// Glossary:  S: joint draws of the outputs at the data (1 where they are known)    unit: of the
//   aggregation    best [S]: the best objective among the feasible points of each draw
//   EI_s = unit E[max(0, g_s(x) - best_s)]     P_s: probability that x keeps to the floors
//   noisy EI = (1/S) Σ_s EI_s P_s, its logarithm by the log-sum-exp of ln EI_s + ln P_s
// While no draw has a feasible point, the probability of feasibility alone is maximised; a draw
// without one, beside draws with one, improves on its lowest objective. The upper confidence bound
// adds unit · ln P.
// Sources: Jones, Schonlau and Welch 1998 (EI); Srinivas et al. 2010 (UCB); Ament et al. 2023 (log
// forms); Letham et al. 2019, section 4 (noisy EI: the joint draws at the observed points).
final class AcquisitionFunction {
  private enum Form {
    case improvement
    case logImprovement
    case confidence(kappa: Double)
    case feasibility
  }

  private let form: Form
  private let stack: OutputStack
  private let objective: any ObjectivePosterior
  private let feasibility: Feasibility?
  private let incumbents: Incumbents
  private let aggregation: Aggregation
  private let terms: Scratch

  /// Below this noise variance (standardised) the observed scores are as good as exact, and noisy
  /// EI is EI.
  static let negligibleNoise = 1e-5

  /// - Parameters:
  ///   - highest: the highest score of a feasible trial, for EI; nil where there is none.
  ///   - random: the draws of noisy EI and the normals of a sampled objective.
  ///   - seeksFeasibility: maximise the probability of feasibility alone while nothing is
  ///     feasible; else improve on the lowest objective then.
  init(
    _ kind: OptimizerOptions.Acquisition, model: ObjectiveModel, highest: Double?,
    random: CounterRandom, seeksFeasibility: Bool = true
  ) throws(DFMergeError) {
    aggregation = model.aggregation
    let noisiest = model.outputs.reduce(0) { max($0, $1.noise.max() ?? 0) }
    var form = Form.logImprovement
    let posteriors: [Posterior]
    var incumbents = Incumbents.ofMeans(model)
    switch kind {
    case .logNoisyExpectedImprovement(let samples)
    where samples >= 2 && noisiest > AcquisitionFunction.negligibleNoise:
      (posteriors, incumbents) = try Incumbents.drawn(model, samples: samples, random: random)
    default:
      posteriors = model.outputs.map(\.posterior)
    }
    switch kind {
    case .expectedImprovement(let xi):
      form = .improvement
      incumbents.best = [
        highest.map { ($0 - model.aggregation.shift + xi) / model.aggregation.unit } ?? 0
      ]
      incumbents.isAnyFeasible = highest != nil
    case .logExpectedImprovement(let xi):
      incumbents.best[0] += xi / model.aggregation.unit
    case .upperConfidenceBound(let kappa): form = .confidence(kappa: kappa)
    case .logNoisyExpectedImprovement: break
    }
    stack = OutputStack(posteriors)
    feasibility = Feasibility(stack, floors: model.roles.map(\.standardisedFloor))
    self.form = incumbents.isAnyFeasible || !seeksFeasibility ? form : .feasibility
    self.incumbents = incumbents
    objective = AcquisitionFunction.objective(stack, model, random)
    terms = Scratch(stack.samples)
  }

  /// The posterior of the objective over the stack: closed where it is Gaussian.
  static func objective(
    _ stack: OutputStack, _ model: ObjectiveModel, _ random: CounterRandom
  ) -> any ObjectivePosterior {
    if model.aggregation.form == .linear {
      return LinearObjective(
        stack, coefficients: model.aggregation.coefficients,
        correlation: model.correlation.matrix)
    }
    return SampledObjective(stack, model: model, random: random.branch("objective.normals"))
  }

  /// The acquisition at x [d].
  func value(_ x: UnsafePointer<Double>) -> Double {
    stack.evaluate(x)
    return combine(wantsSlopes: false).value
  }

  func value(_ x: [Double]) -> Double {
    x.withUnsafeBufferPointer { buffer in buffer.baseAddress.map { value($0) } ?? 0 }
  }

  /// The acquisition and its gradient at x.
  func value(_ x: [Double], gradient: inout [Double]) -> Double {
    for k in gradient.indices { gradient[k] = 0 }
    return x.withUnsafeBufferPointer { buffer in
      guard let x = buffer.baseAddress else { return 0 }
      stack.evaluateForGradient(x)
      let (value, factor) = combine(wantsSlopes: true)
      stack.addGradient(factor: factor, x: x, to: &gradient)
      return value
    }
  }

  /// The value at the stack's point; with slopes, those of the value divided by `factor`.
  private func combine(wantsSlopes: Bool) -> (value: Double, factor: Double) {
    switch form {
    case .confidence(let kappa): return (confidence(kappa, wantsSlopes), 1)
    case .improvement:
      let value = exp(logMean(wantsSlopes))
      return (value, value)
    case .logImprovement, .feasibility: return (logMean(wantsSlopes), 1)
    }
  }

  private func confidence(_ kappa: Double, _ wantsSlopes: Bool) -> Double {
    let (mean, deviation) = objective.moments()
    var value = aggregation.score(mean + kappa * deviation)
    let unit = aggregation.unit
    if wantsSlopes { objective.addMomentSlopes(mean: unit, deviation: unit * kappa) }
    if let feasibility {
      terms.pointer[0] = 0
      feasibility.addLogProbabilities(to: terms.pointer)
      value += unit * terms.pointer[0]
      terms.pointer[0] = unit
      if wantsSlopes { feasibility.addSlopes(weights: terms.pointer, total: 1) }
    }
    return value
  }

  /// ln((1/S) Σ_s EI_s P_s), or without EI where nothing is feasible.
  private func logMean(_ wantsSlopes: Bool) -> Double {
    let count = stack.samples
    let terms = terms.pointer
    var wantsImprovement = true
    if case .feasibility = form { wantsImprovement = false }
    var common = 0.0
    if wantsImprovement {
      common = incumbents.logUnit + objective.logImprovements(over: incumbents.best, into: terms)
    } else {
      for s in 0..<count { terms[s] = 0 }
    }
    feasibility?.addLogProbabilities(to: terms)
    var largest = -Double.infinity
    for s in 0..<count { largest = max(largest, terms[s]) }
    var sum = 0.0
    for s in 0..<count {
      terms[s] = exp(terms[s] - largest)
      sum += terms[s]
    }
    if wantsSlopes {
      if wantsImprovement {
        objective.addImprovementSlopes(over: incumbents.best, weights: terms, total: sum)
      }
      feasibility?.addSlopes(weights: terms, total: sum)
    }
    return common + largest + log(sum / Double(count))
  }
}

extension CounterRandom {
  /// Another sequence for a part of what this one is for.
  func branch(_ name: String) -> CounterRandom {
    CounterRandom(seed: seed, stream: stream ^ CounterRandom.key(of: name))
  }
}
