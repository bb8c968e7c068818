import DFMergeCore
import Testing

@Suite struct LayerStacksTests {
  private let stacks = LayerStacks([
    "embed.weight", "encoder.block.0.layer.0.q", "encoder.block.2.layer.0.q",
    "encoder.block.10.layer.0.q", "encoder.block.0.layer.1.bias", "decoder.block.0.layer.0.q",
    "h_3_w", "h_1_w", "h_01_w", "layers.7", "layers.5",
  ])

  @Test func aTensorIsFoundAtEveryLayerOfItsStack() {
    let place = stacks.place(of: "encoder.block.10.layer.0.q")
    #expect(place?.stack == "encoder.block." && place?.count == 3 && place?.index == 2)
    #expect(
      place?.sites.map(\.name) == [
        "encoder.block.0.layer.0.q", "encoder.block.2.layer.0.q", "encoder.block.10.layer.0.q",
      ])
    #expect(place?.sites.map(\.index) == [0, 1, 2])
  }

  @Test func layersCountThoughATensorIsInOneOnly() {
    let place = stacks.place(of: "encoder.block.0.layer.1.bias")
    #expect(place?.count == 3 && place?.index == 0 && place?.sites.count == 1)
    #expect(stacks.place(of: "decoder.block.0.layer.0.q")?.count == 1)
  }

  @Test func namesMayEndInTheNumberOrHaveItTwice() {
    #expect(stacks.place(of: "layers.7")?.sites.map(\.name) == ["layers.5", "layers.7"])
    let place = stacks.place(of: "h_1_w")
    #expect(place?.count == 2 && place?.sites.map(\.name) == ["h_01_w", "h_1_w", "h_3_w"])
  }

  @Test func whatIsInNoLayerOrNotThereHasNoPlace() {
    #expect(stacks.place(of: "embed.weight") == nil)
    #expect(stacks.place(of: "encoder.block.3.layer.0.q") == nil)
    #expect(LayerStacks([]).place(of: "h.0.w") == nil)
  }

  @Test func aRunOfATensorIsInItsMemory() throws {
    let buffer = try AlignedBuffer(byteCount: 48)
    let whole = try TensorView(
      name: "a", dtype: .f32, shape: try Shape([3, 2, 2]),
      bytes: UnsafeRawBufferPointer(buffer.bytes))
    let run = try whole.run(from: 4, shape: try Shape([2, 2]))
    #expect(run.bytes.baseAddress == UnsafeRawPointer(buffer.address + 16) && run.bytes.count == 16)
    #expect(run.isSameMemory(as: try whole.run(from: 4, shape: try Shape([2, 2]))))
    #expect(!run.isSameMemory(as: try whole.run(from: 0, shape: try Shape([2, 2]))))
    #expect(throws: DFMergeError.self) { try whole.run(from: 9, shape: try Shape([2, 2])) }
    #expect(throws: DFMergeError.self) { try whole.run(from: -1, shape: try Shape([1])) }
    #expect(throws: DFMergeError.self) { try whole.run(from: Int.max, shape: try Shape([2])) }
    let empty = try whole.run(from: 12, shape: try Shape([0]))
    #expect(empty.byteCount == 0 && !empty.isSameMemory(as: empty))
  }
}
