import DFMergeCore

/// The version of the library.
///
/// - Returns: [borrowed] A semantic version such as "1.2.0", valid until the process ends; never
///   null.
@_cdecl("dfm_version")
public func dfm_version() -> UnsafePointer<CChar>? {
  versionText.pointer
}

/// The version of this C interface.
///
/// A program built against this header works with every library that returns the same number as
/// DFM_ABI_VERSION; additions do not change it.
///
/// - Returns: The number in the library's file name, `libdfmerge.so.<number>`.
@_cdecl("dfm_abi_version")
public func dfm_abi_version() -> Int32 {
  DFMergeVersion.abi
}

private let versionText = StaticText(DFMergeVersion.string)
