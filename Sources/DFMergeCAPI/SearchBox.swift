import CDFMergeShims
import DFMerge
import DFMergeCore
import Synchronization

/// A search behind a handle, with the callbacks that its host has set.
final class SearchBox: HandleObject {
  static let handleName = "dfm_search"
  let search: Search
  let host: CallbackHost
  var result: SearchResult?
  /// Raised while callbacks run, because the handle must not be used from inside one. Atomic, so
  /// that a second thread is refused as well.
  private let isRunning = Atomic<Bool>(false)

  init(_ search: Search) {
    self.search = search
    host = CallbackHost(tasks: search.options.tasks.count)
  }

  /// - Throws: `.invalidState` for a search without a first stage.
  func setSubset(
    _ callback: @escaping dfm_evaluate_fn, _ user: UnsafeMutableRawPointer?
  ) throws(DFMergeError) {
    guard search.options.subsetShare != nil else {
      throw DFMergeError(
        .invalidState,
        "The search has no first stage on a subset; make it with the option subset_share, or do "
          + "not set this callback.")
    }
    host.subsetCallback = (callback, user)
  }

  /// Runs `body` unless a run of this search is under way.
  func exclusively(_ body: () throws(DFMergeError) -> Void) throws(DFMergeError) {
    guard !isRunning.exchange(true, ordering: .acquiring) else {
      throw DFMergeError(
        .invalidState, "The search is running; this call is not for use inside its callbacks.")
    }
    defer { isRunning.store(false, ordering: .releasing) }
    try body()
  }
}

/// Fisher values behind the handle of a callback.
final class FisherBox: HandleObject {
  static let handleName = "dfm_fisher"
  let request: FisherRequest
  init(_ request: FisherRequest) { self.request = request }
}

/// Carries a search's questions to C function pointers.
final class CallbackHost: SearchHost {
  var evaluateCallback: (dfm_evaluate_fn, UnsafeMutableRawPointer?)?
  var subsetCallback: (dfm_evaluate_fn, UnsafeMutableRawPointer?)?
  var fisherCallback: (dfm_fisher_fn, UnsafeMutableRawPointer?)?
  var progressCallback: (dfm_progress_fn, UnsafeMutableRawPointer?)?
  private let tasks: Int
  /// What an evaluation writes: `tasks` scores, then as many variances. Kept from trial to trial; a
  /// search has one evaluation under way at a time.
  private let answers: UnsafeMutablePointer<Double>

  init(tasks: Int) {
    self.tasks = tasks
    answers = .allocate(capacity: 2 * tasks)
    answers.initialize(repeating: .nan, count: 2 * tasks)
  }

  deinit { answers.deallocate() }

  func evaluate(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    guard let (callback, user) = evaluateCallback else {
      throw DFMergeError(
        .invalidState, "The search has no evaluation callback; call dfm_search_set_evaluate.")
    }
    return try scores(of: trial, callback, user, "evaluation")
  }

  func evaluateSubset(_ trial: TrialRequest) throws(DFMergeError) -> Evaluation {
    guard let (callback, user) = subsetCallback else {
      throw DFMergeError(
        .invalidState,
        "The search has the option subset_share but no callback for the subset; call "
          + "dfm_search_set_evaluate_subset.")
    }
    return try scores(of: trial, callback, user, "subset evaluation")
  }

  private func scores(
    of trial: TrialRequest, _ callback: dfm_evaluate_fn, _ user: UnsafeMutableRawPointer?,
    _ which: String
  ) throws(DFMergeError) -> Evaluation {
    answers.update(repeating: .nan, count: 2 * tasks)
    let variances = answers + tasks
    let answer = callback(
      user, Int64(trial.number), trial.coefficients, Int64(trial.coefficients.count), answers,
      variances, Int64(tasks))
    switch answer {
    case Int32(DFM_CALLBACK_OK):
      return .scores(
        Array(UnsafeBufferPointer(start: answers, count: tasks)),
        variances: Array(UnsafeBufferPointer(start: variances, count: tasks)))
    case Int32(DFM_CALLBACK_TRIAL_FAILED): return .failed
    default:
      throw CallbackHost.stop(which, answer)
    }
  }

  func measureFisher(_ request: FisherRequest) throws(DFMergeError) {
    guard let (callback, user) = fisherCallback else {
      throw DFMergeError(
        .invalidState,
        "The search needs Fisher values but has no Fisher callback; call dfm_search_set_fisher, "
          + "or set "
          + "the option fisher to 'none'.")
    }
    let handle = Handle.make(FisherBox(request))
    // The values belong to the callback: a handle kept beyond it is refused, not followed.
    defer { Handle.free(handle, as: FisherBox.self) }
    let answer = callback(user, Int64(request.model), request.coefficient, handle)
    guard answer == Int32(DFM_CALLBACK_OK) else { throw CallbackHost.stop("Fisher", answer) }
  }

  func progress(_ event: ProgressEvent) throws(DFMergeError) -> Bool {
    guard let (callback, user) = progressCallback else { return true }
    let answer = event.phase.rawValue.withCString {
      callback(user, $0, Int64(event.done), Int64(event.total), event.best ?? .nan)
    }
    guard answer == Int32(DFM_CALLBACK_OK) else { throw CallbackHost.stop("progress", answer) }
    return true
  }

  private static func stop(_ which: String, _ answer: Int32) -> DFMergeError {
    DFMergeError(
      .callbackFailed, "The \(which) callback returned \(answer), which stops the run.",
      context: ["callback": which])
  }
}
