import DFMergeCore
import DFMergeKernels

/// A way to merge models, given one aligned tile at a time.
///
/// To add a method: one file with a type that conforms to this protocol, one line in
/// ``MethodRegistry``, one test. Nothing else changes: the C API, the bindings, the option checks
/// and the listings read `info`.
///
/// What a tile cannot show, a method asks for before: `statistics` are sums and order statistics
/// over tensors or models, each found by one pass or a few over the inputs. `unit` is for what no
/// statistic can carry, such as a factorisation: then tiles are whole rows or whole tensors.
package protocol MergeMethod: Sendable {
  /// What the method is, takes and needs.
  static var info: MethodInfo { get }

  /// Makes the method from options that have been checked against `info.options`.
  init(options: OptionValues, modelCount: Int) throws(DFMergeError)

  /// What is read and written beside the merged tensors, and whether these options suit these models.
  /// Asked once, before anything is read.
  /// - Parameter options: checked; those that vary by tensor have their defaults.
  static func sideTensors(
    _ options: OptionValues, models: [any WeightSource]
  ) throws(DFMergeError) -> SideTensors

  /// The vectors that ``SideTensors/numbersWritten`` lists, in its order.
  /// - Parameter statistics: those of a tensor; empty where none is merged.
  func numbers(_ statistics: [ModelStatistic: [Double]]) -> [[Double]]

  /// What `merge` reads from `InputTile.statistics`. They are found in this order, and those before
  /// are in the tiles from which the next is found. Of the same kinds in the same places for any
  /// options, of which some may ask for less.
  var statistics: [ModelStatistic] { get }

  /// What a tile of a tensor of this shape is at least.
  func unit(of shape: Shape) -> TileUnit

  /// The same for a tensor of this name, for methods that go by names too; by default ``unit(of:)``.
  func unit(of shape: Shape, named name: String) -> TileUnit

  /// How the tensor that `outline` describes is made. Asked before anything is read, and again with
  /// the same answer; `merge` relies on the shapes of its tile, for options by layer see all
  /// outputs here and the merged ones there. Elementwise unless the method says otherwise.
  /// - Throws: for options that cannot be carried out; shapes that do not fit are `.refused`.
  func assembly(of outline: TensorOutline) throws(DFMergeError) -> TensorAssembly

  /// The memory that a call for a tile of `count` elements of a tensor of `shape` takes.
  func memory(count: Int, shape: Shape) -> TileMemory

  /// The same for a tensor of this name; by default ``memory(count:shape:)``.
  func memory(count: Int, shape: Shape, named name: String) -> TileMemory

  /// Writes `tile.out`. A pure function of the tile: no input or output, no threads, and the same
  /// bits for any way of cutting a tensor into tiles that are its units. Returns what its kernels
  /// noticed.
  func merge(_ tile: MergeTile) throws(DFMergeError) -> StoreOutcome

  /// What the tile adds to the sums of `request`: `request.count` numbers, a pure function of the
  /// tile. Tiles that are not whole units are 65,536 elements long but for the last of a tensor, so
  /// that the order of the additions is fixed.
  func sums(_ tile: InputTile, _ request: SumsRequest) throws(DFMergeError) -> [Double]

  /// Whether sums of whole units leave something in `InputTile.kept` of a tensor of this shape and
  /// name, so that `merge` need not compute it again. Where the memory is not there, `kept` is nil,
  /// and `merge` must give the same bits without.
  func keeps(_ shape: Shape, named name: String) -> Bool

  /// Numbers for the report and the recipe of a merge, by name.
  /// - Parameter statistics: those of the whole models.
  func reported(_ statistics: [ModelStatistic: [Double]]) -> [String: Double]

  /// What each tensor gets of the sums of `request`, which has the scope `tensor`: what was summed
  /// over it, or numbers that come of comparing it with the others.
  /// - Parameter tensors: in the order of their names; those that the request was made for.
  /// - Returns: as many lists of numbers, which are then in the tiles' statistics.
  func figures(_ request: SumsRequest, of tensors: [TensorSums]) -> [[Double]]

  /// Writes the `tile.count` values of list `index` of `request`, among which selections find those
  /// of their ranks; see ``RankRequest/values``. Of any sign; infinities are ordered, NaN is refused
  /// unless it is allowed, and
  /// then ranks below all.
  func rankedValues(
    _ tile: InputTile, _ request: RankRequest, index: Int,
    into values: UnsafeMutablePointer<Double>
  ) throws(DFMergeError)

  /// The rank of the value that selection number `index` finds, 1 the largest, among `count` values.
  /// At 0 or less the result is infinite, above `count` it is minus infinity.
  /// - Parameter statistics: those before the request, of this tensor.
  func rank(
    _ request: RankRequest, index: Int, count: Int, statistics: [ModelStatistic: [Double]]
  ) -> Int
}

extension MergeMethod {
  package static func sideTensors(
    _ options: OptionValues, models: [any WeightSource]
  ) throws(DFMergeError) -> SideTensors { SideTensors() }
  package func numbers(_ statistics: [ModelStatistic: [Double]]) -> [[Double]] { [] }
  package var statistics: [ModelStatistic] { [] }
  package func unit(of shape: Shape) -> TileUnit { .elements }
  package func unit(of shape: Shape, named name: String) -> TileUnit { unit(of: shape) }
  package func memory(count: Int, shape: Shape) -> TileMemory { TileMemory() }
  package func memory(count: Int, shape: Shape, named name: String) -> TileMemory {
    memory(count: count, shape: shape)
  }
  package func assembly(of outline: TensorOutline) throws(DFMergeError) -> TensorAssembly {
    .elementwise
  }
  package func sums(_ tile: InputTile, _ request: SumsRequest) throws(DFMergeError) -> [Double] {
    [Double](repeating: 0, count: request.count)
  }
  package func keeps(_ shape: Shape, named name: String) -> Bool { false }
  package func reported(_ statistics: [ModelStatistic: [Double]]) -> [String: Double] { [:] }
  package func figures(_ request: SumsRequest, of tensors: [TensorSums]) -> [[Double]] {
    tensors.map(\.sums)
  }
  package func rankedValues(
    _ tile: InputTile, _ request: RankRequest, index: Int,
    into values: UnsafeMutablePointer<Double>
  ) throws(DFMergeError) {
    values.update(repeating: 0, count: tile.count)
  }
  package func rank(
    _ request: RankRequest, index: Int, count: Int, statistics: [ModelStatistic: [Double]]
  ) -> Int { 1 }
}

/// The smallest run of elements that a method can work on.
package enum TileUnit: Hashable, Sendable {
  /// Any run.
  case elements
  /// Whole rows: runs along the last axis. A vector is one row, a scalar too.
  case rows
  /// The whole tensor.
  case tensor
}

/// The memory of one call of a method.
package struct TileMemory: Hashable, Sendable {
  /// Bytes that the call finds in `InputTile.workspace`.
  package var workspace: Int
  /// Bytes that the call allocates itself and frees before it returns.
  package var heap: Int

  package init(workspace: Int = 0, heap: Int = 0) {
    self.workspace = workspace
    self.heap = heap
  }
}
