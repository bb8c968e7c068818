import DFMergeCore
import Testing

@testable import DFMergeEngine

@Suite struct WorkListTests {
  @Test func testPieces_coverEveryElementOnceInOrder() throws {
    let sizes = [0, 1, 65_536, 200_000, 3, 5, 7, 140_000]
    let views = try sizes.enumerated().map { try tensor("t\($0)", [$1], ramp($1)) }
    let plan = try MergePlan(
      outputs: nil, base: try weights("base", views), models: [try weights("m", views)],
      fishers: [], needsBase: true, settings: try MergeSettings())
    let list = WorkList(plan, elements: 1 << 16)
    var next = Array(repeating: 0, count: sizes.count)
    for piece in list.pieces {
      #expect(piece.offset == next[piece.position])
      #expect(piece.offset % MergeExecutor.blockElements == 0)
      next[piece.position] += piece.count
    }
    #expect(next == sizes)
    #expect(list.items.flatMap { Array($0) } == Array(list.pieces.indices))
    // Small tensors are dealt out together.
    #expect(list.items.count < list.pieces.count)
    for item in list.items {
      let elements = item.reduce(0) { $0 + list.pieces[$1].count }
      #expect(elements <= 1 << 16)
    }
  }

  @Test func testConversion_ofCopiesAndRows() throws {
    let base = try weights("base", [try tensor("embed", [3, 2], ramp(6))])
    let model = try weights("m", [try tensor("embed", [2, 2], ramp(4))])
    let merge = try Merge(
      "average", base: base, models: [model],
      settings: .words(["shape": "common", "dtype": "BF16"]))
    let out = try target(like: base.tensors, dtype: .bf16)
    try merge.run(to: .memory(out))
    let found = out[0].bytes.bindMemory(to: UInt16.self).map {
      Float(bitPattern: UInt32($0) << 16)
    }
    #expect(found == ramp(6))
  }
}
