/// The rank of every element of a row among its magnitudes, by sorting their keys digit by digit.
///
/// Result:  0 for the lowest; equal keys rank in the order of their elements, so that the result is
///          one of its input only.
/// Cost:    a read for all counts, then a read and a write for each digit. 32-bit keys have two, chosen
///          so that few elements of a row of this length are alike in them, and these few are put in
///          order afterwards; three that leave nothing out where they are not few, or the row is long.
///          64-bit keys have six. Short rows are sorted by insertion.
enum RowOrder {
  /// The longest row that is sorted by insertion.
  private static let shortRow = 48
  /// The longest row whose upper digits tell nearly all elements apart.
  private static let longRow = 1 << 16
  /// Rows below it have digits of eight bits: larger ones would cost more than the row.
  private static let mediumRow = 1024

  /// Memory, in 64-bit words, for a row of `count` elements.
  static func words(_ count: Int) -> Int { 2 * count }

  /// - Parameters:
  ///   - keys: 32-bit integers below 2^31, or 64-bit ones below 2^63 where `isWide`.
  ///   - memory: `words(count)` words.
  static func rank(
    _ keys: UnsafeRawPointer, isWide: Bool, count: Int, into ranks: UnsafeMutablePointer<UInt32>,
    memory: UnsafeMutablePointer<UInt64>, _ loops: any InnerLoopSet.Type
  ) {
    if isWide {
      return rankWide(keys.assumingMemoryBound(to: UInt64.self), count, ranks, memory)
    }
    let keys = keys.assumingMemoryBound(to: UInt32.self)
    if !rankByUpperDigits(keys, count, ranks, memory, loops) {
      rankNarrow(keys, count, ranks, memory)
    }
  }

  /// False where the row wants another way.
  private static func rankByUpperDigits(
    _ keys: UnsafePointer<UInt32>, _ count: Int, _ ranks: UnsafeMutablePointer<UInt32>,
    _ memory: UnsafeMutablePointer<UInt64>, _ loops: any InnerLoopSet.Type
  ) -> Bool {
    guard count > shortRow, count <= longRow else { return false }
    // Larger tables cost more than they save.
    let bits = count <= 256 ? 7 : count <= 1024 ? 8 : count <= 2048 ? 9 : count <= 8192 ? 10 : 11
    return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 2 << bits) { tables in
      guard let start = tables.baseAddress else { return false }
      return loops.rank(
        keys, n: count, into: ranks, items: memory, tables: start, bits: bits)
    }
  }

  /// Key and element number in one word, which is moved as a whole.
  private static func rankNarrow(
    _ keys: UnsafePointer<UInt32>, _ count: Int, _ ranks: UnsafeMutablePointer<UInt32>,
    _ memory: UnsafeMutablePointer<UInt64>
  ) {
    for i in 0..<count { memory[i] = UInt64(keys[i]) << 32 | UInt64(truncatingIfNeeded: i) }
    if count <= shortRow {
      insert(memory, count) { $0 }
    }
    let sorted =
      count <= shortRow
      ? memory
      : sort(memory, count, bits: count < mediumRow ? 8 : 11, keyBits: 31) { $0 &>> 32 }
    for place in 0..<count {
      ranks[Int(UInt32(truncatingIfNeeded: sorted[place]))] = UInt32(truncatingIfNeeded: place)
    }
  }

  /// Element numbers only, with a look at the key every time.
  private static func rankWide(
    _ keys: UnsafePointer<UInt64>, _ count: Int, _ ranks: UnsafeMutablePointer<UInt32>,
    _ memory: UnsafeMutablePointer<UInt64>
  ) {
    for i in 0..<count { memory[i] = UInt64(truncatingIfNeeded: i) }
    if count <= shortRow {
      insert(memory, count) { keys[Int(truncatingIfNeeded: $0)] }
    }
    let sorted =
      count <= shortRow
      ? memory
      : sort(memory, count, bits: count < mediumRow ? 8 : 11, keyBits: 63) {
        keys[Int(truncatingIfNeeded: $0)]
      }
    for place in 0..<count {
      ranks[Int(truncatingIfNeeded: sorted[place])] = UInt32(truncatingIfNeeded: place)
    }
  }

  @inline(__always)
  private static func insert(
    _ items: UnsafeMutablePointer<UInt64>, _ count: Int, key: (UInt64) -> UInt64
  ) {
    var i = 1
    while i < count {
      let item = items[i]
      let own = key(item)
      var at = i
      while at > 0, key(items[at &- 1]) > own {
        items[at] = items[at &- 1]
        at &-= 1
      }
      items[at] = item
      i &+= 1
    }
  }

  /// Sorts the first `count` of `2 count` items, lowest digit first, and returns where they are then.
  @inline(__always)
  private static func sort(
    _ items: UnsafeMutablePointer<UInt64>, _ count: Int, bits: UInt64, keyBits: UInt64,
    key: (UInt64) -> UInt64
  ) -> UnsafeMutablePointer<UInt64> {
    let digits = Int((keyBits &+ bits &- 1) / bits)
    let values = 1 << Int(bits)
    let mask = UInt64(values &- 1)
    var (from, to) = (items, items + count)
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: digits &* values) { memory in
      guard let counts = memory.baseAddress else { return }
      counts.initialize(repeating: 0, count: digits &* values)
      for i in 0..<count {
        var rest = key(from[i])
        var table = counts
        for _ in 0..<digits {
          table[Int(truncatingIfNeeded: rest & mask)] &+= 1
          rest &>>= bits
          table += values
        }
      }
      for digit in 0..<digits {
        let table = counts + digit &* values
        let shift = UInt64(digit) &* bits
        // All keys may have the same digit.
        let first = Int(truncatingIfNeeded: key(from[0]) &>> shift & mask)
        if Int(table[first]) == count { continue }
        var start: UInt32 = 0
        for value in 0..<values {
          let here = table[value]
          table[value] = start
          start &+= here
        }
        for i in 0..<count {
          let item = from[i]
          let value = Int(truncatingIfNeeded: key(item) &>> shift & mask)
          to[Int(table[value])] = item
          table[value] &+= 1
        }
        swap(&from, &to)
      }
    }
    return from
  }
}

extension Kernels {
  /// The `ranks[k]`-th largest of `count` numbers for each k, as floats unless `isWide`: infinity for a
  /// rank of 0 or less, minus infinity for one above the count. NaN counts as minus infinity; how many
  /// there were is returned too. What `values` holds is lost.
  @inline(never)
  package static func rankedValues(
    _ ranks: [Int], of values: UnsafeMutablePointer<Double>, count: Int, isWide: Bool
  ) -> (found: [Double], undefined: Int) {
    let loops = CPULevel.current.loops
    let keys = UnsafeMutableRawPointer(values)
    let undefined = loops.orderKeys(of: keys, n: count, wide: isWide)
    var below: Int64 = 0
    let found = ranks.map { rank -> Double in
      if rank <= 0 { return .infinity }
      if rank > count { return -.infinity }
      let key = loops.key(
        at: count &- rank, of: keys, n: count, wide: isWide, below: &below)
      if isWide { return Double(bitPattern: key >> 63 == 1 ? key ^ 0x7fff_ffff_ffff_ffff : key) }
      let bits = UInt32(truncatingIfNeeded: key)
      return Double(Float(bitPattern: bits >> 31 == 1 ? bits ^ 0x7fff_ffff : bits))
    }
    return (found, undefined)
  }
}
