import DFMergeCore
import DFMergeIO
import Testing

@Suite struct MergeRecordTests {
  private func record(
    options: [String: JSONValue] = ["coefficients": .array([.double(0.5), .double(-0.25)])],
    base: String = "org/base", models: [String] = ["org/one", "./two"],
    policies: [String: JSONValue] = [:], seed: UInt64? = nil, dtype: DType? = nil
  ) -> MergeRecord {
    MergeRecord(
      method: "task_arithmetic", title: "Task arithmetic",
      formula: "theta = theta0 + sum(c_m (theta_m - theta0))", options: options,
      base: .init(label: base, path: base, fingerprint: nil),
      models: models.map { .init(label: $0, path: $0, fingerprint: nil) }, dtype: dtype,
      policies: policies, seed: seed)
  }

  private func card(_ record: MergeRecord, base: String? = nil) throws -> String {
    String(decoding: try record.card(outputName: "merged", baseFolder: base), as: UTF8.self)
  }

  @Test func theRecipeSaysEverything() throws {
    let record = record(
      policies: ["non_finite": .string("error")], seed: .max, dtype: .bf16)
    let text = String(decoding: try record.recipe(), as: UTF8.self)
    #expect(
      text == """
        {
          "format": "dfmerge.recipe",
          "format_version": 1,
          "library_version": "\(DFMergeVersion.string)",
          "method": "task_arithmetic",
          "options": {
            "coefficients": [0.5,-0.25]
          },
          "base": {
            "fingerprint": null,
            "label": "org/base",
            "path": "org/base"
          },
          "models": [
            {
              "fingerprint": null,
              "label": "org/one",
              "path": "org/one"
            },
            {
              "fingerprint": null,
              "label": "./two",
              "path": "./two"
            }
          ],
          "fishers": [],
          "dtype": "BF16",
          "policies": {
            "non_finite": "error"
          },
          "seed": "18446744073709551615",
          "figures": {}
        }

        """)
    let parsed = try JSONValue(parsing: try record.recipe(), what: "the recipe")
    #expect(parsed["models"]?.arrayValue?.count == 2)
    var found = record
    found.figures = ["merged_count": 3, "merged_lambda": 1.25]
    #expect(
      String(decoding: try found.recipe(), as: UTF8.self).contains(
        "  \"figures\": {\n    \"merged_count\": 3,\n    \"merged_lambda\": 1.25\n  }\n}"))
    let bad = self.record(options: ["a": .double(.nan)])
    #expect(try failure { _ = try bad.recipe() }.code == .nonFinite)
  }

  @Test func recipeAndCardSayWhatIsTied() throws {
    var found = record()
    #expect(try !card(found).contains("Shared tensors"))
    found.ties = ["h.1.w": "h.0.w", "h.2.w": "h.0.w"]
    let parsed = try JSONValue(parsing: try found.recipe(), what: "the recipe")
    #expect(parsed["ties"]?["h.2.w"] == .string("h.0.w"))
    #expect(
      try card(found).contains(
        "## Shared tensors\n\n2 tensors have the values of 1 other, so that a program may store each "
          + "of them once: `ties` in `dfmerge_recipe.json` says which, by name.\n\n## How"))
  }

  @Test func theProgramHasFisherValuesAndSaysWhatWasInMemory() throws {
    let lent = MergeRecord.Input(label: "model 0", path: nil, fingerprint: nil)
    let file = MergeRecord.Input(label: "fisher", path: "f.safetensors", fingerprint: nil)
    let record = MergeRecord(
      method: "fisher", title: "Fisher merging", formula: "f", options: [:], base: nil,
      models: [lent], fishers: [file], dtype: nil, policies: [:], seed: nil)
    let text = try card(record)
    #expect(text.contains("    [\"model 0\"],\n    method=\"fisher\",\n"))
    #expect(text.contains("    fishers=[\"f.safetensors\"],\n"))
    #expect(text.contains("stand below by name; put state dicts in their place: `model 0`."))
    #expect(try !card(self.record()).contains("in memory"))
    let parsed = try JSONValue(parsing: try record.recipe(), what: "the recipe")
    #expect(parsed["fishers"]?.arrayValue?.first?["path"] == .string("f.safetensors"))
  }

  @Test func theCardHasFrontMatterFormulaTableAndProgram() throws {
    let text = try card(record(policies: ["non_finite": .string("error")], dtype: .f16))
    #expect(
      text.hasPrefix(
        """
        ---
        base_model:
        - org/base
        - org/one
        base_model_relation: merge
        tags:
        - merge
        - dfmerge
        ---

        # merged

        A merge of 2 models, made with DFMerge \(DFMergeVersion.string).
        """))
    for part in [
      "    theta = theta0 + sum(c_m (theta_m - theta0))\n",
      """
      |  | model | coefficients |
      | --- | --- | --- |
      | base | `org/base` |  |
      | 1 | `org/one` | 0.5 |
      | 2 | `./two` | -0.25 |
      """,
      "## Settings\n\n- `non_finite`: \"error\"\n- dtype: F16\n",
      """
      dfmerge.merge(
          "org/base",
          ["org/one", "./two"],
          method="task_arithmetic",
          options={"coefficients": [0.5, -0.25]},
          dtype="F16",
          non_finite="error",
          out="merged",
      )
      """,
    ] { #expect(text.contains(part), "\(part)") }
  }

  @Test func noPathLeadsOutOfTheWorkingFolder() throws {
    let home = "/home/somebody/models"
    let labels = ["\(home)/a", "~/b", "../../somebody/c"]
    let text = try card(
      record(
        options: [
          "coefficients": .object(["\(home)/a": .int(1), "~/b": .int(2), labels[2]: .int(3)]),
          "flag": .bool(true),
        ], base: "/home/somebody/.cache/huggingface/hub/models--org--a-b/snapshots/0123",
        models: labels))
    #expect(!text.contains("somebody") && !text.contains("~"))
    for part in [
      "base_model:\n- org/a-b\n", "| 1 | `a` | 1 |", "| 2 | `b` | 2 |", "| 3 | `c` | 3 |",
      #"options={"coefficients": [1, 2, 3], "flag": True}"#, "- `flag`: true",
    ] { #expect(text.contains(part), "\(part)\n\(text)") }
  }

  @Test(arguments: [
    ("org/name", "org/name"), ("models/deep/x", "models/deep/x"), ("gpt2", "gpt2"),
    ("./a", "./a"), ("/data/x/y/", "y"), ("a/../../b", "b"), ("..", "model"), ("/", "model"),
    ("/c/models--gpt2/snapshots/1", "gpt2"),
    ("/c/models--Qwen--Qwen2.5-0.5B/x", "Qwen/Qwen2.5-0.5B"), ("/c/models--/x", "x"),
  ])
  func publicNames(path: String, name: String) {
    #expect(PublicName.of(path: path) == name)
  }

  @Test func hubIDs() {
    for id in ["a/b", "Org-1/name_2.5", "0/0"] { #expect(PublicName.isHubID(id)) }
    for id in ["a", "a/b/c", "/a", "a/", "./a", "a b/c", "a/é", "-a/b", "a/b."] {
      #expect(!PublicName.isHubID(id))
    }
  }

  @Test func textsThatWouldBreakTheCardAreMadePlain() throws {
    let text = try card(record(models: ["a|b`<script>\n## c"]))
    #expect(text.contains("`a/b'-script-") && !text.contains("\n## c"))
  }

  @Test func licenceAndLibraryAreTheBases() throws {
    let base = try TemporaryFolder()
    try base.write("{}", to: "config.json")
    #expect(try card(record(), base: base.path).contains("\nlibrary_name: transformers\ntags:"))
    try base.write("[]", to: "modules.json")
    #expect(try card(record(), base: base.path).contains("library_name: sentence-transformers\n"))
    try base.write(
      """
      ---
      language: en
      license: other
      license_name: "a: b"
      license_link:
      - https://example.org/LICENSE
      datasets:
      - secret
      library_name: diffusers # comment
      ---
      license: mit
      """, to: "README.md")
    let text = try card(record(), base: base.path)
    #expect(
      text.contains(
        """
        library_name: diffusers
        license: other
        license_name: "a: b"
        license_link:
        - https://example.org/LICENSE
        tags:
        """))
    #expect(!text.contains("secret") && !text.contains("mit\n"))
    for broken in ["", "---", "---\nlicense: mit\n", "# no front matter\nlicense: mit\n---\n"] {
      try base.write(broken, to: "README.md")
      let text = try card(record(), base: base.path)
      #expect(!text.contains("license"))
    }
  }
}

@Suite struct FingerprintAndMetadataTests {
  @Test func theFingerprintTellsCheckpointsApart() throws {
    let folder = try TemporaryFolder()
    func fingerprint(_ tensors: [TensorView], shard: Int = 1 << 30) throws -> InputFingerprint {
      let path = folder.file("f")
      try CheckpointWriter.write(tensors, toFolder: path, shardSize: ShardSize(bytes: shard))
      return try #require(try InputFingerprint.of(Checkpoint.open(path, access: .pieces)))
    }
    let tensors = [try bytesTensor("a", 9000), try bytesTensor("b", 10)]
    let first = try fingerprint(tensors)
    #expect(try fingerprint(tensors) == first && first.fileCount == 1)
    #expect(try fingerprint(tensors, shard: 9000).fileCount == 2)
    let others = [
      [try bytesTensor("a", 9000, seed: 1), tensors[1]], [tensors[0]],
      [tensors[0], try bytesTensor("c", 10)],
    ]
    for other in others { #expect(try fingerprint(other).checksum != first.checksum) }
    #expect(first.json["bytes"]?.intValue == first.byteCount)
    #expect(first.json["crc32"]?.stringValue?.utf8.count == 8)
    #expect(try InputFingerprint.of(NamedWeights(tensors, label: "memory")) == nil)
  }

  @Test func tiesAndFormatAreCarriedOver() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.safetensors")
    try SafetensorsWriter.write(
      [try bytesTensor("embed", 4), try bytesTensor("other", 4)], to: path,
      metadata: [
        "format": "np", "head": "embed", "date": "today", "lost": "gone", "other": "embed",
      ])
    let base = try SafetensorsFile(path: path)
    #expect(
      CarriedMetadata.from(base, writing: ["embed", "other"]) == ["format": "np", "head": "embed"])
    #expect(CarriedMetadata.from(base, writing: ["embed", "head"]) == ["format": "np"])
    #expect(CarriedMetadata.from(base, writing: ["other"]) == ["format": "np"])
    let memory = try NamedWeights([], label: "memory")
    #expect(CarriedMetadata.from(memory, writing: ["embed"]).isEmpty)
  }

  @Test func extraFilesReplaceTheBases() throws {
    let base = try TemporaryFolder()
    for name in ["README.md", "tokenizer.json"] { try base.write("base", to: name) }
    let out = try TemporaryFolder()
    let writer = try CheckpointWriter(folder: out.path, tensors: [], copyingFilesFrom: base.path)
    try writer.add(Array("card".utf8), as: "README.md")
    try writer.add(Array("first".utf8), as: "dfmerge_recipe.json")
    try writer.add(Array("{}".utf8), as: "dfmerge_recipe.json")
    for name in ["", "a/b", ".hidden", "x.safetensors", "model.safetensors.index.json", "\0"] {
      #expect(try failure { try writer.add([], as: name) }.code == .invalidArgument)
    }
    #expect(try out.names().isEmpty)
    try writer.finish()
    #expect(
      try out.names()
        == ["README.md", "dfmerge_recipe.json", "model.safetensors", "tokenizer.json"])
    #expect(try out.read("README.md") == Array("card".utf8))
    #expect(try out.read("dfmerge_recipe.json") == Array("{}".utf8))
    #expect(try out.read("tokenizer.json") == Array("base".utf8))
  }
}
