@testable import DFMergeCore

/// A small model family given by integers, with what published code makes of it.
///
/// `h(m, j) = ((7919 (j+1) (j+7) (m+2) + 104729 (m+1)) mod 1009) / 1009 - 1/2`; tensors of 4 and 12
/// elements; `theta0_j = h(0, j)`, `tau_mj = h(m, j) / 10`.
struct GoldenModels {
  let data: RandomModels
  let tiesMean = [
    0.0372151, -0.0320119, -0.0342418, -0.0377106, -0.0475223, 0.0275025, -0.0310704, -0.0236373,
    0.032557, 0.0337958, 0.0461348, 0, 0.0409812, 0.038999, -0.0205649, 0.0382061,
  ]
  let tiesSum = [
    0.0372151, -0.0640238, -0.0684836, -0.0377106, -0.0475223, 0.055005, -0.0932111, -0.0236373,
    0.032557, 0.0675917, 0.0461348, 0, 0.0409812, 0.038999, -0.0205649, 0.0382061,
  ]

  init() {
    func h(_ m: Int, _ j: Int) -> Double {
      let product: Int = (j + 1) * (j + 7) * (m + 2) * 7919
      let rest: Int = (product + (m + 1) * 104_729) % 1009
      return Double(rest) / 1009 - 0.5
    }
    func tensors(_ value: (Int) -> Double) -> [[Float]] {
      [(0..<4).map { Float(value($0)) }, (4..<16).map { Float(value($0)) }]
    }
    data = RandomModels(
      base: tensors { h(0, $0) },
      models: (1...3).map { m in tensors { h(0, $0) + 0.1 * h(m, $0) } })
  }
}
