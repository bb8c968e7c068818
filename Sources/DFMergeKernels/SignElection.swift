/// How the task vectors of several models become one by a vote on the sign of each element.
///
/// Terms are `v_m = f_m tau_m` with `tau_m = x_m - b`, those of elements that are trimmed or dropped
/// being 0. The sign `s` is elected from the terms; terms of another sign are left out:
///
///     a = sum(v_m) / sum(w_m)    mean     (over the terms that are left; 0 where none is)
///     a = sum(v_m)               sum
///     a = max(|v_m|) s           largest
///     out = b + scale a
///
/// A NaN difference that is not dropped gives NaN, whatever the vote.
/// Source: TIES, Yadav et al. 2023, arXiv 2306.01708.
package struct SignElection: Sendable, Hashable {
  package enum Vote: Int, CaseIterable, Sendable, Hashable {
    /// The sign of the sum of the terms, those above and below 0 being summed apart. Terms that
    /// cancel are a tie in any order of the models, unless the sums of one sign round.
    case mass
    /// The sign that more terms have.
    case count
    /// As `mass`, but of `tau_m` in place of the terms: factors have no say.
    case plainMass
  }
  package enum Aggregate: Int, Sendable, Hashable {
    case mean
    case sum
    case largest
  }
  /// The sign that is elected where the vote is a tie.
  package enum Tie: Double, Sendable, Hashable {
    case positive = 1
    case negative = -1
    /// No sign: nothing is kept.
    case none = 0
  }

  package var vote: Vote
  package var aggregate: Aggregate
  package var tie: Tie
  package var scale: Double
  /// Means divide by it where the weights come to less.
  package var leastWeight: Double

  package init(
    vote: Vote, aggregate: Aggregate, tie: Tie, scale: Double = 1, leastWeight: Double = 0
  ) {
    self.vote = vote
    self.aggregate = aggregate
    self.tie = tie
    self.scale = scale
    self.leastWeight = leastWeight
  }
}

/// What one model's task vector is worth.
package struct TaskVectorTerm: Sendable, Hashable {
  /// Elements with `|tau|` below it are trimmed; `tau` as ``MagnitudeSelection`` defines it.
  package var threshold: Double
  /// Elements with `|tau|` at or above it are trimmed as well, unless it is infinite.
  package var ceiling: Double
  /// f: multiplies `tau`.
  package var factor: Double
  /// w: counts in the divisor of a mean.
  package var weight: Double

  package init(
    threshold: Double = 0, ceiling: Double = .infinity, factor: Double, weight: Double = 1
  ) {
    self.threshold = threshold
    self.ceiling = ceiling
    self.factor = factor
    self.weight = weight
  }

  /// The smallest `|x - b|` in double whose `tau` reaches the threshold: so the loops compare doubles
  /// and need not round.
  @inline(__always)
  func smallestKept(roundsToFloat: Bool) -> Double {
    TaskVectorTerm.smallest(reaching: threshold, roundsToFloat: roundsToFloat)
  }

  /// The largest `|x - b|` in double whose `tau` is below the ceiling.
  @inline(__always)
  func largestKept(roundsToFloat: Bool) -> Double {
    if ceiling == .infinity { return .infinity }
    if ceiling <= 0 { return -1 }
    return TaskVectorTerm.smallest(reaching: ceiling, roundsToFloat: roundsToFloat).nextDown
  }

  /// For `tau` rounded to float that is half-way from the float below the threshold, or just above
  /// where that number is rounded down.
  @inline(__always)
  private static func smallest(reaching threshold: Double, roundsToFloat: Bool) -> Double {
    guard roundsToFloat, threshold > 0 else { return threshold }
    var float = Float(threshold)
    if Double(float) < threshold { float = float.nextUp }
    // From one float to the next, infinity standing for 2^128.
    let top = float == .infinity ? 0x1p128 : Double(float)
    let middle = (Double(float.nextDown) + top) / 2
    return float.bitPattern & 1 == 0 ? middle : middle.nextUp
  }
}
