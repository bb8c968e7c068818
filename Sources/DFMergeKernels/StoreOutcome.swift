/// What a kernel noticed while it stored a run of elements.
package struct StoreOutcome: Sendable {
  /// An element that was stored is NaN or infinite.
  package var hasNonFinite = false
  /// A Fisher value that was read is negative, NaN or infinite; -0 counts as 0.
  package var hasInvalidFisher = false
  /// `sum (stored - exact)^2` for outputs of F16 and BF16, otherwise 0.
  package var squaredError = 0.0
  /// `sum exact^2` for outputs of F16 and BF16, otherwise 0.
  package var squaredValue = 0.0

  package init() {}

  /// Adds what was noticed in the run that follows. The sums depend on the order of the runs.
  package mutating func add(_ other: StoreOutcome) {
    hasNonFinite = hasNonFinite || other.hasNonFinite
    hasInvalidFisher = hasInvalidFisher || other.hasInvalidFisher
    squaredError += other.squaredError
    squaredValue += other.squaredValue
  }
}
