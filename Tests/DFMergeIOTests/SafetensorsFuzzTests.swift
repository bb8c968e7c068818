import DFMergeCore
import DFMergeIO
import Testing

/// Damaged files either open, and then every byte of every tensor can be read, or throw.
@Suite struct SafetensorsFuzzTests {
  private static let valid: [UInt8] = safetensorsBytes(
    """
    {"__metadata__":{"format":"pt","note":"\\u00e9 \\"x\\""},
    "layer.0.weight":{"dtype":"BF16","shape":[3,4],"data_offsets":[0,24]},
    "layer.0.bias":{"dtype":"F32","shape":[4],"data_offsets":[24,40]},
    "scalar":{"dtype":"F64","shape":[],"data_offsets":[40,48]},
    "none":{"dtype":"I64","shape":[0,7],"data_offsets":[48,48]},
    "packed":{"dtype":"F4","shape":[2,4],"data_offsets":[48,52],"extra":[true,null,-1.5e-3]}}
    """, data: pattern(52))

  /// Opens `bytes` as a file and touches everything; returns whether it opened.
  private func opens(_ bytes: [UInt8], in folder: TemporaryFolder) throws -> Bool {
    let path = try folder.write(bytes, to: "fuzz.safetensors")
    do {
      let file = try SafetensorsFile(path: path)
      var byteCount = 0
      for tensor in file.tensors {
        _ = tensor.bytes.reduce(0) { $0 ^ $1 }
        byteCount += tensor.bytes.count
        #expect(file.tensor(named: tensor.name)?.bytes.count == tensor.bytes.count)
      }
      #expect(byteCount < bytes.count)
      return true
    } catch {
      #expect([.invalidFormat, .unsupported].contains(error.code), "\(error)")
      #expect(!error.message.isEmpty)
      return false
    }
  }

  @Test func theSeedFileIsValid() throws {
    #expect(try opens(Self.valid, in: try TemporaryFolder()))
  }

  @Test func everySingleByteChange() throws {
    let folder = try TemporaryFolder()
    var opened = 0
    for position in Self.valid.indices {
      for value in [0, 0xFF, 0x22, 0x7D, 0x39, Self.valid[position] ^ 0x01] as [UInt8] {
        var bytes = Self.valid
        bytes[position] = value
        if try opens(bytes, in: folder) { opened += 1 }
      }
    }
    // Changed data and changed letters of names are fine; changed structure is not.
    #expect(opened > 0 && opened < Self.valid.count * 6)
  }

  @Test func everyLength() throws {
    let folder = try TemporaryFolder()
    for count in 0..<Self.valid.count {
      #expect(try !opens(Array(Self.valid.prefix(count)), in: folder))
    }
    #expect(try !opens(Self.valid + [0], in: folder))
  }

  @Test func manyRandomChanges() throws {
    let folder = try TemporaryFolder()
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
    let fragments = ["{", "}", "[", "]", "\"", ":", ",", "\\", "\\u", "-", "9999999999", "null"]
    for _ in 0..<4000 {
      var bytes = Self.valid
      for _ in 0...random(4) {
        let position = random(bytes.count)
        switch random(5) {
        case 0: bytes[position] = UInt8(random(256))
        case 1: bytes[position] ^= 1 << UInt8(random(8))
        case 2: bytes.remove(at: position)
        case 3: bytes.insert(contentsOf: fragments[random(fragments.count)].utf8, at: position)
        default: bytes.swapAt(position, random(bytes.count))
        }
      }
      // Half of the files get the length of their changed header, so that the JSON is reached.
      if random(2) == 0, bytes.count >= 8 {
        let length = bytes.count - 8 - 52
        for byte in 0..<8 where length >= 0 {
          bytes[byte] = UInt8(truncatingIfNeeded: length >> (8 * byte))
        }
      }
      _ = try opens(bytes, in: folder)
    }
  }
}
