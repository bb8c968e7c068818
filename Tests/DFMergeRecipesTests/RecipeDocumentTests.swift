import DFMergeCore
import DFMergeRecipes
import Testing

/// Our own recipes, as merges leave them and as people write them.
@Suite struct RecipeDocumentTests {
  private func parse(_ text: String) throws -> MergeStep {
    let recipe = try MergeRecipe.parse(Array(text.utf8), file: "dfmerge_recipe.json")
    return try #require(recipe.steps.first)
  }

  @Test func readsWhatAMergeWrites() throws {
    let step = try parse(
      """
      {"format": "dfmerge.recipe", "format_version": 1, "library_version": "0.1.0",
       "method": "ties", "options": {"density": 0.3},
       "base": {"label": "base/", "path": "base/", "fingerprint": {"crc32": "x"}},
       "models": [{"label": "maths", "path": "tuned", "fingerprint": null}], "fishers": [],
       "dtype": "BF16", "policies": {"shape": "common"}, "seed": null}
      """)
    #expect(step.method == "ties")
    #expect(step.options == ["density": 0.3])
    #expect(step.settings == ["dtype": "BF16", "shape": "common"])
    #expect(step.base?.place == .path("base/", revision: nil))
    #expect(step.base?.fingerprint == ["crc32": "x"])
    #expect(step.models == [MergeInput(label: "maths", place: .path("tuned", revision: nil))])
  }

  @Test func readsTheShortForm() throws {
    let step = try parse(
      #"{"format": "dfmerge.recipe", "format_version": 1, "method": "average", "models": ["a", "b"]}"#
    )
    #expect(step.models.map(\.label) == ["a", "b"])
    #expect(step.base == nil)
  }

  @Test func readsMergesWhoseResultsGoIn() throws {
    let text = #"""
      {"format": "dfmerge.recipe", "format_version": 1, "method": "average",
       "models": [{"label": "one", "step": "first", "path": null}, "b"],
       "steps": [{"name": "first", "method": "ties", "base": "base", "models": ["a"], "figures": {}}]}
      """#
    let recipe = try MergeRecipe.parse(Array(text.utf8), file: "r.json")
    #expect(recipe.steps.map(\.name) == ["first", nil])
    #expect(recipe.steps.map(\.method) == ["ties", "average"])
    #expect(recipe.steps[1].models[0] == MergeInput(label: "one", place: .step("first")))
  }

  @Test(arguments: [
    (
      #"{"format": "dfmerge.recipe", "format_version": 1, "method": "x", "models": [{"step": "s"}]}"#,
      "none of the 'steps' before"
    ),
    (
      #"{"format": "dfmerge.recipe", "format_version": 1, "method": "x", "steps": [{"method": "x"}]}"#,
      "no 'name' of its own"
    ),
    ("[]", "this is no recipe"),
    ("{}", "this is no recipe"),
    (#"{"format": "dfmerge.recipe", "format_version": 2}"#, "newer dfmerge"),
    (#"{"format": "dfmerge.recipe", "format_version": 1}"#, "there is no 'method'"),
    (#"{"format": "dfmerge.recipe", "format_version": 1, "method": "x"}"#, "there are no 'models'"),
    (#"{"format": "dfmerge.recipe", "format_version": 1, "model": "x"}"#, "no member 'model'"),
    (#"{"format": "dfmerge.recipe", "format_version": 1, "method": "x", "models": 3}"#, "no list"),
    (
      #"{"format": "dfmerge.recipe", "format_version": 1, "method": "x", "options": 3}"#,
      "no object"
    ),
    (
      #"{"format": "dfmerge.recipe", "format_version": 1, "method": "x", "models": [{"label": "m", "path": null}]}"#,
      "'m' has no path, since it was in memory"
    ),
    (#"{"a": 1, "a": 2}"#, "twice"),
    ("{", "not valid JSON"),
  ])
  func refuses(_ text: String, _ says: String) {
    do throws(DFMergeError) {
      _ = try MergeRecipe.parse(Array(text.utf8), file: "r.json")
      Issue.record("was read")
    } catch {
      #expect(error.message.contains(says), "\(error.message)")
      #expect(error.message.contains("r.json"))
    }
  }
}
