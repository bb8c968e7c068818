import Glibc
import Synchronization

/// Ctrl-C and its kin, as a flag that long work looks at.
enum Interruption {
  private static let received = Atomic<Int32>(0)

  /// The number of the signal that asked the program to stop; 0 for none.
  static var signal: Int32 { received.load(ordering: .relaxed) }

  static var isRequested: Bool { signal != 0 }

  /// From here on SIGINT, SIGTERM and SIGHUP raise the flag, once: a second one ends the program at
  /// once, as it would without us. Signals that the program was started to ignore stay ignored.
  static func watch() {
    // Made before a handler may need it.
    _ = signal
    for number in [SIGINT, SIGTERM, SIGHUP] {
      var before = sigaction()
      sigaction(number, nil, &before)
      let handler = unsafeBitCast(before.__sigaction_handler.sa_handler, to: Int.self)
      guard handler != unsafeBitCast(SIG_IGN, to: Int.self) else { continue }
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        Interruption.received.store(number, ordering: .relaxed)
      }
      action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
      sigaction(number, &action, nil)
    }
  }
}
