import DFMergeCAPI
import DFMergeCore
import Glibc
import Testing

@Suite struct StatusTests {
  private var message: String? { dfm_last_error_message().map { String(cString: $0) } }

  private func name(_ status: Int32) -> String? {
    dfm_status_name(status).map { String(cString: $0) }
  }

  @Test func failureKeepsCodeAndMessageAndSuccessClearsThem() {
    let failed = guarded { () throws(DFMergeError) in
      throw DFMergeError(.shapeMismatch, "Tensor 'w' is [2], not [3].")
    }
    #expect(failed == 103)
    #expect(message == "Tensor 'w' is [2], not [3].")
    #expect(guarded {} == 0)
    #expect(message == "")
  }

  @Test func successClearsWhatACallFromACallbackLeft() {
    let outer = guarded { () throws(DFMergeError) in
      _ = guarded { () throws(DFMergeError) in throw DFMergeError(.invalidState, "inner") }
      #expect(message == "inner")
    }
    #expect(outer == 0)
    #expect(message == "")
  }

  @Test func failureAlwaysHasAMessage() {
    let failed = guarded { () throws(DFMergeError) in throw DFMergeError(.ioFailure, "") }
    #expect(failed == 200)
    #expect(message == "io_failure (200): ")
    _ = guarded {}
  }

  @Test func zeroByteInAMessageDoesNotCutIt() {
    _ = guarded { () throws(DFMergeError) in
      throw DFMergeError(.invalidFormat, "name 'a\0b' is bad\0")
    }
    #expect(message == "name 'a\\0b' is bad\\0")
    _ = guarded {}
  }

  @Test func messageBelongsToItsThread() {
    _ = guarded { () throws(DFMergeError) in throw DFMergeError(.cancelled, "here") }
    var thread = pthread_t()
    let started = pthread_create(
      &thread, nil,
      { _ in
        let before = dfm_last_error_message().map { String(cString: $0) }
        _ = guarded { () throws(DFMergeError) in throw DFMergeError(.cancelled, "there") }
        let after = dfm_last_error_message().map { String(cString: $0) }
        return UnsafeMutableRawPointer(bitPattern: before == "" && after == "there" ? 1 : 2)
      }, nil)
    #expect(started == 0)
    var answer: UnsafeMutableRawPointer?
    pthread_join(thread, &answer)
    #expect(answer == UnsafeMutableRawPointer(bitPattern: 1))
    #expect(message == "here")
    _ = guarded {}
  }

  @Test func everyCodeHasItsName() {
    #expect(name(0) == "ok")
    #expect(name(-7) == "unknown")
    for (name, code) in DFMergeError.Code.all {
      #expect(self.name(code.rawValue) == name)
      #expect(dfm_status_name(code.rawValue) == dfm_status_name(code.rawValue))
    }
  }

  @Test func versionsAreThoseOfTheLibrary() {
    #expect(dfm_version().map { String(cString: $0) } == DFMergeVersion.string)
    #expect(dfm_abi_version() == DFMergeVersion.abi)
  }
}
