import CDFMergeShims
import Glibc
import Synchronization

/// The instructions that the kernels use. Every level gives the same bits.
package enum CPULevel: Int, CaseIterable, Sendable {
  /// What every CPU of the architecture has.
  case baseline = 2
  /// x86-64-v3: AVX2.
  case v3 = 3
  /// x86-64-v4: AVX-512.
  case v4 = 4

  /// The levels that are built in and that this CPU has, lowest first.
  package static let available: [CPULevel] = {
    let highest = Int(dfmk_cpu_level())
    return allCases.filter { $0 == .baseline || $0.rawValue <= highest && $0.isBuiltIn }
  }()

  /// The level that kernels use: the highest available one, unless the environment variable
  /// `DFMERGE_CPU_LEVEL` is 2, 3 or 4. Then it is the highest available one up to that number. The
  /// variable is read once, when the first kernel runs; any other value is ignored.
  package static var current: CPULevel {
    CPULevel(rawValue: selected.load(ordering: .relaxed)) ?? .baseline
  }

  /// Makes kernels use `level`, if it is available, from their next call on. For tests.
  package static func select(_ level: CPULevel) {
    if available.contains(level) { selected.store(level.rawValue, ordering: .relaxed) }
  }

  /// The highest available level up to the one that `setting` states, if it states one.
  package static func chosen(by setting: String?) -> CPULevel {
    let limit = ["2": 2, "3": 3, "4": 4][setting ?? ""] ?? Int.max
    return available.last { $0.rawValue <= limit } ?? .baseline
  }

  private static let selected = Atomic<Int>(
    chosen(by: getenv("DFMERGE_CPU_LEVEL").map { String(cString: $0) }).rawValue)

  private var isBuiltIn: Bool {
    #if DFMERGE_CPU_LEVELS
      true
    #else
      self == .baseline
    #endif
  }
}
