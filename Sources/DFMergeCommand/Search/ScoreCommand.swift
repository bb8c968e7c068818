import DFMergeCore
@preconcurrency import Glibc

/// The program that scores a candidate: started once per trial, in a process group of its own.
struct ScoreCommand {
  /// The program and its arguments; `{model}` in any of them stands for the candidate's path, which
  /// is the last argument where it stands nowhere.
  let words: [String]
  /// Seconds after which it is stopped; nil for no limit.
  let limit: Double?

  /// What came of a run.
  enum Outcome {
    case output(String)
    /// Why there is none, in words.
    case failed(String)
  }

  /// What is kept of its output, at the end: scores are short.
  private static let longestOutput = 1 << 20
  /// Seconds between asking a process to stop and ending it.
  private static let grace = 5.0

  /// Runs it and waits for its end.
  /// - Parameters:
  ///   - model: the candidate's path.
  ///   - variables: added to its environment.
  ///   - log: the file that its standard error goes to.
  ///   - waiting: called about ten times a second with the seconds that have passed.
  /// - Throws: `.cancelled` after Ctrl-C, once the process has ended; `.fileNotFound` for a program
  ///   that is not there, `.ioFailure`.
  func run(
    model: String, variables: [String: String], log: String, waiting: (Double) -> Void
  ) throws(DFMergeError) -> Outcome {
    var arguments = words.map { $0.replacing("{model}", with: model) }
    if !words.contains(where: { $0.contains("{model}") }) { arguments.append(model) }
    let process = try ChildProcess(arguments, variables: variables, log: log)
    defer { process.finish() }
    let start = ProgressBar.now()
    var output: [UInt8] = []
    var stopping: (reason: String?, since: Double)?
    while true {
      output += process.read(milliseconds: 100)
      output.removeFirst(max(0, output.count - ScoreCommand.longestOutput))
      let now = ProgressBar.now()
      waiting(now - start)
      if let status = process.status() {
        output += process.read(milliseconds: 0)
        if let stopping {
          guard let reason = stopping.reason else {
            throw DFMergeError(.cancelled, "The search was stopped while a candidate was scored.")
          }
          return .failed(reason)
        }
        guard status == 0 else {
          return .failed("The command \(ScoreCommand.described(status))")
        }
        return .output(String(decoding: output, as: UTF8.self))
      }
      if let asked = stopping {
        if now - asked.since > ScoreCommand.grace { process.send(SIGKILL) }
      } else if Interruption.isRequested {
        stopping = (nil, now)
        process.send(SIGTERM)
      } else if let limit, now - start > limit {
        stopping = ("The command took more than \(Figures.short(limit)) seconds", now)
        process.send(SIGTERM)
      }
    }
  }

  private static func described(_ status: Int32) -> String {
    let signal = status & 0x7F
    guard signal != 0 else { return "exited with \(status >> 8 & 0xFF)" }
    return "was ended by signal \(signal) (\(String(cString: strsignal(signal))))"
  }
}

/// One process that was started here.
private final class ChildProcess {
  private var id: pid_t = 0
  private let reader: Int32
  private var ended: Int32?

  init(_ arguments: [String], variables: [String: String], log: String) throws(DFMergeError) {
    guard let program = arguments.first else {
      throw DFMergeError(
        .invalidArgument, "There is no command to score with; give one after '--'.")
    }
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw ChildProcess.failure(program, errno) }
    reader = ends[0]
    defer { close(ends[1]) }
    // No other thread starts processes, so none gets these in between.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(reader, F_SETFL, O_NONBLOCK)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A group of its own: Ctrl-C goes to us, who stop it together with what it has started.
    posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&signals, signal) }
    posix_spawnattr_setsigdefault(&attributes, &signals)
    let status = ChildProcess.withStrings(arguments) { argv in
      ChildProcess.withStrings(ChildProcess.environment(with: variables)) { envp in
        posix_spawnp(&id, program, &actions, &attributes, argv, envp)
      }
    }
    guard status == 0 else {
      close(reader)
      throw ChildProcess.failure(program, status)
    }
  }

  /// What can be read now, or within so many milliseconds.
  func read(milliseconds: Int32) -> [UInt8] {
    var request = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
    guard poll(&request, 1, milliseconds) > 0 else { return [] }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = piece.withUnsafeMutableBytes { Glibc.read(reader, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      bytes += piece[..<count]
      // A program that writes without end does not keep us from looking at the clock.
      if bytes.count >= 1 << 20 { break }
    }
    // A pipe that was closed is always ready: wait by the clock instead.
    if bytes.isEmpty, milliseconds > 0 { usleep(20_000) }
    return bytes
  }

  /// How it ended, as `waitpid` says; nil while it runs.
  func status() -> Int32? {
    guard ended == nil else { return ended }
    var status: Int32 = 0
    let found = waitpid(id, &status, WNOHANG)
    if found == id || (found < 0 && errno == ECHILD) { ended = status }
    return ended
  }

  /// Sends a signal to it and what it has started.
  func send(_ signal: Int32) { kill(-id, signal) }

  /// Ends what is left of it.
  func finish() {
    if ended == nil {
      send(SIGKILL)
      var status: Int32 = 0
      while waitpid(id, &status, 0) < 0, errno == EINTR {}
    }
    close(reader)
  }

  private static func environment(with variables: [String: String]) -> [String] {
    var lines: [String] = []
    var place = environ
    while let entry = place.pointee {
      let line = String(cString: entry)
      let name = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).first
      if variables[name.map(String.init) ?? ""] == nil { lines.append(line) }
      place += 1
    }
    return lines + variables.map { "\($0)=\($1)" }.sorted()
  }

  /// The strings as C has them, with a null behind the last.
  private static func withStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
  ) -> Result {
    let places = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(
      capacity: strings.count + 1)
    for (index, string) in strings.enumerated() { (places + index).initialize(to: strdup(string)) }
    (places + strings.count).initialize(to: nil)
    defer {
      for index in strings.indices { free(places[index]) }
      places.deallocate()
    }
    return body(places)
  }

  private static func failure(_ program: String, _ status: Int32) -> DFMergeError {
    DFMergeError(
      status == ENOENT ? .fileNotFound : .ioFailure,
      "The command '\(program)' cannot be started: \(String(cString: strerror(status))); give a "
        + "program in PATH or its path, and its arguments, after '--'.")
  }
}
