import DFMergeCore
import DFMergeKernels

/// Diagonal Fisher values of one model at one point: one F32 buffer per merged tensor, from 0.
///
/// Shapes:  tensor i has as many values as `entries[i]` of the plan it was made for.
/// Memory:  4 bytes per merged element, in one block.
package final class FisherBuffer: @unchecked Sendable {
  // Sendable: filled by one thread during a callback, then only read.
  package let names: [String]
  private let storage: AlignedBuffer
  private let offsets: [Int]
  private let counts: [Int]
  private let index: [String: Int]

  /// - Throws: `.outOfMemory` when the block cannot be had.
  package init(for plan: MergePlan) throws(DFMergeError) {
    var offsets: [Int] = []
    var bytes = 0
    for entry in plan.entries {
      offsets.append(bytes)
      // 64-byte steps keep each tensor aligned for vector stores.
      let (size, overflow) = entry.output.shape.elementCount.multipliedReportingOverflow(by: 4)
      let (next, overflow2) = bytes.addingReportingOverflow((size &+ 63) & ~63)
      guard !overflow, !overflow2, size <= Int.max - 63 else {
        throw DFMergeError(.outOfMemory, "The Fisher values do not fit in the address space.")
      }
      bytes = next
    }
    names = plan.entries.map(\.output.name)
    counts = plan.entries.map(\.output.shape.elementCount)
    self.offsets = offsets
    storage = try AlignedBuffer(byteCount: bytes)
    index = Dictionary(
      names.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
  }

  /// The position of a tensor; nil when the plan has no merged tensor of that name.
  package func position(of name: String) -> Int? { index[name] }

  /// The values of the tensor at `position`.
  package func values(at position: Int) -> UnsafeMutableBufferPointer<Float> {
    let slice = UnsafeMutableRawBufferPointer(
      rebasing: storage.bytes[offsets[position]..<offsets[position] + counts[position] * 4])
    return slice.bindMemory(to: Float.self)
  }

  /// The values as kernel input.
  package func elements(at position: Int) -> Elements {
    Elements(pointer: UnsafeRawPointer(address(at: position)), dtype: .f32)
  }

  /// Where the values of the tensor at `position` begin; valid also for a tensor without elements.
  package func address(at position: Int) -> UnsafeMutableRawPointer {
    storage.address + offsets[position]
  }

  /// Sets every value to 0, for a new measurement.
  package func clear(threads: Int) throws(DFMergeError) {
    // 1 MiB steps: large enough to stream, small enough to share between threads.
    let step = 1 << 20
    let bytes = storage.bytes
    try ParallelFor.run(
      count: (bytes.count + step - 1) / step, threads: threads,
      poll: { () throws(DFMergeError) in },
      body: { [storage] part in
        let bytes = storage.bytes
        let low = part * step
        let high = min(bytes.count, low + step)
        UnsafeMutableRawBufferPointer(rebasing: bytes[low..<high])
          .initializeMemory(as: UInt8.self, repeating: 0)
      })
  }

  /// Adds `weight * g^2` to the values of one tensor; `gradient` is nil for one without elements.
  /// - Throws: `.missingTensor` for a name that is not merged, `.shapeMismatch` for another number
  ///   of elements, `.nonFinite` for a weight that is negative or not finite.
  package func accumulateSquares(
    name: String, gradient: Elements?, count: Int, weight: Double
  ) throws(DFMergeError) {
    guard let position = index[name] else {
      throw DFMergeError(
        .missingTensor, "There is no merged tensor '\(name)' to add Fisher values to.",
        context: ["tensor": name])
    }
    guard counts[position] == count else {
      throw DFMergeError(
        .shapeMismatch,
        "A gradient of \(count) elements was given for tensor '\(name)', which has "
          + "\(counts[position]).", context: ["tensor": name])
    }
    guard weight.isFinite, weight >= 0 else {
      throw DFMergeError(
        .nonFinite, "The weight of a gradient of '\(name)' is \(weight); it must be 0 or more.",
        context: ["tensor": name])
    }
    guard let gradient, let values = values(at: position).baseAddress else { return }
    Kernels.accumulateSquares(into: values, gradient: gradient, weight: weight, count: count)
  }
}
