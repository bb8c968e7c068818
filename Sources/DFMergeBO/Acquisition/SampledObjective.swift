import DFMergeCore
import Glibc

// An objective that is not Gaussian (minimum, geometric mean) by quasi-Monte Carlo.
//
// Glossary:  R: normals per joint draw   K = S R samples, k = s R + r   ε [T, K]: their normals
//   z_tk = m_ts + σ_t ε_tk       g_k = g(z_1k, ... z_Tk)        ρ² = Σ_t c_t² σ_t²
//   τ = η ρ: width of the smoothed kink      v_k = (g_k - best_s) / τ
//   E[max(0, g_s - best_s)] ~ (1/R) Σ_r τ q(v_k),   q(v) = (v + √(v² + 1)) / 2 = max(0, v) + o(1)
//   d ln q / dv = 1 / √(v² + 1): the tail falls as 1/|v|, so that no sample's gradient vanishes
// The normals are the quantiles of one scrambled Sobol' set, the same at every x: the estimate is a
// smooth function of x. Sources: Balandat et al. 2020, "BoTorch" (fixed base samples); Ament et al.
// 2023, section 4.2 (the idea of a fat tail under the logarithm; q is ours).
final class SampledObjective: ObjectivePosterior {
  private let stack: OutputStack
  private let aggregation: Aggregation
  private let perDraw: Int
  private let normals: Scratch
  private let z: Scratch
  /// g [K], ∂g/∂z [K, T], v [K].
  private let g: Scratch
  private let slopes: Scratch
  private let v: Scratch
  private var spread = 1.0

  /// K where the draws do not need more.
  static let sampleCount = 128
  /// η: at v = 0 the smoothing adds η/2 of the spread to an improvement of 0.4 of it.
  static let kink = 0.02

  init(_ stack: OutputStack, aggregation: Aggregation, random: CounterRandom) {
    self.stack = stack
    self.aggregation = aggregation
    perDraw = max(1, SampledObjective.sampleCount / stack.samples)
    let count = stack.samples * perDraw
    let outputs = stack.count
    let points = SpaceFilling.points(count: count, dimension: outputs, random: random)
    normals = Scratch(points.map { Normal.quantile($0) })
    z = Scratch(outputs)
    g = Scratch(count)
    slopes = Scratch(count * outputs)
    v = Scratch(count)
  }

  /// Fills g and its slopes for the first `draws` draws.
  private func sample(draws: Int) {
    let outputs = stack.count
    for s in 0..<draws {
      for k in (s * perDraw)..<((s + 1) * perDraw) {
        for t in 0..<outputs {
          z.pointer[t] =
            stack.means(t)[s] + stack.deviations.pointer[t] * normals.pointer[k * outputs + t]
        }
        g.pointer[k] = aggregation.value(z.pointer, slopes: slopes.pointer + k * outputs)
      }
    }
    var squared = 0.0
    for t in 0..<outputs {
      let part = aggregation.coefficients[t] * stack.deviations.pointer[t]
      squared += part * part
    }
    spread = max(squared.squareRoot(), .leastNormalMagnitude)
  }

  func logImprovements(over best: [Double], into terms: UnsafeMutablePointer<Double>) -> Double {
    sample(draws: stack.samples)
    let tau = SampledObjective.kink * spread
    for s in 0..<stack.samples {
      var sum = 0.0
      for k in (s * perDraw)..<((s + 1) * perDraw) {
        let v = (g.pointer[k] - best[s]) / tau
        self.v.pointer[k] = v
        sum += SampledObjective.positivePart(v)
      }
      terms[s] = log(sum)
    }
    return log(tau / Double(perDraw))
  }

  /// q, without cancellation on either side.
  private static func positivePart(_ v: Double) -> Double {
    let root = (v * v + 1).squareRoot()
    return v > 0 ? 0.5 * (v + root) : 0.5 / (root - v)
  }

  func addImprovementSlopes(
    over best: [Double], weights: UnsafePointer<Double>, total: Double
  ) {
    let tau = SampledObjective.kink * spread
    // Σ_s q_s ∂ ln(τ Σ_r q(v_k)): of v through g and τ, and of τ itself.
    var ofTau = 1 / tau
    for s in 0..<stack.samples {
      var sum = 0.0
      for k in (s * perDraw)..<((s + 1) * perDraw) {
        sum += SampledObjective.positivePart(v.pointer[k])
      }
      for k in (s * perDraw)..<((s + 1) * perDraw) {
        let v = v.pointer[k]
        let share =
          weights[s] / total * SampledObjective.positivePart(v) / sum
          / (v * v + 1).squareRoot() / tau
        ofTau -= share * v
        addSlopes(k, s, share)
      }
    }
    // ∂τ/∂σ_t = η c_t² σ_t / ρ.
    for t in 0..<stack.count {
      let c = aggregation.coefficients[t]
      stack.deviationSlopes.pointer[t] +=
        ofTau * SampledObjective.kink * c * (c * stack.deviations.pointer[t] / spread)
    }
  }

  private func addSlopes(_ k: Int, _ s: Int, _ weight: Double) {
    let outputs = stack.count
    for t in 0..<outputs {
      let part = weight * slopes.pointer[k * outputs + t]
      stack.meanSlopes.pointer[t * stack.samples + s] += part
      stack.deviationSlopes.pointer[t] += part * normals.pointer[k * outputs + t]
    }
  }

  func moments() -> (mean: Double, deviation: Double) {
    sample(draws: 1)
    var mean = 0.0
    for k in 0..<perDraw { mean += g.pointer[k] }
    mean /= Double(perDraw)
    var squared = 0.0
    for k in 0..<perDraw { squared += (g.pointer[k] - mean) * (g.pointer[k] - mean) }
    return (mean, (squared / Double(perDraw)).squareRoot())
  }

  func addMomentSlopes(mean u: Double, deviation w: Double) {
    let (mean, deviation) = moments()
    let scale = deviation > 0 ? w / deviation : 0
    for k in 0..<perDraw {
      addSlopes(k, 0, (u + scale * (g.pointer[k] - mean)) / Double(perDraw))
    }
  }
}
