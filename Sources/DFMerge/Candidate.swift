import DFMergeCore

/// What is merged in one trial.
public struct Candidate: Sendable, Equatable {
  /// One per model and group of tensors, all groups of the first model first: the coefficient of
  /// model m in group g of G is number m G + g. Without groups, one per model in their order. In a
  /// search of another method's options, its parameters stand in place of the models.
  public let coefficients: [Double]
  /// Power of the Fisher weights.
  public let exponent: Double

  public init(coefficients: [Double], exponent: Double) {
    self.coefficients = coefficients
    self.exponent = exponent
  }
}

/// A candidate as a caller writes it.
///
/// Forms: `{"coefficients": [...], "exponent": p}` with one number per model or one per model and
/// group; `coefficients` may be an object by model, of numbers (for all groups) or of objects by
/// group; without `coefficients`, the members other than `exponent` are the models'.
struct CandidateText {
  /// The models, or another method's parameters.
  let parameters: [String]
  let groups: [String]
  /// The exponent that every candidate of the search has; nil where it is searched.
  let exponent: Double?

  /// - Parameters:
  ///   - value: the candidate.
  ///   - own: members that belong to something else than the candidate.
  /// - Returns: what is meant, or a sentence on what is wrong.
  func candidate(
    _ value: JSONValue, besides own: Set<String> = []
  ) -> (candidate: Candidate?, problem: String) {
    guard let members = value.objectValue else { return (nil, "is not an object") }
    var named = members.filter { $0.key != "exponent" && !own.contains($0.key) }
    if let given = members["coefficients"], given.doubleValue == nil {
      guard named.count == 1 else {
        let others = named.keys.sorted().filter { $0 != "coefficients" }
        return (nil, "has the unknown members \(others.joined(separator: ", "))")
      }
      if let list = given.arrayValue { return checked(list, members["exponent"]) }
      named = given.objectValue ?? [:]
    }
    guard Set(named.keys) == Set(parameters) else {
      return (
        nil,
        "has coefficients for [\(named.keys.sorted().joined(separator: ", "))]; it takes those of "
          + parameters.joined(separator: ", ")
      )
    }
    var list: [JSONValue] = []
    for model in parameters {
      guard let byGroup = named[model]?.objectValue else {
        list += groups.map { _ in named[model] ?? .null }
        continue
      }
      guard Set(byGroup.keys) == Set(groups) else {
        return (
          nil,
          "has coefficients of '\(model)' for the groups "
            + "[\(byGroup.keys.sorted().joined(separator: ", "))]; they are "
            + groups.joined(separator: ", ")
        )
      }
      list += groups.map { byGroup[$0] ?? .null }
    }
    return checked(list, members["exponent"])
  }

  private func checked(
    _ list: [JSONValue], _ given: JSONValue?
  ) -> (candidate: Candidate?, problem: String) {
    var numbers = list.compactMap(\.doubleValue).filter(\.isFinite)
    guard numbers.count == list.count else {
      return (nil, "has a coefficient that is not a finite number")
    }
    if numbers.count == parameters.count {
      numbers = numbers.flatMap { number in groups.map { _ in number } }
    }
    guard numbers.count == parameters.count * groups.count else {
      let count = parameters.count * groups.count
      return (
        nil,
        "has \(numbers.count) coefficients; it takes \(parameters.count)"
          + (groups.count > 1 ? ", or \(count), one per parameter and group" : "")
      )
    }
    if let given, given != .null {
      guard let number = given.doubleValue, (0...1).contains(number) else {
        return (nil, "has an exponent that is no number from 0 to 1")
      }
      return (Candidate(coefficients: numbers, exponent: number), "")
    }
    guard let exponent else {
      return (
        nil,
        "has no exponent, which is searched here; give one from 0 (task arithmetic) to 1 (the "
          + "paper)"
      )
    }
    return (Candidate(coefficients: numbers, exponent: exponent), "")
  }
}
