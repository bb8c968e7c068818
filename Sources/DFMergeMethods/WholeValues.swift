import DFMergeKernels

extension Elements {
  /// A copy of the first `count` elements as doubles.
  func doubles(_ count: Int) -> [Double] {
    [Double](unsafeUninitializedCapacity: count) { buffer, filled in
      if let start = buffer.baseAddress {
        Kernels.convert(
          into: MutableElements(pointer: UnsafeMutableRawPointer(start), dtype: .f64), self,
          count: count)
      }
      filled = count
    }
  }
}

extension MutableElements {
  /// Writes `values`, rounded once to the type of the elements.
  func store(_ values: [Double]) -> StoreOutcome {
    values.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return StoreOutcome() }
      return Kernels.convert(
        into: self, Elements(pointer: start, dtype: .f64), count: values.count)
    }
  }
}
