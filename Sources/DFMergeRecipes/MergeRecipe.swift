import DFMergeCore

/// Merges as a file describes them, in the order in which they are to be made.
///
/// A recipe is a description: which files there are, and whether they fit together, is for the
/// ``/DFMergeEngine/Merge``s that are made from it. ``read(_:)`` takes mergekit's configurations and
/// the recipes that lie beside our own results.
public struct MergeRecipe: Sendable, Equatable {
  /// Never empty; the last one makes the result, and may use those before it.
  public let steps: [MergeStep]
  /// What the file says and the merge does without, in sentences.
  public let notes: [String]

  package init(steps: [MergeStep], notes: [String] = []) {
    self.steps = steps
    self.notes = notes
  }
}

/// One merge of a recipe.
public struct MergeStep: Sendable, Equatable {
  /// What later steps call its result; nil where none needs to.
  public var name: String?
  /// Name of our method.
  public var method: String
  /// The method's options; those by model are lists in the models' order.
  public var options: [String: JSONValue]
  /// What differs from the defaults of a merge's settings.
  public var settings: [String: JSONValue]
  public var base: MergeInput?
  public var models: [MergeInput]
  public var fishers: [MergeInput]
  /// How many layers the file says that every model has, and where; nil where it is silent.
  public var layers: LayerClaim?
  /// Where options stand in the file, `config.yml:12`: one place, or one for each model, by option.
  public var optionPlaces: [String: [String]] = [:]

  /// A number of layers and the place in a file that states it.
  public struct LayerClaim: Sendable, Equatable {
    public let count: Int
    /// `config.yml:12`.
    public let place: String

    package init(count: Int, place: String) {
      self.count = count
      self.place = place
    }
  }

  public init(
    method: String, options: [String: JSONValue] = [:], settings: [String: JSONValue] = [:],
    base: MergeInput? = nil, models: [MergeInput], fishers: [MergeInput] = []
  ) {
    self.method = method
    self.options = options
    self.settings = settings
    self.base = base
    self.models = models
    self.fishers = fishers
  }

  /// The step as data: `method`, `options`, `settings`, `base`, `models`, `fishers`, and `name`
  /// where it has one.
  public var json: JSONValue {
    var members: [String: JSONValue] = [
      "method": .string(method), "options": .object(options), "settings": .object(settings),
      "base": base?.json ?? .null, "models": .array(models.map(\.json)),
      "fishers": .array(fishers.map(\.json)),
    ]
    members["name"] = name.map(JSONValue.string)
    return .object(members)
  }
}

/// Weights that go into a merge.
public struct MergeInput: Sendable, Equatable {
  /// Where they are.
  public enum Place: Sendable, Equatable {
    /// A file or folder, or the id of a model of the Hugging Face hub and its revision.
    case path(String, revision: String?)
    /// The result of an earlier step.
    case step(String)
  }

  /// The name for options by model and in messages.
  public var label: String
  public var place: Place
  /// The checksum that the recipe has of it; see ``MergeRecipe``.
  public var fingerprint: JSONValue?

  public init(label: String, place: Place, fingerprint: JSONValue? = nil) {
    self.label = label
    self.place = place
    self.fingerprint = fingerprint
  }

  /// Weights at a path, called by it.
  public init(path: String) { self.init(label: path, place: .path(path, revision: nil)) }

  /// `label`, and `path` with `revision`, or `step`.
  public var json: JSONValue {
    var members: [String: JSONValue] = ["label": .string(label)]
    switch place {
    case .path(let path, let revision):
      members["path"] = .string(path)
      members["revision"] = revision.map(JSONValue.string)
    case .step(let name): members["step"] = .string(name)
    }
    return .object(members)
  }
}
