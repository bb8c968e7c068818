import DFMergeCore
import DFMergeKernels
import Testing

@testable import DFMergeMethods

@Suite struct LayerSharingTests {
  @Test func thePapersExamples() {
    func map(_ pattern: LayerSharing.Pattern, _ count: Int, _ distinct: Int) -> [Int] {
      (0..<count).map { pattern.group($0, of: count, distinct: distinct) }
    }
    #expect(map(.sequence, 6, 3) == [0, 0, 1, 1, 2, 2])
    #expect(map(.cycle, 6, 3) == [0, 1, 2, 0, 1, 2])
    #expect(map(.cycleReversed, 6, 3) == [0, 1, 2, 2, 1, 0])
    #expect(map(.sequence, 7, 3) == [0, 0, 0, 1, 1, 2, 2])
    #expect(map(.cycle, 7, 3) == [0, 1, 2, 0, 1, 2, 0])
    #expect(map(.cycleReversed, 7, 3) == [0, 1, 2, 0, 1, 2, 2])
    #expect(map(.cycleReversed, 9, 3) == [0, 1, 2, 0, 1, 2, 2, 1, 0])
  }

  @Test(arguments: LayerSharing.Pattern.allCases)
  func thereAreAsManyGroupsAsAskedFor(_ pattern: LayerSharing.Pattern) {
    for count in 1...30 {
      for distinct in 1...count {
        let groups = (0..<count).map { pattern.group($0, of: count, distinct: distinct) }
        #expect(Set(groups) == Set(0..<distinct))
        let sizes = Dictionary(grouping: groups) { $0 }.values.map(\.count)
        #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
      }
    }
  }
}
