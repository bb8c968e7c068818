import DFMergeCore
import DFMergeEngine

/// A checksum that tells one set of weights from another without reading all of it.
///
/// Definition: CRC-32 over every tensor's name, dtype and shape and 64 evenly spread 8-byte
/// samples of its bytes, in the target's order. It notices another checkpoint or another order of
/// models; it is not proof against a change made on purpose. Cost: 512 bytes read per tensor.
enum Fingerprint {
  static func of(names: [String], sources: [any WeightSource]) -> String {
    var sum = CRC32()
    for source in sources {
      for name in names {
        guard let tensor = source.tensor(named: name) else { continue }
        sum.add("\(name) \(tensor.dtype.name) \(tensor.shape)".utf8)
        let bytes = tensor.bytes
        let samples = 64
        let step = max(bytes.count / samples, 8)
        for start in stride(from: 0, to: bytes.count, by: step) {
          sum.add(bytes[start..<min(start + 8, bytes.count)])
        }
      }
    }
    return String(sum.value, radix: 16)
  }

  /// A checksum of the names, dtypes and shapes of a target: the same candidates rounded to another
  /// type are other weights, with other scores.
  static func of(target plan: MergePlan) -> String {
    var sum = CRC32()
    for tensor in plan.entries.map(\.output) + plan.copies.map(\.output) {
      sum.add("\(tensor.name) \(tensor.dtype.name) \(tensor.shape)".utf8)
    }
    return String(sum.value, radix: 16)
  }
}
