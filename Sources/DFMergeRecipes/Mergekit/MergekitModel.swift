import DFMergeCore

/// A model as mergekit's files refer to it: `path`, `owner/name`, `owner/name@revision`.
struct MergekitModel: Sendable, Equatable {
  let path: String
  let revision: String?
  /// Where it stands in the file.
  let line: Int

  static func == (a: MergekitModel, b: MergekitModel) -> Bool {
    a.path == b.path && a.revision == b.revision
  }

  /// As it was written: the name for options by model.
  var label: String { revision.map { "\(path)@\($0)" } ?? path }

  /// Reads the text form, or the mapping `{model: {path, revision}}`.
  /// - Throws: `.unsupported` for adapters and another architecture, `.invalidFormat`.
  init(_ node: YAMLNode, place: RecipeFileName) throws(DFMergeError) {
    let here = place(node.line)
    if let text = node.text {
      guard !text.contains("+") else { throw here.adapter(text) }
      let parts = text.split(separator: "@", omittingEmptySubsequences: false)
      guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty }), let first = parts.first else {
        throw here.invalid(
          "\"\(text)\" is no model; write a path, owner/name or owner/name@revision")
      }
      path = String(first)
      revision = parts.count == 2 ? String(parts[1]) : nil
      line = node.line
      return
    }
    guard let members = node.members else {
      throw here.invalid("the model is \(node.shown); write a path, or owner/name of the hub")
    }
    for member in members where !member.value.isNull {
      switch member.key {
      case "model": break
      case "lora": throw place(member.line).adapter("lora")
      case "override_architecture":
        throw place(member.line).unsupported(
          "'override_architecture' is not supported, and not needed: tensors are matched by name. "
            + "Take it out")
      default:
        throw place(member.line).unknown("'\(member.key)' in a model", known: ["model"])
      }
    }
    guard let inner = node["model"] else {
      throw here.invalid("the model has no 'model'; write a path, or owner/name of the hub")
    }
    guard let parts = inner.members else {
      self = try MergekitModel(inner, place: place)
      return
    }
    for member in parts where member.key != "path" && member.key != "revision" {
      throw place(member.line).unknown("'\(member.key)' in a model", known: ["path", "revision"])
    }
    guard let path = inner["path"]?.text else {
      throw place(inner.line).invalid(
        "the model has no 'path'; write one, or owner/name of the hub")
    }
    self.path = path
    revision = inner["revision"]?.text
    line = node.line
  }
}

extension RecipePlace {
  fileprivate func adapter(_ what: String) -> DFMergeError {
    unsupported(
      "\"\(what)\" is an adapter on a model, which is not merged here. Merge it into its model first "
        + "(peft: merge_and_unload, then save_pretrained) and name that folder")
  }
}
