import Testing

@testable import DFMergeBO

@Suite struct NormalTests {
  /// (z, ln h(z), Φ(z)/h(z)) to 20 digits, from mpmath at 60 to 80 digits.
  static let reference: [(z: Double, value: Double, slope: Double)] = [
    (6, 1.7917594692541144974, 0.16666666649789214306),
    (2, 0.69738354578822831219, 0.48655931878528386862),
    (0.5, -0.35982768374506381859, 0.99092271800410996015),
    (0, -0.91893853320467274178, 1.2533141373155002512),
    (-1, -2.4851210257126413368, 1.9042712333296918229),
    (-3, -7.8696860596030285171, 3.5323375176251605167),
    (-4.999, -16.738939816412740451, 5.3608762582673029914),
    (-5.001, -16.74966344890143809, 5.3627562426625161084),
    (-8, -37.122364261692633, 8.2393965068400668851),
    (-14.999, -118.83303957127314882, 15.130617116165514915),
    (-15.001, -118.8633027884033074, 15.132600014741301304),
    (-20, -206.91783850942509785, 20.099262811101281775),
    (-38, -730.19618340211373916, 38.052522760041328294),
    (-50, -1258.7441828684608531, 50.039952133872654947),
    (-100, -5010.1295788002497923, 100.01999400419586505),
    (-1e3, -500014.73445209115845, 1000.001999994000042),
    (-1e5, -5000000023.9447894634, 100000.00001999999999),
    (-1e8, -5000000000000037.7603, 100000000.00000002),
  ]

  @Test func logImprovement_matchesHighPrecision() {
    for (z, value, slope) in NormalTests.reference {
      let found = Normal.logImprovement(z)
      expectClose(found.value, value, relative: 2e-13, "ln h(\(z)) = \(found.value)")
      expectClose(found.slope, slope, relative: 1e-12, "slope at \(z) = \(found.slope)")
    }
  }

  @Test func logImprovement_isTheLogarithmOfImprovementWhereThatIsRepresentable() {
    for k in 0...80 {
      let z = -4 + 0.1 * Double(k)
      let direct = Normal.density(z) + z * Normal.distribution(z)
      expectClose(Normal.logImprovement(z).value, scalarLog(direct), relative: 1e-10, floor: 1)
      expectClose(Normal.improvement(z), direct, relative: 1e-10)
    }
  }

  @Test func logImprovement_fallsLikeItsAsymptote_andNeverStops() {
    // ln h(z) -> -z²/2 - ln √(2π) - 2 ln |z|; EI itself is 0 in double precision below -38.
    for z in [-200.0, -1e4, -1e6] {
      let asymptote = -0.5 * z * z - Normal.halfLogTwoPi - 2 * scalarLog(-z)
      expectClose(Normal.logImprovement(z).value, asymptote, relative: 1e-8)
    }
    var last = Normal.logImprovement(10).value
    for k in 1...6000 {
      let value = Normal.logImprovement(10 - 0.01 * Double(k)).value
      #expect(value < last)
      last = value
    }
    #expect(Normal.logImprovement(-.greatestFiniteMagnitude).value.isFinite)
    #expect(Normal.logImprovement(.greatestFiniteMagnitude).value.isFinite)
  }

  @Test func quantile_invertsTheDistribution() {
    expectClose(Normal.quantile(0.3), -0.524400512708040816, relative: 1e-13)
    expectClose(Normal.quantile(0.1), -1.28155156554460044, relative: 1e-13)
    expectClose(Normal.quantile(0.015625), -2.15387469406145621, relative: 1e-13)
    expectClose(Normal.quantile(1e-6), -4.75342430882289896, relative: 1e-13)
    expectClose(Normal.quantile(0.9), 1.28155156554460044, relative: 1e-13)
    #expect(Normal.quantile(0.5) == 0)
    #expect(Normal.quantile(0) == -8 && Normal.quantile(1) == 8)
  }
}
