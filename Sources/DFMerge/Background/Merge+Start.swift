import DFMergeCore
import DFMergeEngine

extension Merge {
  /// Carries the merge out on a thread of its own, so that async code can await it.
  ///
  /// The result is that of ``run(to:progress:cancelled:)``, bit for bit. Events of
  /// ``BackgroundRun/progress`` have the phase `merge` and count bytes of the result; one is sent
  /// when the count has changed.
  /// - Parameter destination: memory must have an owner or outlive the run's result.
  /// - Returns: the run, under way. Errors come out of its ``BackgroundRun/result``. A merge may
  ///   have several runs at once, each to a destination of its own.
  public func start(to destination: MergeDestination) -> MergeRun {
    BackgroundRun(
      refused: { $0 },
      work: { control in
        Result { () throws(DFMergeError) in
          var last = -1
          return try self.run(
            to: destination,
            progress: { (done, total) throws(DFMergeError) in
              if done != last {
                control.report(ProgressEvent(phase: .merge, done: done, total: total, best: nil))
              }
              last = done
              return true
            }, cancelled: { control.isCancelled })
        }
      })
  }
}
