import CDFMergeShims
import DFMergeCore

// One task vector for all models, and which of its elements each model has. With `tau_m = x_m - b`,
//
//     u = max(|tau_m| over tau_m g > 0) g,  g = 1 where sum(tau_m) > 0, else -1
//     model m has the elements where tau_m u > 0
//
// Signs are summed apart, so that changes that cancel are a sum of 0 in any order of the models.
// A NaN difference makes u NaN. Source: EMR-Merging, Huang et al. 2024, arXiv 2405.17461.
extension Kernels {
  /// `out = u`. With `bits`, the bits of the elements that each model has are written too, `count`
  /// of them rounded up to whole bytes, element i being bit i % 8 of byte i / 8.
  @discardableResult
  @inline(never)
  package static func unifiedTaskVector(
    into out: MutableElements, bits: [UnsafeMutableRawPointer] = [], base: Elements,
    models: [Elements], count: Int
  ) -> StoreOutcome {
    precondition(bits.isEmpty || bits.count == models.count, "Bits for each model.")
    let loops = CPULevel.current.loops
    let whole = count & ~(stepSize &- 1)
    var isFirst = true
    return operands(out, base, models).run(count: count) { stretch, noticed in
      // Whole steps come first; what is left over is filled up, and so are its bits.
      let isRest = !(isFirst && whole > 0)
      isFirst = false
      withUnsafeTemporaryAllocation(byteCount: models.count &* 2, alignment: 2) { spare in
        var places: [UnsafeMutableRawPointer?] = []
        for (model, start) in bits.enumerated() {
          places.append(isRest ? spare.baseAddress.map { $0 + 2 &* model } : start)
        }
        places.withUnsafeBufferPointer { places in
          loops.unify(
            into: stretch.out, base: stretch.base, stretch.models, count: models.count,
            bits: bits.isEmpty ? nil : places.baseAddress, n: stretch.n, noticed: noticed)
        }
        guard isRest, let from = spare.baseAddress else { return }
        let live = count &- whole
        for (model, start) in bits.enumerated() {
          let word = (from + 2 &* model).loadUnaligned(as: UInt16.self).littleEndian
          let real = word & (live < 16 ? 1 << UInt16(live) &- 1 : .max)
          for byte in 0..<((live &+ 7) / 8) {
            start.storeBytes(
              of: UInt8(truncatingIfNeeded: real >> UInt16(8 &* byte)),
              toByteOffset: whole / 8 &+ byte, as: UInt8.self)
          }
        }
      }
    }
  }

  /// `out = b + factor u` where model number `task` has the element, else `b`.
  @discardableResult
  @inline(never)
  package static func unifiedTask(
    into out: MutableElements, base: Elements, models: [Elements], task: Int, factor: Double,
    count: Int
  ) -> StoreOutcome {
    precondition(models.indices.contains(task), "A task is one of the models.")
    let loops = CPULevel.current.loops
    return operands(out, base, models).run(count: count) {
      loops.addUnified(
        into: $0.out, base: $0.base, $0.models, count: models.count, task: task, factor: factor,
        n: $0.n, noticed: $1)
    }
  }

  /// `out = b + factor v` where the element's bit is set, else `b`; everywhere without `bits`.
  @discardableResult
  @inline(never)
  package static func maskedTaskVector(
    into out: MutableElements, base: Elements, vector: Elements, bits: UnsafeRawPointer?,
    factor: Double, count: Int
  ) -> StoreOutcome {
    let loops = CPULevel.current.loops
    let whole = count & ~(stepSize &- 1)
    var isFirst = true
    return operands(out, base, [vector]).run(count: count) { stretch, noticed in
      let isRest = !(isFirst && whole > 0)
      isFirst = false
      withUnsafeTemporaryAllocation(byteCount: 2, alignment: 2) { spare in
        var place = bits
        if isRest, let bits, let room = spare.baseAddress {
          room.storeBytes(of: 0, as: UInt16.self)
          room.copyMemory(from: bits + whole / 8, byteCount: (count &- whole &+ 7) / 8)
          place = UnsafeRawPointer(room)
        }
        loops.addByBits(
          into: stretch.out, base: stretch.base, stretch.models[0].x, bits: place, factor: factor,
          n: stretch.n, noticed: noticed)
      }
    }
  }

  /// `sum(|tau_m|)` for each model, then `sum(|u|)` over the elements that it has, for each model.
  /// The order of the additions is that of `dot`.
  @inline(never)
  package static func unifiedSums(
    base: Elements, models: [Elements], count: Int
  ) -> [Double] {
    let loops = CPULevel.current.loops
    guard count > 0 else { return [Double](repeating: 0, count: 2 * models.count) }
    let block = 1024
    return addUp(0..<((count &- 1) / block &+ 1)) { number in
      let start = number &* block
      let n = min(block, count &- start)
      let sums = blockSums(
        base.advanced(by: start), models.map { $0.advanced(by: start) }, n, loops)
      return models.indices.map { sums[2 &* $0] } + models.indices.map { sums[2 &* $0 &+ 1] }
    }
  }

  private static func blockSums(
    _ base: Elements, _ models: [Elements], _ n: Int, _ loops: any InnerLoopSet.Type
  ) -> [Double] {
    var sums = [Double](repeating: 0, count: 16 * models.count)
    sums.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      var table = models.map { model(of: $0.input) }
      let whole = n & ~(stepSize &- 1)
      if whole > 0 {
        loops.addUnifiedSums(base: base.input, table, count: models.count, to: start, n: whole)
      }
      let live = n &- whole
      guard live > 0 else { return }
      FilledStep.with(operands: models.count &+ 1) { step in
        // Zeros differ from each other by nothing.
        let last = step.copyWithZeros(base.input.advanced(by: whole), live: live)
        for m in table.indices {
          table[m].x = step.copyWithZeros(table[m].x.advanced(by: whole), live: live)
        }
        loops.addUnifiedSums(base: last, table, count: models.count, to: start, n: stepSize)
      }
    }
    return stride(from: 0, to: sums.count, by: 8).map { start in
      inPairs(SIMD8(sums[start..<start + 8]))
    }
  }

  private static func operands(
    _ out: MutableElements, _ base: Elements, _ models: [Elements]
  ) -> LoopOperands {
    LoopOperands(out: out, base: base, models: models, factors: models.map { _ in 1 })
  }
}
