import Glibc
import Synchronization
import Testing

@testable import DFMerge
@testable import DFMergeCore

/// A door that a thread of a run stands before until the test opens it.
final class Gate: Sendable {
  private let state = Atomic<Int>(0)

  /// Waits for `open`, ten minutes at most: other tests may keep the pool that opens it busy.
  func pass() {
    _ = state.compareExchange(
      expected: 0, desired: 1, ordering: .sequentiallyConsistent)
    for _ in 0..<600_000 where state.load(ordering: .sequentiallyConsistent) < 2 { usleep(1000) }
  }

  func open() { state.store(2, ordering: .sequentiallyConsistent) }

  /// Waits until somebody stands before the door, or it is open.
  func reached() async throws {
    while state.load(ordering: .sequentiallyConsistent) == 0 {
      try await Task.sleep(for: .milliseconds(1))
    }
  }
}

/// Counts calls from any thread.
final class Counter: Sendable {
  private let calls = Atomic<Int>(0)
  func add() { calls.wrappingAdd(1, ordering: .relaxed) }
  var value: Int { calls.load(ordering: .relaxed) }
}

/// The fixture's search behind an actor.
actor FixtureActor: AsyncSearchHost {
  let fixture: SearchFixture
  /// Called before each evaluation.
  let before: @Sendable (Int) async throws -> Void

  init(
    _ fixture: sending SearchFixture,
    before: @escaping @Sendable (Int) async throws -> Void = { _ in await Task.yield() }
  ) {
    self.fixture = fixture
    self.before = before
  }

  func evaluate(_ trial: TrialRequest) async throws -> Evaluation {
    try await before(trial.number)
    return try fixture.evaluate(trial)
  }

  func evaluateSubset(_ trial: TrialRequest) throws -> Evaluation {
    try fixture.evaluateSubset(trial)
  }

  func measureFisher(_ request: sending FisherRequest) async throws {
    await Task.yield()
    try fixture.measureFisher(request)
  }

  var merged: [Float] { fixture.merged }
  var evaluations: Int { fixture.evaluations }
}

/// What of a run can be compared with another.
struct Findings: Equatable {
  let points: [[Double]]
  let scores: [[Double]]
  let best: Int
  let merged: [Float]

  init(_ result: SearchResult, merged: [Float]) {
    points = result.trials.map(\.point)
    scores = result.trials.map(\.scores)
    best = result.best.number
    self.merged = merged
  }

  /// Of the synchronous run.
  static func synchronous(_ options: String) throws -> Findings {
    let fixture = try SearchFixture()
    return Findings(
      try fixture.search(options).run(journal: nil, host: fixture), merged: fixture.merged)
  }
}

/// What stands in a search's target, read when its run is over.
func floats(_ target: [MutableTensorView]) -> [Float] {
  Array(target[0].bytes.bindMemory(to: Float.self))
}

/// Threads of this process that a run has made and that are still there.
func runThreads() -> Int {
  guard let folder = opendir("/proc/self/task") else { return -1 }
  defer { closedir(folder) }
  var count = 0
  while let entry = readdir(folder) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    guard let file = fopen("/proc/self/task/\(name)/comm", "r") else { continue }
    defer { fclose(file) }
    var text = [UInt8](repeating: 0, count: 32)
    let size = fread(&text, 1, text.count, file)
    if String(decoding: text[..<size], as: UTF8.self) == RunThread.name + "\n" { count += 1 }
  }
  return count
}

/// Waits until `condition` holds, a minute at most.
func eventually(_ condition: () async -> Bool) async throws -> Bool {
  for _ in 0..<6000 {
    if await condition() { return true }
    try await Task.sleep(for: .milliseconds(10))
  }
  return false
}

/// Bytes of the mapping that the calling thread's stack lies in.
func stackSize() -> Int {
  guard let file = fopen("/proc/self/maps", "r") else { return 0 }
  defer { fclose(file) }
  var here = 0
  let address = withUnsafePointer(to: &here) { UInt(bitPattern: $0) }
  var line = [CChar](repeating: 0, count: 4096)
  while fgets(&line, Int32(line.count), file) != nil {
    let text = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let ends = String(decoding: text.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
      .split(separator: "-").compactMap { UInt($0, radix: 16) }
    if ends.count == 2, (ends[0]..<ends[1]).contains(address) { return Int(ends[1] - ends[0]) }
  }
  return 0
}
