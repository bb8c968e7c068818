import DFMergeCore
import DFMergeKernels
import Testing

@Suite("Fisher-weighted mean")
struct FisherMeanTests {
  private let floors = [1e-6, 0, 0.2, 1e-3]
  private let weights = [0.5, 1, 0.25, 2]

  private func run(_ inputs: FisherCase, into out: Numbers, floors: [Double]? = nil) {
    let n = inputs.models.count
    Kernels.fisherWeightedMean(
      into: out.mutable, models: inputs.models.map(\.elements), fishers: inputs.fishers,
      weights: Array(weights[..<n]), floors: floors ?? Array(self.floors[..<n]),
      count: out.count)
  }

  private func expected(_ inputs: FisherCase) -> [Double] {
    (0..<inputs.base.count).map { i in
      var top = 0.0
      var bottom = 0.0
      for m in inputs.models.indices {
        let fisher = inputs.fisher(m, i)
        let weight = (fisher < floors[m] ? floors[m] : fisher) * weights[m]
        top += inputs.models[m][i] * weight
        bottom += weight
      }
      return top / bottom
    }
  }

  @Test func everyLength() {
    for count in 0...200 {
      let inputs = FisherCase(count, models: 4, offset: count % 2, interpolated: count % 3 == 0)
      let out = Numbers(room: count, .f32, misalignment: count % 2)
      run(inputs, into: out)
      expectRounded(out, expected(inputs), "\(count)")
    }
  }

  @Test func everyMixOfTypes() {
    for input in mergeable {
      for fisher in mergeable {
        for type in mergeable {
          let inputs = FisherCase(
            43, models: 3, input: input, fisher: fisher, offset: 1, interpolated: true)
          let out = Numbers(room: 43, type, misalignment: 1)
          run(inputs, into: out)
          expectRounded(out, expected(inputs), "\(input) \(fisher) \(type)")
        }
      }
    }
  }

  @Test func withoutAnyWeightTheMeanIsPlain() {
    var inputs = FisherCase(21, models: 3)
    inputs.lower = inputs.lower.map { _ in Numbers([Double](repeating: 0, count: 21), .f32) }
    let out = Numbers(room: 21, .f64)
    run(inputs, into: out, floors: [0, 0, 0])
    for i in 0..<21 {
      let mean = (inputs.models[0][i] + inputs.models[1][i] + inputs.models[2][i]) / 3
      #expect(out[i] == mean)
    }
  }

  @Test func oneModelIsKept() {
    let inputs = FisherCase(21, models: 1, input: .bf16)
    let out = Numbers(room: 21, .bf16)
    run(inputs, into: out)
    #expect(out.bytes == inputs.models[0].bytes)
  }

  @Test func floorsDoNotHideNaN() {
    var inputs = FisherCase(2, models: 2)
    inputs.lower[1] = Numbers([.nan, 1], .f32)
    let out = Numbers(room: 2, .f32)
    run(inputs, into: out)
    #expect(out[0].isNaN && out[1].isFinite)
  }
}
