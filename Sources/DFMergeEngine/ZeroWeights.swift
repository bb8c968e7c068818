import DFMergeCore
import Glibc

/// Tensors of zeros in the shapes and types of others: the base of adapters, which are changes from
/// nothing.
final class ZeroWeights: WeightSource {
  let tensors: [TensorView]
  let label: String
  private let index: [String: Int]

  /// - Throws: `.outOfMemory` where the address space has no room for the largest tensor.
  init(like source: any WeightSource) throws(DFMergeError) {
    let zeros = try ZeroMemory(byteCount: source.tensors.reduce(0) { max($0, $1.byteCount) })
    var tensors: [TensorView] = []
    var index: [String: Int] = [:]
    for view in source.tensors {
      index[view.name] = tensors.count
      tensors.append(
        try TensorView(
          name: view.name, dtype: view.dtype, shape: view.shape,
          bytes: UnsafeRawBufferPointer(start: zeros.address, count: view.byteCount),
          owner: zeros))
    }
    self.tensors = tensors
    self.index = index
    label = "the adapters' base of zeros"
  }

  func tensor(named name: String) -> TensorView? { index[name].map { tensors[$0] } }
}

/// Zeros to read, which take address space and no memory: the system shows the same page of them
/// everywhere.
private final class ZeroMemory: @unchecked Sendable {
  // Sendable: the bytes are only read.
  let address: UnsafeRawPointer
  private let byteCount: Int

  init(byteCount: Int) throws(DFMergeError) {
    let mapping = mmap(
      nil, max(byteCount, 1), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let mapping, mapping != MAP_FAILED else {
      throw DFMergeError(.outOfMemory, "\(byteCount) bytes of zeros cannot be had.")
    }
    address = UnsafeRawPointer(mapping)
    self.byteCount = max(byteCount, 1)
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: address), byteCount) }
}
