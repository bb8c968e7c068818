/// Which library this is: the one place that the version numbers are written down.
///
/// The build script, the C header and the Python package read them from here.
public enum DFMergeVersion {
  /// The semantic version of the library.
  public static let string = "0.1.0"
  /// The version of the C interface, which is also the number in `libdfmerge.so.1`. Additions keep
  /// it; a removal, a renumbering or a change of meaning raises it.
  public static let abi: Int32 = 1
}
