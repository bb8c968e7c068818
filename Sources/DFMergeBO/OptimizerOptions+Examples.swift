import DFMergeCore

// What the number of examples behind a score says of its noise.
//
// Glossary:  n: examples   p: score   k = p n: examples that count for it
//   fixed   the same examples every time: the score is exact up to its steps of 1/n, which is an
//           error of uniform density and of variance 1 / (12 n²), a floor under the learned noise
//   fresh   drawn anew every time: binomial, p~ (1 - p~) / n with p~ = (k + 1) / (n + 2), so that
//           scores of 0 and 1 have a variance too
// A variance that was told stands in place of either.
// Source: the estimate that adds successes and failures, as Agresti and Coull 1998, "Approximate is
// better than 'exact' for interval estimation of binomial proportions".
extension OptimizerOptions {
  /// The floor of a score's noise variance; 0 where nothing is known or examples are fresh.
  var stepVariance: Double {
    guard let examples, !freshExamples else { return 0 }
    let n = Double(examples)
    return 1 / (12 * n * n)
  }

  /// The variances of scores: those told, and that of fresh examples where none was.
  func variances(of scores: Scores) -> [Double?] {
    guard let examples, freshExamples else { return scores.variances }
    return scores.values.indices.map { task in
      scores.variance(task)
        ?? OptimizerOptions.binomialVariance(scores.values[task], examples: examples)
    }
  }

  static func binomialVariance(_ score: Double, examples: Int) -> Double {
    let n = Double(examples)
    let p = (score * n + 1) / (n + 2)
    return p * (1 - p) / n
  }

  /// Refuses scores that no count of fresh examples gives.
  /// - Parameters:
  ///   - tasks: their names, in the order of the scores.
  ///   - what: whose scores these are, for the message.
  /// - Throws: `.invalidArgument` with ``freshExamples`` for a score outside [0, 1] whose variance
  ///   is not told.
  package func checkExamples(
    _ scores: Scores, tasks: [String], of what: String
  ) throws(DFMergeError) {
    guard freshExamples else { return }
    for (index, score) in scores.values.enumerated() where scores.variance(index) == nil {
      // Scores that are not finite are reported as such, or as failures.
      guard score.isFinite, !(0...1).contains(score), tasks.indices.contains(index) else {
        continue
      }
      throw DFMergeError(
        .invalidArgument,
        "The score '\(tasks[index])' of \(what) is \(score); with fresh_examples a score is a "
          + "share of the examples, in [0, 1]. Tell its variance too, or leave fresh_examples out.")
    }
  }
}

extension Objective {
  /// The least noise variance of the objective where tasks whose variance is not told have that of
  /// a step; 0 where that does not exist.
  func stepVariance(of scores: Scores, step: Double) -> Double {
    guard step > 0 else { return 0 }
    let variances = scores.values.indices.map { scores.variance($0) ?? step }
    return value(scores.values, variances: variances)?.variance ?? 0
  }
}
