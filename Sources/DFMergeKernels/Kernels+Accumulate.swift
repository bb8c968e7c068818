import CDFMergeShims
import DFMergeCore

extension Kernels {
  /// `acc += weight * g^2`, formed in double and rounded to float once.
  ///
  /// `acc` may be unaligned, and does not share memory with `gradient`.
  @inline(never)
  package static func accumulateSquares(
    into acc: UnsafeMutablePointer<Float>, gradient: Elements, weight: Double, count: Int
  ) {
    add(into: acc, gradient, weight, squared: true, count)
  }

  /// `acc += weight * v`, formed in double and rounded to float once; see `accumulateSquares`.
  @inline(never)
  package static func accumulate(
    into acc: UnsafeMutablePointer<Float>, values: Elements, weight: Double, count: Int
  ) {
    add(into: acc, values, weight, squared: false, count)
  }

  private static func add(
    into acc: UnsafeMutablePointer<Float>, _ x: Elements, _ weight: Double, squared: Bool,
    _ count: Int
  ) {
    guard count > 0 else { return }
    let loops = CPULevel.current.loops
    let whole = count & ~(stepSize &- 1)
    let sums = MutableElements(pointer: UnsafeMutableRawPointer(acc), dtype: .f32)
    if whole > 0 {
      loops.accumulate(
        into: sums.output(live: whole), x.input, weight: weight, squared: squared, n: whole)
    }
    let live = count &- whole
    guard live > 0 else { return }
    FilledStep.with(operands: 2) { step in
      let rest = sums.advanced(by: whole)
      let filled = step.copyWithZeros(rest.readable.input, live: live)
      let room = rest.output(live: live).moved(to: filled)
      let values = step.copyWithZeros(x.advanced(by: whole).input, live: live)
      loops.accumulate(into: room, values, weight: weight, squared: squared, n: stepSize)
      FilledStep.deliver(room, to: rest.output(live: live))
    }
  }
}
