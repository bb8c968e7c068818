import Glibc

// How standardised outputs become the objective.
//
// Glossary:  T: outputs   z_t: an output, standardised   y_t = shift_t + scale_t z_t
//   f = shift + unit g(z): the objective, g in units of `unit`
//   linear     g = Σ c_t z_t, c_t = a_t scale_t / unit, shift = Σ a_t shift_t
//   minimum    g = min(o_t + c_t z_t), c_t = scale_t / unit, o_t = (shift_t - shift) / unit
//   geometric  ln g = mean of ln(c_t p(z_t + o_t)), c_t as above, o_t = shift_t / scale_t, shift = 0
//     p(u) = (u + √(u² + ε²)) / 2: u where that is positive, and a small positive number where a
//     draw of a score is not
// c_t = 0 for an output that is not part of the objective. One linear output of weight 1 has
// g = z, to the bit.
struct Aggregation {
  enum Form { case linear, minimum, geometric }

  let form: Form
  let coefficients: [Double]
  let shift: Double
  let unit: Double
  private let offsets: [Double]
  private let parts: Double

  /// ε of p.
  private static let positiveWidth = 1e-3

  /// - Parameter weights: a, one per output; 0 for one that is only constrained. Their sum is 1
  ///   where the form is linear.
  init(_ form: Form, weights: [Double], standardisations: [Standardisation]) {
    self.form = form
    let factors = zip(weights, standardisations).map { weight, standardisation in
      weight > 0 ? standardisation.scale * (form == .linear ? weight : 1) : 0
    }
    let unit = factors.max() ?? 1
    self.unit = unit
    coefficients = factors.map { $0 / unit }
    parts = Double(max(weights.filter { $0 > 0 }.count, 1))
    let used = zip(weights, standardisations).filter { $0.0 > 0 }
    switch form {
    case .linear:
      shift = used.reduce(0) { $0 + $1.0 * $1.1.shift }
      offsets = []
    case .minimum:
      let lowest = used.map(\.1.shift).min() ?? 0
      shift = lowest
      offsets = standardisations.map { ($0.shift - lowest) / unit }
    case .geometric:
      shift = 0
      offsets = standardisations.map { $0.shift / $0.scale }
    }
  }

  /// A value of g in score units.
  func score(_ g: Double) -> Double { shift + unit * g }

  /// g at z [T], and where wanted its derivatives by each z_t.
  @inline(__always)
  func value(
    _ z: UnsafePointer<Double>, slopes: UnsafeMutablePointer<Double>? = nil
  ) -> Double {
    let count = coefficients.count
    switch form {
    case .linear:
      var sum = 0.0
      for t in 0..<count {
        sum += coefficients[t] * z[t]
        slopes?[t] = coefficients[t]
      }
      return sum
    case .minimum:
      var lowest = Double.infinity
      var which = 0
      for t in 0..<count where coefficients[t] > 0 {
        let value = offsets[t] + coefficients[t] * z[t]
        if value < lowest { (lowest, which) = (value, t) }
      }
      if let slopes {
        for t in 0..<count { slopes[t] = t == which ? coefficients[t] : 0 }
      }
      return lowest
    case .geometric:
      var logarithm = 0.0
      for t in 0..<count where coefficients[t] > 0 {
        let u = z[t] + offsets[t]
        let root = (u * u + Aggregation.positiveWidth * Aggregation.positiveWidth).squareRoot()
        // The two forms are equal; each is the one without cancellation on its side.
        let positive =
          u > 0
          ? 0.5 * (u + root)
          : 0.5 * Aggregation.positiveWidth * Aggregation.positiveWidth / (root - u)
        logarithm += log(coefficients[t] * positive)
        slopes?[t] = 1 / root
      }
      let value = exp(logarithm / parts)
      if let slopes {
        for t in 0..<count {
          slopes[t] = coefficients[t] > 0 ? slopes[t] * value / parts : 0
        }
      }
      return value
    }
  }

  func value(_ z: [Double]) -> Double {
    z.withUnsafeBufferPointer { buffer in buffer.baseAddress.map { value($0) } ?? 0 }
  }
}
