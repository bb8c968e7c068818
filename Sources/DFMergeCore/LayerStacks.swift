/// The stacks of layers that names tell of, and what stands at the same place of each layer.
///
/// A tensor is in a layer where ``TensorName/layer(of:)`` finds one. The layers of a stack are the
/// distinct numbers of all its tensors, in order; tensors of one stack whose names are alike but for
/// that number are the same tensor at different sites.
package struct LayerStacks: Sendable {
  /// A tensor of a layer, seen from its stack.
  package struct Place: Hashable, Sendable {
    /// What the stack's names begin with, such as "encoder.block.".
    package let stack: String
    /// How many layers the stack has, this tensor's name found in all of them or not.
    package let count: Int
    /// Which of them the tensor is in, from 0.
    package let index: Int
    /// Every tensor that is alike but for the layer, itself among them, in the layers' order.
    package let sites: [Site]
  }

  /// One of a stack's tensors that are alike.
  package struct Site: Hashable, Sendable {
    package let name: String
    /// Which of the stack's layers it is in, from 0.
    package let index: Int
  }

  private struct Family: Hashable {
    let stack: String
    /// The name after the number.
    let rest: Substring
  }

  private var indices: [String: [Int: Int]] = [:]
  private var families: [Family: [Site]] = [:]

  /// - Parameter names: of all tensors of a model. Cost: one look at each.
  package init(_ names: [String]) {
    let layers = names.map { TensorName.layer(of: $0) }
    var numbers: [String: Set<Int>] = [:]
    for layer in layers.compactMap({ $0 }) {
      numbers[layer.stack, default: []].insert(layer.number)
    }
    indices = numbers.mapValues { found in
      Dictionary(uniqueKeysWithValues: found.sorted().enumerated().map { ($1, $0) })
    }
    for (name, layer) in zip(names, layers) {
      guard let layer, let index = indices[layer.stack]?[layer.number] else { continue }
      families[LayerStacks.family(name, layer), default: []].append(Site(name: name, index: index))
    }
    families = families.mapValues { sites in
      sites.sorted { ($0.index, $0.name) < ($1.index, $1.name) }
    }
  }

  /// Where the tensor called `name` stands; nil for one outside layers, or that is not there.
  package func place(of name: String) -> Place? {
    guard let layer = TensorName.layer(of: name), let stack = indices[layer.stack],
      let index = stack[layer.number], let sites = families[LayerStacks.family(name, layer)]
    else { return nil }
    return Place(stack: layer.stack, count: stack.count, index: index, sites: sites)
  }

  private static func family(_ name: String, _ layer: TensorName.Layer) -> Family {
    let digits = "0"..."9"
    return Family(
      stack: layer.stack,
      rest: name.dropFirst(layer.stack.count).drop { digits.contains(String($0)) })
  }
}
