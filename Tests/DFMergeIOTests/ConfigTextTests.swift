import DFMergeCore
import DFMergeIO
import Testing

/// `config.json` follows the dtype of the weights, and nothing else of it changes.
@Suite struct ConfigTextTests {
  private func edited(_ text: String, _ dtype: DType? = .bf16) throws -> String {
    let base = try TemporaryFolder()
    try base.write(text, to: "config.json")
    let out = try TemporaryFolder()
    let writer = try CheckpointWriter(folder: out.path, tensors: [], copyingFilesFrom: base.path)
    if let dtype { writer.setConfigDType(dtype) }
    try writer.finish()
    return String(decoding: try out.read("config.json"), as: UTF8.self)
  }

  @Test func theDTypeIsReplacedInItsPlace() throws {
    let before =
      "{\r\n \"a\" :\t[1.50, {\"dtype\":\"x\"}],\n\"torch_dtype\" : \"float32\" ,\"z\":1e5}\n"
    let after =
      "{\r\n \"a\" :\t[1.50, {\"dtype\":\"x\"}],\n\"torch_dtype\" : \"bfloat16\" ,\"z\":1e5}\n"
    #expect(try edited(before) == after)
    #expect(try edited(before, nil) == before)
  }

  @Test(arguments: [
    (#"{"dtype":"float32","torch_dtype":null}"#, #"{"dtype":"float16","torch_dtype":"float16"}"#),
    (#"{"dtype":"float16"}"#, #"{"dtype":"float16"}"#),
    (#"{"text_config":{"dtype":"float32"}}"#, #"{"text_config":{"dtype":"float32"}}"#),
    (
      #"{"dtype":{"default":"float32"},"b":"dtype"}"#,
      #"{"dtype":{"default":"float32"},"b":"dtype"}"#
    ),
    (#"{"x":"\"dtype\":","dtype":"a\"b"}"#, #"{"x":"\"dtype\":","dtype":"float16"}"#),
    (#"["dtype","float32"]"#, #"["dtype","float32"]"#),
    (#"{"dtype":"float32""#, #"{"dtype":"float32""#),
    ("", ""), ("{}", "{}"),
  ])
  func onlyOutermostTextsAreReplaced(before: String, after: String) throws {
    #expect(try edited(before, .f16) == after)
  }

  @Test func namesArePyTorchs() throws {
    for (dtype, name) in [
      (DType.f64, "float64"), (.f32, "float32"), (.f16, "float16"), (.bf16, "bfloat16"),
    ] {
      #expect(try edited(#"{"dtype":""}"#, dtype) == #"{"dtype":"\#(name)"}"#)
    }
    #expect(try edited(#"{"dtype":"int8"}"#, .i8) == #"{"dtype":"int8"}"#)
  }

  @Test func theBaseItselfAsTargetIsEditedToo() throws {
    let base = try TemporaryFolder()
    try base.write(#"{"dtype":"float32"}"#, to: "config.json")
    try base.write("kept", to: "tokenizer.json")
    let writer = try CheckpointWriter(folder: base.path, tensors: [], copyingFilesFrom: base.path)
    writer.setConfigDType(.bf16)
    try writer.finish()
    #expect(try base.read("config.json") == Array(#"{"dtype":"bfloat16"}"#.utf8))
    #expect(try base.names() == ["config.json", "model.safetensors", "tokenizer.json"])
  }
}
