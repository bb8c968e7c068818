import CDFMergeShims
import DFMerge
import DFMergeCore
import Glibc

/// An optimiser behind a handle, for several threads of one process.
///
/// Calls are carried out one after the other, under a POSIX mutex. A child of a fork is refused
/// before it touches the mutex, which another thread of its parent may have held: its copy of the
/// optimiser would know nothing of what the parent is told.
final class OptimizerBox: HandleObject {
  static let handleName = "dfm_optimizer"
  private let study: Study
  private let process = getpid()
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  /// What does not change in a study's life, for any thread.
  let dimension: Int
  let taskCount: Int

  init(_ study: Study) {
    self.study = study
    dimension = study.options.names.count
    taskCount = study.options.objective.taskCount
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    // In a child of a fork it may be held, by a thread that is not there: it is left alone.
    if getpid() == process { pthread_mutex_destroy(mutex) }
    mutex.deallocate()
  }

  /// Runs `body` once no other call on this optimiser is under way.
  func serially<Result>(
    _ body: (Study) throws(DFMergeError) -> Result
  ) throws(DFMergeError) -> Result {
    guard getpid() == process else {
      throw DFMergeError(
        .invalidState,
        "The optimizer belongs to the process that this one was forked from; ask and tell there, "
          + "and hand the points to the workers.")
    }
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(study)
  }

  /// The box behind a handle.
  static func get(_ handle: DFMOptimizerRef?) throws(DFMergeError) -> OptimizerBox {
    try Handle.get(handle, as: OptimizerBox.self, argument: "optimizer")
  }

  /// Scores in C arrays; NaN stands for an unknown variance.
  func scores(
    _ scores: UnsafePointer<Double>?, _ variances: UnsafePointer<Double>?, _ n_tasks: Int64
  ) throws(DFMergeError) -> Scores {
    let number = try count(n_tasks, "n_tasks")
    guard number == taskCount else {
      throw DFMergeError(
        .invalidArgument, "'n_tasks' is \(number); the optimizer has \(taskCount) tasks.",
        context: ["argument": "n_tasks"])
    }
    let values = try items(scores, n_tasks, "scores")
    let known = variances == nil ? [] : try items(variances, n_tasks, "variances")
    return Scores(values, variances: known.map { $0.isNaN ? nil : $0 })
  }

  /// Points in a C array, one after the other.
  func points(
    _ points: UnsafePointer<Double>?, _ n_points: Int64, _ n_parameters: Int64, _ argument: String
  ) throws(DFMergeError) -> [[Double]] {
    guard n_parameters == Int64(dimension) else {
      throw DFMergeError(
        .invalidArgument,
        "'n_parameters' is \(n_parameters); the optimizer has \(dimension) parameters.",
        context: ["argument": "n_parameters"])
    }
    let number = try count(n_points, "n_points")
    let (length, overflow) = number.multipliedReportingOverflow(by: dimension)
    guard !overflow else {
      throw DFMergeError(
        .invalidArgument, "'n_points' is \(number), more than memory can hold.",
        context: ["argument": "n_points"])
    }
    let values = try items(points, Int64(length), argument)
    return (0..<number).map { Array(values[$0 * dimension..<($0 + 1) * dimension]) }
  }
}
