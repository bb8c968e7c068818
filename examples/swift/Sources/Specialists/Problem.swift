/// One labelled input.
struct Sample: Sendable {
  let x: [Float]
  let label: Int
}

/// Two sites with the same labels and different sensors; what a site does not have reads 0. A base
/// model has seen a little of both sites; each specialist has been fine-tuned on one of them.
struct Problem: Sendable {
  static let tasks = ["north", "south"]
  private let teacher: [[Float]]
  private let sensors = [0..<5, 3..<Network.inputs]

  init(seed: UInt64) {
    var random = Random(seed: seed)
    teacher = (0..<2 * Network.classes).map { _ in random.vector(Network.inputs) }
  }

  /// `count` samples of a task; equal seeds give equal samples.
  func samples(of task: Int, count: Int, seed: UInt64) -> [Sample] {
    var random = Random(seed: seed * 2 + UInt64(task))
    return (0..<count).map { _ in
      let x = random.vector(Network.inputs).enumerated().map { index, value in
        sensors[task].contains(index) ? 2 * value : 0
      }
      // Not linear, so that the hidden layer has something to do.
      let scores = (0..<Network.classes).map { label in
        dot(teacher[2 * label], x) + abs(dot(teacher[2 * label + 1], x))
      }
      return Sample(x: x, label: scores.indices.max { scores[$0] < scores[$1] } ?? 0)
    }
  }

  private func dot(_ a: [Float], _ b: [Float]) -> Float {
    zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
  }
}

/// Numbers that are the same in every run (SplitMix64).
struct Random: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func vector(_ count: Int) -> [Float] {
    (0..<count).map { _ in Float.random(in: -1...1, using: &self) }
  }
}
