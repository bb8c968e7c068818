import Glibc

/// Where the wall time of a run went.
struct SearchClock {
  /// Seconds of the trial under way.
  var trial = TrialRecord.Seconds()
  /// Seconds spent inside the host's callbacks.
  var callbacks = 0.0
  /// Seconds of the run.
  var total = 0.0

  /// Share of the run's wall time that was not the host's.
  var outsideShare: Double { total > 0 ? max(0, (total - callbacks) / total) : 0 }

  /// Seconds since 1970.
  static func sinceEpoch() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// Seconds on a clock that only goes forward.
  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
