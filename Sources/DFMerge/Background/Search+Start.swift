import DFMergeCore

extension Search {
  /// Runs a search on a thread of its own, so that async code can await it.
  ///
  /// The search and its host are handed over: nobody else uses them until ``BackgroundRun/result``
  /// is there. The result, the progress and the host's calls are those of ``run(journal:host:)``,
  /// bit for bit.
  /// To continue a run that was stopped, make the search again and start it with the same journal.
  /// - Parameters:
  ///   - search: made with ``init(target:base:models:options:cancelled:)``; one that is running
  ///     already gives a run that fails with `.invalidState`.
  ///   - journal: as in ``run(journal:host:)``.
  ///   - host: called on the run's thread, one call after the other. Its
  ///     ``SearchHost/progress(_:)`` is called as well, after the event has gone to
  ///     ``BackgroundRun/progress``.
  /// - Returns: the run, under way. Errors come out of its ``BackgroundRun/result``.
  public static func start(
    _ search: sending Search, journal: String? = nil, host: sending any SearchHost
  ) -> SearchRun {
    BackgroundRun(
      refused: { $0 },
      work: { control in
        Result { () throws(DFMergeError) in
          try search.run(
            journal: journal, host: ProgressRelay(host, control: control),
            stopped: { control.isCancelled })
        }
      })
  }

  /// Runs a search whose host is async; otherwise as ``start(_:journal:host:)->SearchRun``.
  ///
  /// - Parameters:
  ///   - search: as there.
  ///   - journal: as in ``run(journal:host:)``.
  ///   - host: see ``AsyncSearchHost``; it may be an actor.
  /// - Returns: the run, under way. Its ``BackgroundRun/result`` throws a ``DFMergeError``, or what
  ///   the host has thrown.
  public static func start(
    _ search: sending Search, journal: String? = nil, host: any AsyncSearchHost
  ) -> AsyncSearchRun {
    let priority = Task.currentPriority
    return BackgroundRun(
      refused: { $0 },
      work: { control in
        let bridge = AsyncHostBridge(host, control: control, priority: priority)
        do throws(DFMergeError) {
          return .success(
            try search.run(journal: journal, host: bridge, stopped: { control.isCancelled }))
        } catch {
          // The host's own error, where it was that which ended the run.
          let own = error.code == .callbackFailed ? bridge.failure : nil
          return .failure(own ?? error)
        }
      })
  }
}

/// Passes a search's questions on to its host, and its progress to the reader of a run as well.
private final class ProgressRelay: SearchHost {
  private let host: any SearchHost
  private let control: RunControl

  init(_ host: any SearchHost, control: RunControl) {
    self.host = host
    self.control = control
  }

  func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    try control.check()
    return try host.evaluate(trial)
  }

  func evaluateSubset(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    try control.check()
    return try host.evaluateSubset(trial)
  }

  func measureFisher(_ request: FisherRequest) throws(DFMergeError) {
    try control.check()
    try host.measureFisher(request)
  }

  func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool {
    control.report(event)
    return try host.progress(event)
  }
}
