import CDFMergeShims
import DFMergeCAPI
import DFMergeCore
import Glibc
import Testing

/// A handle that the tasks of a test share.
private struct SharedHandle: @unchecked Sendable {
  // Sendable: a handle is a number, and the optimizer behind it takes any number of threads.
  let pointer: OpaquePointer?
}

@Suite struct OptimizerTests {
  private static let options =
    #"{"parameters":[{"name":"x","low":-1,"high":1},{"name":"y","low":0,"high":4}],"initial":4}"#

  private func make(_ options: String = OptimizerTests.options) -> SharedHandle {
    var handle: OpaquePointer?
    #expect(dfm_optimizer_create(options, nil, &handle) == 0)
    return SharedHandle(pointer: handle)
  }

  private func message() -> String { String(cString: dfm_last_error_message()!) }

  private func text(_ read: (UnsafeMutablePointer<OpaquePointer?>) -> dfm_status) -> String {
    var out: OpaquePointer?
    #expect(read(&out) == 0)
    defer { dfm_text_free(out) }
    return String(cString: dfm_text_data(out)!)
  }

  @Test func askAndTellInParameterUnits() throws {
    let optimizer = make().pointer
    for _ in 0..<12 {
      var points = [Double](repeating: .nan, count: 4)
      var numbers = [Int64](repeating: -1, count: 2)
      #expect(dfm_optimizer_ask(optimizer, 2, &points, &numbers) == 0)
      for (index, number) in numbers.enumerated() {
        let (x, y) = (points[2 * index], points[2 * index + 1])
        #expect((-1...1).contains(x) && (0...4).contains(y))
        var score = 1 - x * x - (y - 1) * (y - 1)
        #expect(dfm_optimizer_tell(optimizer, number, &score, nil, 1) == 0)
      }
    }
    var point = [0.0, 1.0]
    var (mean, sd) = (Double.nan, Double.nan)
    #expect(dfm_optimizer_predict(optimizer, &point, 1, 2, &mean, &sd) == 0)
    #expect(abs(mean - 1) < 0.05 && sd < 0.1)
    let best = try JSONValue(parsing: text { dfm_optimizer_best(optimizer, $0) }.utf8, what: "best")
    #expect((best["value"]?.doubleValue ?? 0) > 0.98)
    #expect(text { dfm_optimizer_stop_reason(optimizer, $0) } == "")
    let all = try JSONValue(
      parsing: text { dfm_optimizer_result(optimizer, $0) }.utf8, what: "result")
    #expect(all["trials"]?.arrayValue?.count == 24 && all["slices"]?.arrayValue?.count == 2)
    dfm_optimizer_free(optimizer)
    #expect(dfm_optimizer_withdraw(optimizer, 0) == Int32(DFM_ERROR_WRONG_HANDLE))
  }

  @Test func queueObserveWithdrawAndFail() throws {
    let optimizer = make().pointer
    defer { dfm_optimizer_free(optimizer) }
    var queued = [0.5, 3, -0.5, 1]
    #expect(dfm_optimizer_enqueue(optimizer, &queued, 2, 2, 0) == 0)
    var (score, variance) = (0.5, 0.01)
    var number: Int64 = -1
    var known = [0.0, 2.0]
    #expect(dfm_optimizer_observe(optimizer, &known, 2, &score, &variance, 1, &number) == 0)
    #expect(number == 0)
    var points = [Double](repeating: 0, count: 4)
    var numbers: [Int64] = [0, 0]
    #expect(dfm_optimizer_ask(optimizer, 2, &points, &numbers) == 0)
    #expect(points == queued && numbers == [1, 2])
    #expect(dfm_optimizer_tell_failed(optimizer, 1, "out of memory") == 0)
    #expect(dfm_optimizer_withdraw(optimizer, 2) == 0)
    let all = text { dfm_optimizer_trials(optimizer, $0) }
    #expect(all.contains("out of memory") && all.contains("withdrawn"))
    // A queued point that was withdrawn comes first.
    #expect(dfm_optimizer_ask(optimizer, 1, &points, &numbers) == 0)
    #expect(Array(points[..<2]) == [-0.5, 1])
  }

  @Test func wrongArgumentsAreNamed() {
    let optimizer = make().pointer
    defer { dfm_optimizer_free(optimizer) }
    var (number, score) = (Int64(0), 1.0)
    var point = [0.0, 9.0]
    var points = [0.0, 0.0]
    let invalid = Int32(DFM_ERROR_INVALID_ARGUMENT)
    #expect(dfm_optimizer_ask(optimizer, 0, &points, &number) == invalid)
    #expect(dfm_optimizer_ask(optimizer, -3, &points, &number) == invalid)
    #expect(message().contains("'n'"))
    #expect(dfm_optimizer_ask(optimizer, 1, nil, &number) == Int32(DFM_ERROR_NULL_POINTER))
    #expect(dfm_optimizer_tell(optimizer, 0, &score, nil, 1) == invalid)
    #expect(dfm_optimizer_ask(optimizer, 1, &points, &number) == 0)
    #expect(dfm_optimizer_tell(optimizer, 0, &score, nil, 2) == invalid)
    #expect(message().contains("n_tasks"))
    #expect(dfm_optimizer_tell(optimizer, 0, nil, nil, 1) == Int32(DFM_ERROR_NULL_POINTER))
    var variance = -1.0
    #expect(dfm_optimizer_tell(optimizer, 0, &score, &variance, 1) == invalid)
    #expect(dfm_optimizer_enqueue(optimizer, &point, 1, 2, 0) == invalid)
    #expect(message().contains("y = 9"))
    #expect(dfm_optimizer_enqueue(optimizer, &point, 1, 3, 0) == invalid)
    #expect(dfm_optimizer_enqueue(optimizer, &point, Int64.max, 2, 0) == invalid)
    var worth: Int32 = 0
    #expect(
      dfm_optimizer_tell_subset(optimizer, 0, &score, 1, &worth) == Int32(DFM_ERROR_INVALID_STATE))
    var out: OpaquePointer?
    #expect(dfm_optimizer_create(nil, nil, &out) == Int32(DFM_ERROR_NULL_POINTER))
    #expect(dfm_optimizer_create("{}", nil, &out) == Int32(DFM_ERROR_INVALID_OPTION))
    #expect(out == nil)
  }

  @Test func firstStagesAreToldByOption() {
    let optimizer = make(
      #"{"parameters":[{"name":"x","low":0,"high":1}],"subset_share":0.5}"#
    ).pointer
    defer { dfm_optimizer_free(optimizer) }
    var (number, point, score) = (Int64(0), 0.0, 0.5)
    #expect(dfm_optimizer_ask(optimizer, 1, &point, &number) == 0)
    var worth: Int32 = -1
    #expect(dfm_optimizer_tell_subset(optimizer, number, &score, 1, &worth) == 0)
    #expect(worth == 1)
    #expect(dfm_optimizer_tell(optimizer, number, &score, nil, 1) == 0)
  }

  @Test func threadsTakeTurns() async throws {
    let optimizer = make()
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<4 {
        group.addTask {
          var isFine = true
          for _ in 0..<6 {
            var number: Int64 = -1
            var point = [0.0, 0.0]
            isFine = isFine && dfm_optimizer_ask(optimizer.pointer, 1, &point, &number) == 0
            var score = -point[0] * point[0] - point[1]
            isFine =
              isFine && dfm_optimizer_tell(optimizer.pointer, number, &score, nil, 1) == 0
          }
          return isFine
        }
      }
      for await isFine in group { #expect(isFine) }
    }
    let all = try JSONValue(
      parsing: text { dfm_optimizer_trials(optimizer.pointer, $0) }.utf8, what: "trials")
    #expect(all["trials"]?.arrayValue?.count == 24)
    dfm_optimizer_free(optimizer.pointer)
  }
}
