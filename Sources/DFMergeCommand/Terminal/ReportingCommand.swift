import ArgumentParser
import DFMergeCore

/// A command whose failures are the library's, reported in one place.
protocol ReportingCommand: ParsableCommand {
  var output: OutputOptions { get }

  /// Does the work and prints the result.
  /// - Returns: the exit status.
  func execute(_ console: Console) throws(DFMergeError) -> Int32
}

extension ReportingCommand {
  func run() throws {
    let console = Console(output)
    Interruption.watch()
    let status: Int32
    do throws(DFMergeError) {
      status = try execute(console)
    } catch {
      status = console.fail(error)
    }
    if status != 0 { throw ExitCode(status) }
  }
}
