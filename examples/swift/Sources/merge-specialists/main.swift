// Two specialists are trained, saved, and merged into one network that does both their tasks:
//
//     swift run merge-specialists [FOLDER]
import DFMerge
import Glibc
import Specialists

let specialists = Specialists(folder: CommandLine.arguments.dropFirst().first ?? "checkpoints")

func rounded(_ number: Double) -> Double { (1000 * number).rounded() / 1000 }

/// The accuracies and their mean.
func text(_ accuracies: [Double]) -> String {
  let mean = accuracies.reduce(0, +) / Double(accuracies.count)
  return (accuracies + [mean]).map { "\(rounded($0))" }.joined(separator: "\t")
}

do {
  try specialists.train()
  let report = try await specialists.merge { done, total, best in
    print("trial \(done) of \(total), best validation score \(rounded(best))")
  }
  let result = report.result
  print("\naccuracy on test data\t" + report.tasks.joined(separator: "\t") + "\tmean")
  for (task, accuracies) in zip(report.tasks, report.specialists) {
    print("specialist \(task)\t" + text(accuracies))
  }
  print("average\t\t\t" + text(report.average))
  print("merged\t\t\t" + text(report.merged))
  for model in result.models {
    print("coefficient of \(model): \(rounded(result.coefficient(of: model) ?? .nan))")
  }
  if let margin = result.overAverage {
    print("expected gain over the average: \(rounded(margin.difference))")
  }
  print("saved to \(specialists.path("merged"))")
} catch let error as DFMergeError {
  // The message says what is wrong and what to do about it.
  print("error: \(error.message)")
  exit(1)
}
