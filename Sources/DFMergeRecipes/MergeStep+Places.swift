import DFMergeCore

extension MergeStep {
  /// An error of this step with the line of the file that it is about, where an option is to blame
  /// whose line is known.
  package func located(_ error: DFMergeError) -> DFMergeError {
    guard let option = error.context["option"], let places = optionPlaces[option] else {
      return error
    }
    let model = error.context["model"].flatMap { Int($0) }
    let own = model.flatMap { places.indices.contains($0) ? places[$0] : nil }
    guard let place = own ?? places.first else { return error }
    var context = error.context
    let parts = place.split(separator: ":")
    if let line = parts.last, parts.count > 1 {
      context["path"] = String(place.dropLast(line.utf8.count + 1))
      context["line"] = String(line)
    }
    return DFMergeError(error.code, "\(place): \(error.message)", context: context)
  }
}
