import Testing

@testable import DFMergeCore

@Suite struct CounterRandomTests {
  /// The known answers published with the Random123 library for philox4x32-10.
  @Test func testPhilox_matchesKnownAnswers() {
    let ones: UInt32 = 0xFFFF_FFFF
    let zero = CounterRandom.philox(counter: (0, 0, 0, 0), key: (0, 0))
    #expect(zero == (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    let full = CounterRandom.philox(counter: (ones, ones, ones, ones), key: (ones, ones))
    #expect(full == (0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    let pi = CounterRandom.philox(
      counter: (0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344),
      key: (0xa409_3822, 0x299f_31d0))
    #expect(pi == (0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }

  @Test func testUniform_staysInUnitIntervalWithTheRightMean() {
    var random = CounterRandom(seed: 7, purpose: "test")
    let draws = (0..<20_000).map { _ in random.uniform() }
    #expect(draws.allSatisfy { (0..<1).contains($0) })
    // The mean of 20,000 uniform numbers has a standard deviation of 0.002; six of them.
    #expect(abs(draws.reduce(0, +) / 20_000 - 0.5) < 0.0123)
  }

  @Test func testStreams_differBySeedPurposeAndIndex() {
    func first(_ random: CounterRandom) -> Double {
      var random = random
      return random.uniform()
    }
    let values = [
      first(CounterRandom(seed: 1, purpose: "a")), first(CounterRandom(seed: 2, purpose: "a")),
      first(CounterRandom(seed: 1, purpose: "b")),
      first(CounterRandom(seed: 1, purpose: "a", index: 1)),
    ]
    #expect(Set(values).count == values.count)
    #expect(first(CounterRandom(seed: 1, purpose: "a")) == values[0])
  }
}
