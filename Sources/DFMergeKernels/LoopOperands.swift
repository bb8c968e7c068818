import CDFMergeShims
import DFMergeCore

/// What the steps of the loops that go through registers divide, at every level.
let stepSize = 16

extension DType {
  /// What the loops call this type.
  @inline(__always)
  fileprivate var loopType: Int32 {
    switch self {
    case .f32: Int32(DFMK_F32)
    case .bf16: Int32(DFMK_BF16)
    case .f16: Int32(DFMK_F16)
    default: Int32(DFMK_F64)
    }
  }
}

extension Elements {
  /// The same, as the loops take it. Memory is asked for in time: half of these distances, or
  /// twice, cost a tenth of the speed.
  @inline(__always)
  var input: dfmk_input {
    dfmk_input(
      start: pointer.assumingMemoryBound(to: CChar.self), type: dtype.loopType,
      ahead: dtype == .f32 ? 512 : 1024)
  }
}

extension MutableElements {
  /// The same, as the loops take it; `live` elements are real.
  @inline(__always)
  func output(live: Int) -> dfmk_output {
    let isAligned = UInt(bitPattern: pointer) & 63 == 0
    return dfmk_output(
      start: pointer.assumingMemoryBound(to: CChar.self), type: dtype.loopType,
      streams: bypassesCache && isAligned ? 1 : 0, live: Int64(live))
  }
}

extension dfmk_input {
  /// No elements.
  static var nothing: dfmk_input { dfmk_input(start: nil, type: 0, ahead: 0) }

  /// The elements from number `elements` on; nothing stays nothing.
  @inline(__always)
  func advanced(by elements: Int) -> dfmk_input {
    dfmk_input(start: start.map { $0 + elements &* byteWidth }, type: type, ahead: ahead)
  }

  @inline(__always)
  fileprivate var byteWidth: Int {
    switch type {
    case Int32(DFMK_F32): 4
    case Int32(DFMK_F64): 8
    default: 2
    }
  }
}

extension dfmk_output {
  /// The elements from number `elements` on.
  @inline(__always)
  func advanced(by elements: Int) -> dfmk_output {
    var rest = self
    rest.start += elements &* dfmk_input(start: nil, type: type, ahead: 0).byteWidth
    rest.live -= Int64(elements)
    return rest
  }

  /// The same in other memory, that of `input`, which is mutable.
  @inline(__always)
  func moved(to input: dfmk_input) -> dfmk_output {
    var moved = self
    if let start = input.start { moved.start = UnsafeMutablePointer(mutating: start) }
    moved.streams = 0
    return moved
  }
}

/// Room for the last elements of every operand, filled up to a whole step.
struct FilledStep {
  private var next: UnsafeMutableRawPointer

  /// Bytes of one operand: sixteen doubles.
  static let operandBytes = 128

  init(at start: UnsafeMutableRawPointer) { next = start }

  /// Calls `body` with room for `operands` operands.
  @inline(__always)
  static func with(operands: Int, _ body: (inout FilledStep) -> Void) {
    withUnsafeTemporaryAllocation(byteCount: operands &* operandBytes, alignment: 64) { memory in
      guard let start = memory.baseAddress else { return }
      var step = FilledStep(at: start)
      body(&step)
    }
  }

  /// The first `live` elements of `input`, and the last of them again and again. So what is noticed
  /// about a filled step is what is noticed about its elements.
  mutating func copy(_ input: dfmk_input, live: Int) -> dfmk_input {
    guard let from = input.start else { return input }
    let width = input.byteWidth
    let to = next
    next += FilledStep.operandBytes
    to.copyMemory(from: from, byteCount: live &* width)
    for k in live..<stepSize {
      (to + k &* width).copyMemory(from: to + (live &- 1) &* width, byteCount: width)
    }
    return dfmk_input(start: to.assumingMemoryBound(to: CChar.self), type: input.type, ahead: 0)
  }

  /// The first `live` elements of `input`, then zeros, for sums.
  mutating func copyWithZeros(_ input: dfmk_input, live: Int) -> dfmk_input {
    guard let from = input.start else { return input }
    let to = next
    next += FilledStep.operandBytes
    to.initializeMemory(as: UInt8.self, repeating: 0, count: FilledStep.operandBytes)
    to.copyMemory(from: from, byteCount: live &* input.byteWidth)
    return dfmk_input(start: to.assumingMemoryBound(to: CChar.self), type: input.type, ahead: 0)
  }

  /// Room for a step of results like those of `out`.
  mutating func room(for out: dfmk_output, live: Int) -> dfmk_output {
    let to = next
    next += FilledStep.operandBytes
    return dfmk_output(
      start: to.assumingMemoryBound(to: CChar.self), type: out.type, streams: 0,
      live: Int64(live))
  }

  /// Copies the results that are real from that room to `out`.
  static func deliver(_ room: dfmk_output, to out: dfmk_output) {
    UnsafeMutableRawPointer(out.start).copyMemory(
      from: room.start,
      byteCount: Int(room.live) &* dfmk_input(start: nil, type: out.type, ahead: 0).byteWidth)
  }
}

/// The operands of a kernel that writes one element for each element of its inputs.
struct LoopOperands {
  var out: MutableElements
  var base: Elements?
  var models: [Elements]
  var fishers: [FisherElements] = []
  /// Coefficients or weights.
  var factors: [Double]
  var floors: [Double] = []
  /// Whether a loop reads a chunk of one input after the other.
  var readsInChunks = false

  /// A stretch of the operands, whole steps long.
  struct Stretch {
    let out: dfmk_output
    let base: dfmk_input
    let models: UnsafePointer<dfmk_model>
    let n: Int
  }

  /// Calls `loop` for the whole steps of `count` elements, and for what is left over, filled up.
  /// One after the other, so that sums in what is noticed depend on `count` only.
  func run(
    count: Int, _ loop: (Stretch, UnsafeMutablePointer<dfmk_noticed>) -> Void
  ) -> StoreOutcome {
    guard count > 0 else { return StoreOutcome() }
    var noticed = dfmk_noticed()
    let tableBytes = models.count &* MemoryLayout<dfmk_model>.stride
    let filledBytes = (3 &* models.count &+ 2) &* FilledStep.operandBytes
    withUnsafeTemporaryAllocation(byteCount: tableBytes &+ filledBytes, alignment: 64) { memory in
      guard let start = memory.baseAddress else { return }
      let table = fill(start.bindMemory(to: dfmk_model.self, capacity: models.count))
      let whole = count & ~(stepSize &- 1)
      let results = out.output(live: whole)
      if whole > 0 {
        loop(
          Stretch(out: results, base: operand(base), models: table, n: whole), &noticed)
      }
      let live = count &- whole
      guard live > 0 else { return }
      var step = FilledStep(at: start + tableBytes)
      for m in models.indices {
        table[m].x = step.copy(table[m].x.advanced(by: whole), live: live)
        table[m].lower = step.copy(table[m].lower.advanced(by: whole), live: live)
        table[m].upper = step.copy(table[m].upper.advanced(by: whole), live: live)
      }
      let last = step.copy(operand(base).advanced(by: whole), live: live)
      let room = step.room(for: results, live: live)
      loop(Stretch(out: room, base: last, models: table, n: stepSize), &noticed)
      FilledStep.deliver(room, to: results.advanced(by: whole))
    }
    var outcome = StoreOutcome(noticed)
    if outcome.hasNonFinite { outcome.hasInvalidFisher = hasInvalidFisher(count: count) }
    return outcome
  }

  /// Looks at all Fisher values.
  func hasInvalidFisher(count: Int) -> Bool {
    fishers.contains { fisher in
      Kernels.firstNegativeOrNonFinite(fisher.lower, count: count) != nil
        || fisher.upper.flatMap { Kernels.firstNegativeOrNonFinite($0, count: count) } != nil
    }
  }

  private func fill(_ table: UnsafeMutablePointer<dfmk_model>) -> UnsafeMutablePointer<dfmk_model> {
    for m in models.indices {
      let fisher = fishers.isEmpty ? nil : fishers[m]
      (table + m).initialize(
        to: dfmk_model(
          x: operand(models[m]), lower: operand(fisher?.lower), upper: operand(fisher?.upper),
          fraction: fisher?.fraction ?? 0, factor: factors[m],
          floor: floors.isEmpty ? 0 : floors[m]))
    }
    return table
  }

  /// One of the inputs. A loop that reads chunks comes back to an input after a while, and asks for
  /// more of it ahead.
  private func operand(_ elements: Elements?) -> dfmk_input {
    guard var input = elements?.input else { return .nothing }
    if readsInChunks { input.ahead = 1024 }
    return input
  }
}
