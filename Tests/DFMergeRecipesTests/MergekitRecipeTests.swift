import DFMergeCore
import DFMergeRecipes
import Testing

/// What configurations of mergekit become here.
@Suite struct MergekitRecipeTests {
  private func step(_ text: String) throws -> MergeStep {
    let recipe = try MergeRecipe.parse(Array(text.utf8), file: "config.yml")
    #expect(recipe.steps.count == 1)
    return try #require(recipe.steps.last)
  }

  /// Two models and a base; `parameters` stand at the top level.
  private func configuration(
    _ method: String, a: String = "{weight: 0.25}", b: String = "{weight: 0.5}",
    parameters: String = "{}"
  ) -> String {
    """
    merge_method: \(method)
    base_model: base
    models:
      - model: a
        parameters: \(a)
      - model: b
        parameters: \(b)
    parameters: \(parameters)
    """
  }

  @Test func linearIsAverage() throws {
    let step = try step(
      """
      models:
        - model: maths
          parameters:
            weight: 1.0
        - model: owner/code@v2
          parameters: {weight: "0.5"}
      merge_method: linear
      dtype: float16
      out_dtype: torch.bfloat16
      """)
    #expect(step.method == "average")
    #expect(step.options == ["weights": [1.0, 0.5], "normalize": true])
    #expect(step.settings == ["dtype": "BF16"])
    #expect(step.base == nil)
    #expect(step.models.map(\.label) == ["maths", "owner/code@v2"])
    #expect(step.models[1].place == .path("owner/code", revision: "v2"))
  }

  @Test func slerpGoesFromTheBaseWhereverItIsListed() throws {
    for models in ["[{model: base}, {model: other}]", "[{model: other}, {model: base}]"] {
      let step = try step(
        "merge_method: slerp\nbase_model: base\nmodels: \(models)\nparameters: {t: 0.3}")
      #expect(step.method == "slerp")
      #expect(step.options == ["t": 0.3])
      #expect(step.models.map(\.label) == ["base", "other"])
    }
  }

  @Test func tiesIsByTensorExactAndPositive() throws {
    let step = try step(
      configuration(
        "ties", a: "{weight: 0.25, density: 0.5}", b: "{weight: 0.5}",
        parameters: "{int8_mask: true, lambda: 2}"))
    #expect(step.method == "ties")
    #expect(
      step.options == [
        "weights": [0.25, 0.5], "density": [0.5, 1.0], "lambda": 2.0, "scope": "tensor",
        "trim": "exact", "zero_sign": "positive", "aggregate": "mean",
      ])
    #expect(step.base?.label == "base")
    let sum = try self.step(configuration("ties", parameters: "{normalize: false}"))
    #expect(sum.options["aggregate"] == "sum")
    let mixed = try self.step(
      configuration("ties", parameters: "{normalize: [{filter: mlp, value: no}, {value: yes}]}"))
    #expect(
      mixed.options["aggregate"] == [["filter": "mlp", "value": "sum"], ["value": "mean"]])
  }

  @Test func taskArithmeticFoldsLambdaAndNormalizeIn() throws {
    let plain = try step(configuration("task_arithmetic", parameters: "{lambda: 2}"))
    #expect(plain.options == ["coefficients": [0.5, 1.0]])
    let divided = try step(configuration("task_arithmetic", parameters: "{normalize: true}"))
    #expect(divided.options == ["coefficients": [.double(0.25 / 0.75), .double(0.5 / 0.75)]])
    let gradient = try step(
      configuration("task_arithmetic", a: "{weight: [0, 1]}", parameters: "{lambda: 0.5}"))
    #expect(gradient.options == ["coefficients": [["gradient": [0.0, 0.5]], 0.25]])
    let byTensor = try step(
      configuration(
        "task_arithmetic", parameters: "{lambda: [{filter: mlp, value: 2}, {value: 1}]}"))
    #expect(
      byTensor.options["coefficients"]?.arrayValue?.first
        == [["filter": "mlp", "value": 0.5], ["value": 0.25]])
  }

  @Test func sparseMethodsKeepMergekitsDefaults() throws {
    let dare = try step(configuration("dare_linear", parameters: "{density: 0.5}"))
    #expect(dare.method == "dare")
    #expect(
      dare.options == ["coefficients": [0.25, 0.5], "density": [0.5, 0.5], "rescale": "l1"])
    let all = try step(configuration("dare_linear"))
    #expect(all.options == ["coefficients": [0.25, 0.5], "density": [1.0, 1.0]])
    let dareTIES = try step(
      configuration("dare_ties", parameters: "{rescale: false, density: 0.5}"))
    #expect(
      dareTIES.options == [
        "weights": [0.25, 0.5], "density": [0.5, 0.5], "lambda": 1.0, "zero_sign": "positive",
        "aggregate": "sum", "rescale": false,
      ])
    let crumbs = try step(configuration("breadcrumbs", parameters: "{density: 0.9}"))
    #expect(
      crumbs.options == [
        "coefficients": [0.25, 0.5], "density": [0.9, 0.9], "gamma": [0.01, 0.01],
        "scope": "tensor", "variant": "mergekit",
      ])
    let elected = try step(configuration("breadcrumbs_ties", parameters: "{gamma: 0.02}"))
    #expect(elected.method == "breadcrumbs_ties")
    #expect(elected.options["gamma"] == [0.02, 0.02])
    #expect(elected.options["aggregate"] == "sum")
    let della = try step(configuration("della", parameters: "{density: 0.6, epsilon: 0.1}"))
    #expect(della.options["epsilon"] == [0.1, 0.1])
    #expect(della.options["aggregate"] == "mean")
    let linear = try step(configuration("della_linear", parameters: "{density: 0.6}"))
    #expect(linear.options["epsilon"] == [0.15, 0.15])
  }

  @Test func othersAreTranslated() throws {
    let none = "models: [{model: a}, {model: b}]\nbase_model: base\nmerge_method: "
    let stock = try step(none + "model_stock\nparameters: {filter_wise: true}")
    #expect(stock.options == ["scope": "row", "clamp": false, "norm_floor": 1e-6])
    #expect(stock.models.count == 2)
    let sce = try step(none + "sce\nparameters: {select_topk: 0.1}")
    #expect(sce.options == ["select_topk": 0.1, "variant": "mergekit"])
    let karcher = try step(none + "karcher\nparameters: {max_iter: 20}")
    #expect(karcher.options == ["max_iter": 20.0, "tol": 1e-5])
    #expect(karcher.models.map(\.label) == ["a", "b", "base"])
    let weighted = "models: [{model: a}, {model: b}]\nparameters: {weight: 0.5}\nmerge_method: "
    let nuslerp = try step(weighted + "nuslerp")
    #expect(nuslerp.options == ["weights": [0.5, 0.5], "scope": "tensor"])
    for (parameters, scope) in [
      ("nuslerp_flatten: false", "row"), ("nuslerp_flatten: no, nuslerp_row_wise: 1", "column"),
      ("nuslerp_row_wise: true", "tensor"),
    ] as [(String, JSONValue)] {
      let step = try step(
        weighted.replacing("0.5", with: "0.5, \(parameters)") + "nuslerp")
      #expect(step.options["scope"] == scope)
    }
    let byTensor = try step(
      weighted.replacing("0.5", with: "0.5, nuslerp_flatten: [{filter: mlp, value: 0}, {value: 1}]")
        + "nuslerp")
    #expect(
      byTensor.options["scope"] == [["filter": "mlp", "value": "row"], ["value": "tensor"]])
    let multislerp = try step(weighted + "multislerp")
    #expect(multislerp.options["normalize"] == true)
    let same = try step("models: [{model: a}]\nmerge_method: passthrough")
    #expect(same.method == "passthrough")
    #expect(same.options == ["scale": 1.0])
  }

  @Test func theBaseAmongTheModelsIsNone() throws {
    let text = """
      models:
        - model: base
        - model: a
          parameters: {weight: 1, density: 0.5}
      merge_method: ties
      base_model: base
      tokenizer_source: base
      """
    let step = try step(text)
    #expect(step.models.map(\.label) == ["a"])
    #expect(step.settings == ["shape": "common"])
  }

  @Test func levelsAreLookedUpInOrder() throws {
    let text = """
      slices:
        - sources:
            - model: a
              layer_range: [0, 4]
              parameters:
                weight:
                  - {filter: self_attn, value: 0.1}
            - model: b
              layer_range: [0, 4]
          parameters:
            weight:
              - {filter: mlp, value: [0.2, 0.4]}
      merge_method: task_arithmetic
      base_model: base
      parameters:
        weight: 0.3
      """
    let step = try step(text)
    let mlp: JSONValue = ["filter": "mlp", "value": ["gradient": [0.2, 0.4]]]
    #expect(
      step.options["coefficients"] == [
        [["filter": "self_attn", "value": 0.1], mlp, ["value": 0.3]], [mlp, ["value": 0.3]],
      ])
    #expect(step.layers?.count == 4)
    #expect(step.layers?.place == "config.yml:4")
  }

  @Test func anchorsAndMergeKeysAreResolved() throws {
    let step = try step(
      """
      models:
        - model: a
          parameters: &shared {weight: 0.5, density: 0.25}
        - model: b
          parameters:
            <<: *shared
            weight: 1
      merge_method: ties
      base_model: base
      """)
    #expect(step.options["weights"] == [0.5, 1.0])
    #expect(step.options["density"] == [0.25, 0.25])
  }

  @Test func documentsBecomeStepsInTheOrderOfUse() throws {
    let text = """
      merge_method: linear
      models: [{model: second, parameters: {weight: 1}}, {model: c, parameters: {weight: 1}}]
      ---
      name: second
      merge_method: slerp
      base_model: first
      models: [{model: b}]
      parameters: {t: 0.5}
      ---
      name: first
      merge_method: passthrough
      models: [{model: a}]
      """
    let recipe = try MergeRecipe.parse(Array(text.utf8), file: "config.yml")
    #expect(recipe.steps.map(\.name) == ["first", "second", nil])
    #expect(recipe.steps[1].base?.place == .step("first"))
    #expect(recipe.steps[2].models[0].place == .step("second"))
  }

  @Test func whatHasNoEffectIsNoted() throws {
    let text = configuration("task_arithmetic", a: "{weight: 1}", parameters: "{t: 0.5}")
    let recipe = try MergeRecipe.parse(Array(text.utf8), file: "config.yml")
    #expect(recipe.notes.count == 1)
    #expect(recipe.notes.first?.contains("config.yml:8: 't' has no effect") == true)
  }
}
