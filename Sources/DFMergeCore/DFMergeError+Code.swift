extension DFMergeError {
  /// A status number. Numbers are pinned for ever and grouped by hundreds: 1xx argument, 2xx input
  /// and output, 3xx file format, 4xx numerical, 5xx resource, 6xx stopped, 9xx internal. A reader
  /// that meets a number it does not know acts on the hundred.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// An argument has a value that the call does not take.
    public static let invalidArgument = Code(rawValue: 100)
    /// A pointer that must not be null is null.
    public static let nullPointer = Code(rawValue: 101)
    /// A handle of another kind, or one already freed.
    public static let wrongHandle = Code(rawValue: 102)
    /// Two tensors of one name differ in shape.
    public static let shapeMismatch = Code(rawValue: 103)
    /// A tensor has an element type that cannot be used here.
    public static let dtypeMismatch = Code(rawValue: 104)
    /// A tensor that is needed does not exist.
    public static let missingTensor = Code(rawValue: 105)
    /// A name (method, option, preset) that is not known.
    public static let unknownName = Code(rawValue: 106)
    /// An option has a wrong type or is outside its range.
    public static let invalidOption = Code(rawValue: 107)
    /// The object is not in the state that the call needs.
    public static let invalidState = Code(rawValue: 108)
    /// Reading, writing or mapping a file failed.
    public static let ioFailure = Code(rawValue: 200)
    /// The file or folder does not exist.
    public static let fileNotFound = Code(rawValue: 201)
    /// Another process holds the file.
    public static let fileLocked = Code(rawValue: 202)
    /// A weights file breaks the rules of its format.
    public static let invalidFormat = Code(rawValue: 300)
    /// A text is not the JSON that is expected.
    public static let invalidJSON = Code(rawValue: 301)
    /// A journal line other than the last is damaged.
    public static let journalDamaged = Code(rawValue: 302)
    /// A journal belongs to another search.
    public static let journalMismatch = Code(rawValue: 303)
    /// A valid file uses something that is not supported.
    public static let unsupported = Code(rawValue: 304)
    /// A NaN or an infinity where a finite number is needed.
    public static let nonFinite = Code(rawValue: 400)
    /// A matrix that must be positive definite is not.
    public static let notPositiveDefinite = Code(rawValue: 401)
    /// Every trial of a search failed.
    public static let allTrialsFailed = Code(rawValue: 402)
    /// Memory could not be had.
    public static let outOfMemory = Code(rawValue: 500)
    /// A thread could not be started.
    public static let threadFailure = Code(rawValue: 501)
    /// The host asked to stop.
    public static let cancelled = Code(rawValue: 600)
    /// A callback of the host reported failure.
    public static let callbackFailed = Code(rawValue: 601)
    /// A broken promise inside the library: please report it.
    public static let internalError = Code(rawValue: 900)

    /// Every code with its name, in numerical order: the source of the C header's constants.
    public static let all: [(name: String, code: Code)] = [
      ("invalid_argument", .invalidArgument), ("null_pointer", .nullPointer),
      ("wrong_handle", .wrongHandle), ("shape_mismatch", .shapeMismatch),
      ("dtype_mismatch", .dtypeMismatch), ("missing_tensor", .missingTensor),
      ("unknown_name", .unknownName), ("invalid_option", .invalidOption),
      ("invalid_state", .invalidState), ("io_failure", .ioFailure),
      ("file_not_found", .fileNotFound), ("file_locked", .fileLocked),
      ("invalid_format", .invalidFormat), ("invalid_json", .invalidJSON),
      ("journal_damaged", .journalDamaged), ("journal_mismatch", .journalMismatch),
      ("unsupported", .unsupported), ("non_finite", .nonFinite),
      ("not_positive_definite", .notPositiveDefinite),
      ("all_trials_failed", .allTrialsFailed), ("out_of_memory", .outOfMemory),
      ("thread_failure", .threadFailure), ("cancelled", .cancelled),
      ("callback_failed", .callbackFailed), ("internal_error", .internalError),
    ]

    /// The snake-case name, for example `"shape_mismatch"`; `"unknown"` for a foreign number.
    public var name: String { Code.all.first { $0.code == self }?.name ?? "unknown" }
  }
}
