import DFMergeCore
import DFMergeIO

/// What a search asks of the program around it, in async form: for models behind an actor, a
/// server, another process. Start it with ``Search/start(_:journal:host:)->AsyncSearchRun``.
///
/// Calls come one after the other, as tasks of their own on Swift's cooperative pool, with the
/// priority of the code that started the search; task-local values are not handed on. While one is
/// under way, the target's memory holds the candidate and nobody else touches it. An actor can be
/// the host itself.
///
/// What a call throws ends the run and comes out of ``BackgroundRun/result`` as it is; the search
/// can be continued from its journal. When the run is stopped, the task of the call is cancelled; a
/// `CancellationError` thrown then is reported as `.cancelled`.
public protocol AsyncSearchHost: Sendable {
  /// Scores the candidate whose weights stand in the target's memory now.
  func evaluate(_ trial: TrialRequest) async throws -> Evaluation

  /// Scores the same candidate on a fixed subset, with the option `subset_share`.
  /// - Throws: without an implementation `.invalidState`.
  func evaluateSubset(_ trial: TrialRequest) async throws -> Evaluation

  /// Measures the diagonal Fisher of one model at the weights that stand in the target's memory
  /// now, and adds it to `request`. Not called with the option `fisher` "none".
  /// - Throws: without an implementation `.invalidState`.
  func measureFisher(_ request: sending FisherRequest) async throws
}

extension AsyncSearchHost {
  /// Refuses: a search with `subset_share` needs an implementation of its own.
  public func evaluateSubset(_ trial: TrialRequest) async throws -> Evaluation {
    throw DFMergeError.missingSubset
  }

  /// Refuses: a search with Fisher values needs an implementation of its own.
  public func measureFisher(_ request: sending FisherRequest) async throws {
    throw DFMergeError.missingFisher
  }
}

/// Carries a search's questions to an async host: the search's thread waits for a task on the pool.
final class AsyncHostBridge: SearchHost {
  private let host: any AsyncSearchHost
  private let control: RunControl
  private let priority: TaskPriority
  /// What the host threw that is no error of the library.
  private(set) var failure: (any Error)?

  init(_ host: any AsyncSearchHost, control: RunControl, priority: TaskPriority) {
    self.host = host
    self.control = control
    self.priority = priority
  }

  func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    try answer { [host] in try await host.evaluate(trial) }
  }

  func evaluateSubset(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    try answer { [host] in try await host.evaluateSubset(trial) }
  }

  func measureFisher(_ request: FisherRequest) throws(DFMergeError) {
    // This thread waits until the task is over, so only one of them has the request at a time.
    nonisolated(unsafe) let request = request
    try answer { [host] in try await host.measureFisher(request) }
  }

  func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool {
    control.report(event)
    return true
  }

  private func answer<Answer: Sendable>(
    _ call: @escaping @Sendable () async throws -> Answer
  ) throws(DFMergeError) -> Answer {
    try control.check()
    let place = AnswerPlace<Answer>()
    let task = Task.detached(priority: priority) {
      do {
        place.set(.success(try await call()))
      } catch {
        place.set(.failure(error))
      }
    }
    control.wait(for: task)
    defer { control.wait(for: nil) }
    do {
      return try place.get()
    } catch let error as DFMergeError {
      throw error
    } catch {
      if control.isCancelled, error is CancellationError { throw Search.stopped }
      failure = error
      throw DFMergeError(.callbackFailed, "The host threw an error, which stops the run.")
    }
  }
}

/// Where a task leaves its answer for the thread that waits.
private final class AnswerPlace<Answer: Sendable>: @unchecked Sendable {
  // Sendable: the answer is only touched under the monitor.
  private let monitor = Monitor()
  private var answer: Result<Answer, any Error>?

  func set(_ result: Result<Answer, any Error>) {
    monitor.locked {
      answer = result
      monitor.wakeAll()
    }
  }

  /// Holds the calling thread until the answer is there; never one of the cooperative pool.
  func get() throws -> Answer {
    let found = monitor.locked {
      while true {
        if let answer { return answer }
        monitor.wait()
      }
    }
    return try found.get()
  }
}
