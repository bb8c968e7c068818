import DFMergeCore
import DFMergeRecipes
import Testing

/// What is refused: always with file, line and remedy.
@Suite struct MergekitRefusalTests {
  private static let start = "merge_method: ties\nbase_model: base\nmodels:\n  - model: a\n"

  @Test(arguments: [
    ("parameters: {wieght: 1}", 5, "there is no parameter 'wieght'"),
    ("paramters: {weight: 1}", 5, "there is no key 'paramters'"),
    (
      "parameters: {weight: [{filter: mlp, value: 1}]}", 5,
      "no value for tensors that no filter fits"
    ),
    ("parameters: {weight: abc}", 5, "'weight' is \"abc\""),
    ("parameters: {weight: .nan}", 5, "'weight' is \".nan\""),
    ("parameters: {weight: 1e999}", 5, "'weight' is \"1e999\""),
    ("parameters: {weight: 010}", 5, "'weight' is \"010\""),
    ("parameters: {weight: []}", 5, "an empty list"),
    ("parameters: {weight: [1, [2]]}", 5, "a number"),
    ("parameters: {weight: {value: 1}}", 5, "'weight' is a mapping"),
    ("parameters: {weight: [{filter: a, valeu: 1}]}", 5, "'valeu' in 'weight'"),
    ("parameters: {weight: [1, {value: 1}]}", 5, "mixes numbers with filters"),
    ("parameters: {weight: -1}", 5, "'weight' is negative"),
    ("parameters: {weight: 1, rescale: true}", 5, "'rescale' of 'ties' is not supported"),
    ("parameters: {weight: 1, normalize: [0, 1]}", 5, "it takes true or false"),
    ("parameters: 3", 5, "'parameters' is \"3\""),
    ("dtype: int64", 5, "'dtype' is \"int64\""),
    ("tokenizer_source: union", 5, "the union of the vocabularies"),
    ("tokenizer_source: a", 5, "the tokenizer is to be that of"),
    ("tokenizer: {}", 5, "asks for the union"),
    ("tokenizer: {source: base, tokens: {x: {source: a}}}", 5, "'tokens' of 'tokenizer'"),
    ("chat_template: llama3", 5, "'chat_template' is not supported"),
    ("modules: {text: {models: []}}", 5, "'modules' is not supported"),
    ("slices: []", 5, "there are both 'models' and 'slices'"),
    ("  - model: a", 5, "a is listed twice"),
    ("  - modle: b", 5, "key 'modle' of a model"),
    ("  - model: b+lora", 5, "is an adapter"),
    ("  - model: b@1@2", 5, "is no model"),
    ("  - model: {model: {path: b, revison: x}}", 5, "'revison' in a model"),
    ("  - model: {model: b, override_architecture: X}", 5, "'override_architecture'"),
    ("merge_method: ties", 1, "'merge_method' stands here and once more"),
    ("  - model: {b: !!python/object:os.system x}", 5, "the tag"),
    ("  - [", 6, "this is no YAML"),
  ])
  func refusesWithItsLine(_ line: String, _ number: Int, _ says: String) {
    expectFailure(MergekitRefusalTests.start + line + "\n", "config.yml:\(number):", says)
  }

  @Test(arguments: [
    ("", "the file is empty"),
    ("- a\n- b\n", "the document is a list"),
    ("models: [{model: a}]", "there is no 'merge_method'"),
    ("merge_method: ties\nmodels: [{model: a}]\nparameters: {weight: 1}", "needs a 'base_model'"),
    ("merge_method: ties\nbase_model: a\nmodels: [{model: a}]", "no model beside the base"),
    ("merge_method: ties\nbase_model: b\nmodels: [{model: a}]", "'weight' for a is missing"),
    (
      "merge_method: linear\nbase_model: b\nmodels: [{model: a}]\nparameters: {weight: 1}",
      "no base model"
    ),
    ("merge_method: slerp\nbase_model: b\nmodels: [{model: a}]", "'t' is missing"),
    (
      "merge_method: slerp\nbase_model: b\nmodels: [{model: a}, {model: c}]\nparameters: {t: 1}",
      "one other model"
    ),
    ("merge_method: passthrough\nmodels: [{model: a}, {model: c}]", "takes 1 model"),
    ("merge_method: model_stock\nbase_model: b\nmodels: [{model: a}]", "takes 2 models or more"),
    ("merge_method: nearswap\nmodels: [{model: a}]", "'nearswap' is not here"),
    ("merge_method: teis\nmodels: [{model: a}]", "there is no merge_method 'teis'"),
    ("genome: {}\ntasks: []", "belongs to mergekit-evolve"),
    ("name: x\nmerge_method: linear\nmodels: [{model: x}]\nparameters: {weight: 1}", "in a circle"),
    (
      "slices:\n- sources: [{model: a, layer_range: [0, 2]}]\n- sources: []\nmerge_method: passthrough",
      "stack or reorder"
    ),
    (
      "slices:\n- sources: [{model: a, layer_range: [1, 2]}]\nmerge_method: passthrough",
      "begins with layer 1"
    ),
    (
      "slices:\n- sources: [{model: a, layer_range: [0, 2.5]}]\nmerge_method: passthrough",
      "two whole numbers"
    ),
    (
      "slices:\n- residual_weight: 1\n  sources: [{model: a, layer_range: [0, 2]}]\nmerge_method: passthrough",
      "'residual_weight'"
    ),
  ])
  func refusesDocuments(_ text: String, _ says: String) {
    expectFailure(text, "config.yml:", says)
  }

  @Test func refusesDocumentsThatDoNotFitTogether() {
    let one = "merge_method: passthrough\nmodels: [{model: a}]\n"
    expectFailure(one + "---\n" + one, "config.yml:4", "two documents have no 'name'")
    expectFailure("name: x\n" + one + "---\n" + one, "config.yml:1", "'x' is not used")
    expectFailure(
      "name: x\n" + one + "---\nname: x\n" + one, "config.yml:5", "two documents are called 'x'")
  }

  private func expectFailure(
    _ text: String, _ place: String, _ says: String, location: SourceLocation = #_sourceLocation
  ) {
    do throws(DFMergeError) {
      let recipe = try MergeRecipe.parse(Array(text.utf8), file: "config.yml")
      Issue.record("was read: \(recipe)", sourceLocation: location)
    } catch {
      #expect(error.message.hasPrefix(place), "\(error.message)", sourceLocation: location)
      #expect(error.message.contains(says), "\(error.message)", sourceLocation: location)
      #expect(error.message.hasSuffix("."), "\(error.message)", sourceLocation: location)
      #expect(error.context["path"] == "config.yml", sourceLocation: location)
    }
  }
}
