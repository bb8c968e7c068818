import DFMergeCore
import DFMergeEngine

/// A search or a merge that runs on a thread of its own, seen from async code.
///
/// Use:  ``Search/start(_:journal:host:)->SearchRun`` and ``Merge/start(to:)`` make one. Look at
/// ``progress`` as far as you like, then await ``result``.
/// Threads:  the work runs on one new thread with every signal blocked, and on those that its
/// merges make and join; no thread of Swift's cooperative pool ever waits for it. When ``result``
/// is there, the work no longer touches the host, the target's memory or the journal.
/// Stopping:  ``cancel()``, a cancelled task that awaits ``result``, or dropping the last reference
/// to the run all stop it at the next tile or before the next call of the host. A call of the host
/// that is under way is waited for; one that is async has its task cancelled.
/// Dropping:  a run that nobody holds stops, finishes by itself and frees what it has. Whoever
/// drops it without awaiting ``result`` cannot know when: keep the target's memory alive by an
/// owner.
/// Cost:  one thread with a stack of 8 MiB of address space; for an async host one task per call.
public final class BackgroundRun<Value: Sendable, Failure: Error>: Sendable {
  private let control: RunControl
  private let outcome: RunOutcome<Value, Failure>
  private let events: AsyncStream<ProgressEvent>

  /// Starts the thread.
  /// - Parameters:
  ///   - refused: the failure that stands for a thread that the system does not give.
  ///   - work: called once on the new thread, and freed before the outcome is known.
  init(
    refused: (DFMergeError) -> Failure,
    work: sending @escaping (RunControl) -> Result<Value, Failure>
  ) {
    let (events, continuation) = AsyncStream.makeStream(
      of: ProgressEvent.self, bufferingPolicy: .bufferingNewest(RunControl.bufferedEvents))
    let control = RunControl(events: continuation)
    let outcome = RunOutcome<Value, Failure>()
    self.control = control
    self.outcome = outcome
    self.events = events
    let refusal = RunThread.start(
      { work(control) },
      then: { result in
        // In this order: who has read all events finds the result there without waiting.
        outcome.set(result)
        continuation.finish()
      })
    if let refusal {
      outcome.set(.failure(refused(refusal)))
      continuation.finish()
    }
  }

  deinit { control.cancel() }

  /// What the run says of itself, in the order in which it happened.
  ///
  /// It ends when the run does, for whatever reason; ``result`` has the error then. Events wait for
  /// their reader up to a number of 256; beyond that the oldest are dropped, so that a slow
  /// reader neither holds up the work nor costs memory; the result has every trial. It is for one
  /// reader: two share the events between them. Iterating it keeps the run alive.
  public var progress: Progress { Progress(run: self, events: events) }

  /// What came of the run, awaited without holding a thread. It may be read often, by several
  /// tasks.
  ///
  /// A task that is cancelled while it waits stops the run, and still waits for its end.
  /// - Throws: what the call made on its own would throw, `.cancelled` for a run that was stopped,
  ///   `.threadFailure` where the system gave no thread, what an ``AsyncSearchHost`` throws.
  public var result: Value {
    get async throws(Failure) {
      let found = await withTaskCancellationHandler {
        await outcome.value()
      } onCancel: {
        control.cancel()
      }
      return try found.get()
    }
  }

  /// Stops the run at the next tile or before the next call of the host; returns at once. Does
  /// nothing to a run that is over.
  public func cancel() { control.cancel() }

  /// The events of a run, see ``BackgroundRun/progress``.
  public struct Progress: AsyncSequence, Sendable {
    public typealias Element = ProgressEvent
    public typealias Failure = Never

    let run: BackgroundRun
    let events: AsyncStream<ProgressEvent>

    public func makeAsyncIterator() -> Iterator {
      Iterator(run: run, base: events.makeAsyncIterator())
    }

    /// Reads the events one after the other.
    public struct Iterator: AsyncIteratorProtocol {
      /// Held, so that a run that is only looked at is not taken for dropped.
      let run: BackgroundRun
      var base: AsyncStream<ProgressEvent>.Iterator

      /// The next event; nil when the run is over or the reading task is cancelled.
      public mutating func next() async -> ProgressEvent? { await next(isolation: nil) }

      /// The next event, as ``next()``, without leaving the caller's actor.
      public mutating func next(isolation actor: isolated (any Actor)?) async -> ProgressEvent? {
        await base.next(isolation: actor)
      }
    }
  }
}

/// A search in the background whose host is synchronous: only the library's own errors can end it.
public typealias SearchRun = BackgroundRun<SearchResult, DFMergeError>

/// A search in the background whose host is async: ends also with whatever the host throws.
public typealias AsyncSearchRun = BackgroundRun<SearchResult, any Error>

/// A merge in the background.
public typealias MergeRun = BackgroundRun<MergeReport, DFMergeError>
