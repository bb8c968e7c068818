import DFMergeCore
import DFMergeKernels

/// Rows of a base and four models, and the rule of each model, written once more one element at a
/// time.
final class RankedCase {
  let length: Int
  let base: Numbers
  let models: [Numbers]
  let rules: [RowMask.Rule]
  let terms = [1, -0.5, 2, 0.25].map { TaskVectorTerm(factor: $0) }
  private let memory: UnsafeMutableRawBufferPointer
  private let seed: UInt64 = 11
  private let key = CounterRandom.key(of: "w")
  private let offset: Int

  init(
    rows: Int, length: Int, input: DType, base: DType, grid: Double? = nil, offset: Int = 0,
    isAlike: Bool = false
  ) {
    func values(_ seed: UInt64) -> [Double] {
      let values = sample(rows * length, seed: seed)
      if isAlike {
        return values.enumerated().map { i, x in
          seed == 3 ? 0 : i % 97 == 5 ? x * 1e-6 : 1 + x * 0x1p-16
        }
      }
      return values.map { x in grid.map { (x / $0).rounded() * $0 } ?? x }
    }
    self.length = length
    self.offset = offset * length
    self.base = Numbers(values(3), base, misalignment: 1)
    models = (0..<4).map { Numbers(values(UInt64($0 + 20)), $0 == 2 ? base : input) }
    rules = [
      .all, .places(length / 4..<(length - length / 8)),
      .drawn(lowest: 0.3, highest: 0.9, rescales: true),
      .drawn(lowest: 0, highest: 1, rescales: false),
    ]
    memory = .allocate(
      byteCount: RowMask.byteCount(models: 4, rowLength: length), alignment: 64)
  }

  deinit { memory.deallocate() }

  var count: Int { base.count }

  var mask: RowMask {
    RowMask(
      rules: rules, rowLength: length, memory: memory, seed: seed, tensorKey: key, offset: offset)
  }

  /// What is left of the difference of model `m` for every element.
  func changes(_ m: Int) -> [Double] {
    let x = models[m]
    let isWide = x.dtype == .f64 || base.dtype == .f64
    var found: [Double] = []
    for row in stride(from: 0, to: count, by: length) {
      let keys = (row..<(row + length)).map {
        abs(isWide ? x[$0] - base[$0] : Double(Float(x[$0]) - Float(base[$0])))
      }
      let order = keys.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }
      var place = [Int](repeating: 0, count: length)
      for (rank, i) in order.enumerated() { place[i] = rank }
      for i in keys.indices {
        let tau = x[row + i] - base[row + i]
        switch rules[m] {
        case .all: found.append(tau)
        case .places(let kept): found.append(kept.contains(place[i]) ? tau : 0)
        case .drawn(let lowest, let highest, let rescales):
          let q =
            length == 1
            ? (lowest + highest) / 2
            : lowest + Double(place[i]) * ((highest - lowest) / Double(length - 1))
          let isKept = draw(m, row + i) < (q * 0x1p32).rounded(.toNearestOrEven)
          found.append(isKept ? (rescales ? tau / q : tau) : 0)
        }
      }
    }
    return found
  }

  private func draw(_ model: Int, _ i: Int) -> Double {
    let element = UInt64(offset + i)
    let random = CounterRandom(
      seed: seed, stream: key &+ UInt64(model) &* 0x9e37_79b9_7f4a_7c15)
    let words = random.block(element / 32 * 8 + element % 8)
    return Double([words.0, words.1, words.2, words.3][Int(element / 8 % 4)])
  }

  /// Whether numbers that compare the models are rounded to float.
  var rounds: Bool { ([base] + models).allSatisfy { $0.dtype != .f64 } }

  func spread(into values: UnsafeMutablePointer<Double>) {
    Kernels.spread(
      into: values, base: base.elements, models: models.map(\.elements), count: count)
  }

  func balance(_ kind: CompetitionBalance.Kind) -> CompetitionBalance {
    CompetitionBalance(
      kind: kind, lower: [0.1, 0.2, 0, 0.5], upper: [1.5, 2, 1, 0.5],
      smallest: [0, 0.5, -1, 0], largest: [40, 30, 20, 0], coefficients: [1, 0.5, 1.2, 1])
  }
}
