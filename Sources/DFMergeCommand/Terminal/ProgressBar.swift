import Glibc

/// A line at the bottom of a terminal that says how far something is, how fast it goes and how long
/// it will still take. Draws nothing where nobody looks.
final class ProgressBar {
  private let isShown: Bool
  private let label: String
  private let start = ProgressBar.now()
  private var drawn = -1.0
  private var isDrawn = false

  /// A line is redrawn this often at most.
  private static let interval = 0.1

  init(_ label: String, _ console: Console) {
    self.label = label
    isShown = console.showsProgress
  }

  deinit { clear() }

  /// Draws the bar for so many of all bytes.
  func update(_ done: Int, of total: Int) {
    guard isShown, total > 0 else { return }
    let now = ProgressBar.now()
    guard now - drawn >= ProgressBar.interval || done == total else { return }
    drawn = now
    let share = min(max(Double(done) / Double(total), 0), 1)
    let seconds = now - start
    let rate = seconds > 0 ? Double(done) / seconds : 0
    var facts = " \(Int(share * 100)) %"
    if seconds > 0.5, rate > 0 {
      facts += "  \(Figures.bytes(Int(rate)))/s"
      if done < total { facts += "  ETA \(Figures.clock(Double(total - done) / rate))" }
    }
    let width = ProgressBar.columns() - 1
    let room = min(max(width - label.count - facts.count - 3, 0), 40)
    let full = Int(share * Double(room))
    let bar =
      room < 5
      ? ""
      : " [" + String(repeating: "#", count: full) + String(repeating: "-", count: room - full)
        + "]"
    write(String((label + bar + facts).prefix(width)))
  }

  /// Shows a text in the bar's place.
  func show(_ text: String) {
    guard isShown else { return }
    write(String("\(label)  \(text)".prefix(ProgressBar.columns() - 1)))
  }

  /// Takes the line away, before something else is said and at the end.
  func clear() {
    guard isDrawn else { return }
    StandardStream.error.write("\r\u{1B}[K")
    isDrawn = false
  }

  private func write(_ line: String) {
    StandardStream.error.write("\r\u{1B}[K" + line)
    isDrawn = true
  }

  private static func columns() -> Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// Seconds on a clock that only goes forward.
  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
