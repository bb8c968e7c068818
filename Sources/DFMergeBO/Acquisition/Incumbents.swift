import DFMergeCore
import Glibc

/// What an improvement is measured from: the best objective among the feasible points, for each
/// joint draw of the outputs at the data.
struct Incumbents {
  /// In the aggregation's units [S].
  var best: [Double]
  /// Whether some draw has a feasible point.
  var isAnyFeasible: Bool
  let logUnit: Double

  /// The posterior means as the only draw.
  static func ofMeans(_ model: ObjectiveModel) -> Incumbents {
    Incumbents(model, samples: 1) { t, i, _ in model.roles[t].output.means[i] }
  }

  /// `count` draws, and the outputs' posteriors given each.
  static func drawn(
    _ model: ObjectiveModel, samples count: Int, random: CounterRandom
  ) throws(DFMergeError) -> ([Posterior], Incumbents) {
    var posteriors: [Posterior] = []
    var draws: [Scratch] = []
    for output in model.outputs {
      // An output without a name is the objective itself.
      let (posterior, drawn) = try output.drawn(
        points: model.observations.points, samples: count,
        random: output.name.isEmpty ? random : random.branch(output.name))
      posteriors.append(posterior)
      draws.append(drawn)
    }
    let incumbents = Incumbents(model, samples: count) { t, i, s in
      draws[t].pointer[i * count + s]
    }
    withExtendedLifetime(draws) {}
    return (posteriors, incumbents)
  }

  private init(
    _ model: ObjectiveModel, samples count: Int, _ draw: (Int, Int, Int) -> Double
  ) {
    logUnit = log(model.aggregation.unit)
    let floors = model.roles.map(\.standardisedFloor)
    var best = [Double](repeating: -.infinity, count: count)
    var lowest = [Double](repeating: .infinity, count: count)
    var z = [Double](repeating: 0, count: floors.count)
    for i in model.isSelectable.indices {
      for s in 0..<count {
        var isFeasible = model.isSelectable[i]
        for t in floors.indices {
          z[t] = draw(t, i, s)
          if let floor = floors[t], z[t] < floor { isFeasible = false }
        }
        let value = model.aggregation.value(z)
        if isFeasible { best[s] = max(best[s], value) }
        lowest[s] = min(lowest[s], value)
      }
    }
    isAnyFeasible = best.contains { $0 > -.infinity }
    for s in 0..<count where best[s] == -.infinity { best[s] = lowest[s] }
    self.best = best
  }
}
