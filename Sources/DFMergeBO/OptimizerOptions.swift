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
    /// The tasks: one process each, independent given the trials; the acquisition is that of their
    /// aggregate. T times the cost.
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
  /// What is modelled where there are several tasks; tasks with a floor have a model of their own
  /// in either case.
  public var modelling: Modelling
  /// What a first stage, on a fixed subset of the evaluation, costs as a share of a full
  /// evaluation: in (0, 1), such as 0.25 for a quarter of the examples. nil: evaluations have one
  /// stage.
  public var subsetShare: Double?

  public init(
    seed: UInt64 = 0, initial: Int = 10, informed: [[Double]] = [],
    model: Model = .hierarchical,
    acquisition: Acquisition = .logNoisyExpectedImprovement(samples: 32),
    design: Design = .sobol, search: Search = .incumbents, modelling: Modelling = .aggregate,
    subsetShare: Double? = nil
  ) {
    self.seed = seed
    self.initial = initial
    self.informed = informed
    self.model = model
    self.acquisition = acquisition
    self.design = design
    self.search = search
    self.modelling = modelling
    self.subsetShare = subsetShare
  }

  /// The best that we measured at 20 to 60 evaluations. Add ``diagonalPoints(dimension:)`` to
  /// ``informed`` where the coordinates are merging coefficients.
  public static let `default` = OptimizerOptions()

  /// The settings of DF-Merge: 10 uniform points, then expected improvement with xi = 0.01.
  public static let paper = OptimizerOptions(
    model: .isotropic, acquisition: .expectedImprovement(xi: 0.01), design: .uniform,
    search: .uniform)

  /// Points where merging coefficients are known to do well: all equal to 1/d (averaging, 'Fisher'
  /// merging), 0.3 (task arithmetic's usual value), 0.5 and 0.15, in this order.
  public static func diagonalPoints(dimension: Int) -> [[Double]] {
    guard dimension > 0 else { return [] }
    return [1 / Double(dimension), 0.3, 0.5, 0.15].map {
      [Double](repeating: $0, count: dimension)
    }
  }
}
