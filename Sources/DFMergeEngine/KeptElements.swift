import DFMergeCore
import DFMergeKernels
import DFMergeMethods

/// What methods keep of the sums of whole units for the merge; see ``MergeMethod/keeps(_:named:)``.
final class KeptElements: Sendable {
  /// Without a limit of the user's, more than this is not kept but computed again.
  static let mostBytes = 2 << 30

  private let buffer: AlignedBuffer
  /// Where each entry's elements begin, and their type; nil for entries of which nothing is kept.
  private let places: [(start: Int, dtype: DType)?]

  /// - Throws: `.outOfMemory`.
  init(_ plan: MergePlan, _ methods: MethodSet) throws(DFMergeError) {
    var places: [(start: Int, dtype: DType)?] = []
    var end = 0
    for (number, entry) in plan.entries.enumerated() {
      let bytes = KeptElements.byteCount(entry, methods[number])
      places.append(bytes > 0 ? (end, InputTile.keptDType(for: entry.output.dtype)) : nil)
      end += bytes
    }
    self.places = places
    buffer = try AlignedBuffer(byteCount: end)
  }

  /// The bytes that the methods would keep of all entries.
  static func byteCount(_ plan: MergePlan, _ methods: MethodSet) -> Int {
    plan.entries.indices.reduce(0) { $0 &+ byteCount(plan.entries[$1], methods[$1]) }
  }

  private static func byteCount(_ entry: MergePlan.Entry, _ method: any MergeMethod) -> Int {
    guard method.keeps(entry.mergedShape, named: entry.output.name) else { return 0 }
    return PieceBuffer.slotBytes(
      elements: entry.mergedCount, dtype: InputTile.keptDType(for: entry.output.dtype))
  }

  /// The kept elements of an entry from number `offset` on.
  func elements(of entry: Int, from offset: Int) -> MutableElements? {
    guard let place = places[entry] else { return nil }
    return MutableElements(pointer: buffer.address + place.start, dtype: place.dtype)
      .advanced(by: offset)
  }
}
