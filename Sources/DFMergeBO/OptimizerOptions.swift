/// How an ``Optimizer`` starts, models and searches.
///
/// Two presets: ``default``, ours, and ``paper``, that of DF-Merge (arXiv 2504.18992). Change
/// fields of a preset to get anything between.
public struct OptimizerOptions: Sendable, Equatable {
  /// The model of the score.
  public enum Model: String, Sendable, Hashable {
    /// Matern-5/2 with one length-scale, no amplitude, noise 1e-6, by maximum likelihood (the
    /// paper's).
    case isotropic
    /// Matern-5/2 with a length-scale per dimension under a shared prior, amplitude, and noise
    /// either learned or given, by maximum a posteriori; collapsed scores are clipped first.
    case hierarchical
  }

  /// What is maximised to find the next point. μ, σ: posterior mean and deviation (noise excluded);
  /// φ, Φ: the normal density and distribution; h(z) = φ(z) + z Φ(z).
  public enum Acquisition: Sendable, Equatable {
    /// EI(x) = σ h((μ - best - xi) / σ), best = highest score observed, xi in score units.
    case expectedImprovement(xi: Double)
    /// UCB(x) = μ + kappa σ.
    case upperConfidenceBound(kappa: Double)
    /// ln EI, with best = highest posterior mean at the observed points. Same maximiser as EI of
    /// that best, without EI's plateaus of 0 (Ament et al. 2023).
    case logExpectedImprovement(xi: Double)
    /// ln of the mean over `samples` posterior draws of the scores at the observed points, of EI
    /// with the drawn scores as data: improvement over a best that is not known exactly (Letham et
    /// al. 2019).
    case logNoisyExpectedImprovement(samples: Int)
  }

  /// The start beyond the informed points.
  public enum Design: String, Sendable, Hashable {
    /// numpy's legacy `RandomState(seed)`, point by point (the paper's).
    case uniform
    /// Scrambled Sobol' points, up to 32 dimensions; a Latin hypercube beyond.
    case sobol
  }

  /// How the acquisition function is maximised.
  public enum Search: String, Sendable, Hashable {
    /// 10,000 uniform points and 10 local searches from uniform starts (the paper's). The better
    /// of the two wins, as in bayesian-optimization 2.0.4; version 2.0.3, which the authors used,
    /// kept the worst local optimum by a sign error.
    case uniform
    /// 512 Sobol' points and the surroundings of the best trials, then local searches from the
    /// best.
    case incumbents
  }

  /// What is modelled where an objective has several tasks.
  public enum Modelling: String, Sendable, Hashable, CaseIterable {
    /// The objective: one process for the aggregate of the scores.
    case aggregate
    /// The tasks: one process each; the acquisition is that of their aggregate. T times the cost,
    /// half as much again for the minimum and the geometric mean.
    case tasks
  }

  /// Seed of every random choice. With ``Design/uniform`` at most 2³² - 1, as numpy demands.
  public var seed: UInt64
  /// Trials before the first search; informed and queued points count. At least 0.
  public var initial: Int
  /// Points evaluated first, in order, as far as ``initial`` allows; duplicates are skipped.
  public var informed: [[Double]]
  public var model: Model
  public var acquisition: Acquisition
  public var design: Design
  public var search: Search
  /// Whether a start whose scores are all alike (within six steps of a quantised score) is followed
  /// by points of the diagonal, at 1/4, 1/8, 1/2 and 1/16: a plateau gives a model no direction, and
  /// for merging coefficients it is the foot of the cliff, away from which they are smaller.
  public var leavesPlateaus: Bool
  /// Whether every second suggestion looks for more than the last digits after 4 + d trials without
  /// progress (1 % of the gain over the start): it maximises ln EI over the highest posterior mean
  /// plus 0.2 standard deviations of the scores, in place of ``acquisition``.
  public var widensWhenStalled: Bool
  /// What is modelled where there are several tasks; nil takes what we measured to be better:
  /// the tasks for their minimum, the aggregate otherwise. Tasks with a floor have a model of
  /// their own in either case.
  public var modelling: Modelling?
  /// What a first stage, on a fixed subset of the evaluation, costs as a share of a full
  /// evaluation: in (0, 1), such as 0.25 for a quarter of the examples. nil: evaluations have one
  /// stage.
  public var subsetShare: Double?
  /// How many examples are behind each task's score, n; nil where that is not known. Where a score
  /// is told without a variance, its noise is then at least that of its steps of 1/n, a variance of
  /// 1 / (12 n²); more than that is learned. The paper's model has no noise and refuses it.
  public var examples: Int?
  /// Whether each evaluation draws its ``examples`` anew, rather than using the same ones. Then a
  /// score p told without a variance is a share of n examples, in [0, 1], with the binomial variance
  /// p~ (1 - p~) / n, p~ = (p n + 1) / (n + 2), and no noise is learned.
  public var freshExamples: Bool
  /// Whether the model learns a monotone map of each coordinate, w(x) = 1 - (1 - x^a)^b, for scores
  /// that react to it at one end more than at the other, as to a learning rate on a linear scale.
  /// The paper's model refuses it.
  public var inputWarping: Bool

  public init(
    seed: UInt64 = 0, initial: Int = 8, informed: [[Double]] = [],
    model: Model = .hierarchical,
    acquisition: Acquisition = .logNoisyExpectedImprovement(samples: 32),
    design: Design = .sobol, search: Search = .incumbents, leavesPlateaus: Bool = true,
    widensWhenStalled: Bool = true, modelling: Modelling? = nil, subsetShare: Double? = nil,
    examples: Int? = nil, freshExamples: Bool = false, inputWarping: Bool = false
  ) {
    self.seed = seed
    self.initial = initial
    self.informed = informed
    self.model = model
    self.acquisition = acquisition
    self.design = design
    self.search = search
    self.leavesPlateaus = leavesPlateaus
    self.widensWhenStalled = widensWhenStalled
    self.modelling = modelling
    self.subsetShare = subsetShare
    self.examples = examples
    self.freshExamples = freshExamples
    self.inputWarping = inputWarping
  }

  /// The best that we measured at 20 to 60 evaluations. Add ``diagonalPoints(dimension:)`` to
  /// ``informed`` where the coordinates are merging coefficients.
  public static let `default` = OptimizerOptions()

  /// The settings of DF-Merge: 10 uniform points, then expected improvement with xi = 0.01.
  public static let paper = OptimizerOptions(
    initial: 10, model: .isotropic, acquisition: .expectedImprovement(xi: 0.01), design: .uniform,
    search: .uniform, leavesPlateaus: false, widensWhenStalled: false)

  /// Points where merging coefficients are known to do well: all equal to 1/d (averaging, 'Fisher'
  /// merging), 0.3 (task arithmetic's usual value), 0.5 and 0.15, in this order.
  public static func diagonalPoints(dimension: Int) -> [[Double]] {
    guard dimension > 0 else { return [] }
    return [1 / Double(dimension), 0.3, 0.5, 0.15].map {
      [Double](repeating: $0, count: dimension)
    }
  }
}
