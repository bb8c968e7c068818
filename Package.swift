// swift-tools-version: 6.1
import PackageDescription

// One module per row of docs/architecture.md. Imports run one way, top to bottom of this list;
// the build is run with `--explicit-target-dependency-import-check error`, so a wrong import fails.
let package = Package(
  name: "dfmerge",
  products: [
    .library(name: "DFMerge", targets: ["DFMerge"]),
    .library(name: "dfmerge", type: .dynamic, targets: ["DFMergeCAPI"]),
  ],
  targets: [
    .target(name: "CDFMergeShims"),
    .target(name: "DFMergeCore"),
    .target(name: "DFMergeKernels", dependencies: ["DFMergeCore", "CDFMergeShims"]),
    .target(name: "DFMergeIO", dependencies: ["DFMergeCore"]),
    .target(name: "DFMergeMethods", dependencies: ["DFMergeCore", "DFMergeKernels"]),
    .target(name: "DFMergeBO", dependencies: ["DFMergeCore"]),
    .target(
      name: "DFMergeEngine",
      dependencies: ["DFMergeCore", "DFMergeKernels", "DFMergeIO", "DFMergeMethods"]),
    .target(
      name: "DFMerge",
      dependencies: [
        "DFMergeCore", "DFMergeKernels", "DFMergeIO", "DFMergeMethods", "DFMergeBO",
        "DFMergeEngine",
      ]),
    .target(
      name: "DFMergeCAPI",
      dependencies: [
        "CDFMergeShims", "DFMergeCore", "DFMergeKernels", "DFMergeIO", "DFMergeMethods",
        "DFMergeBO", "DFMergeEngine", "DFMerge",
      ]),
    .testTarget(name: "DFMergeCoreTests", dependencies: ["DFMergeCore"]),
    .testTarget(
      name: "DFMergeKernelsTests", dependencies: ["DFMergeCore", "DFMergeKernels"]),
    .testTarget(name: "DFMergeIOTests", dependencies: ["DFMergeCore", "DFMergeIO"]),
    .testTarget(name: "DFMergeBOTests", dependencies: ["DFMergeCore", "DFMergeBO"]),
    .testTarget(
      name: "DFMergeMethodsTests",
      dependencies: ["DFMergeCore", "DFMergeKernels", "DFMergeMethods", "DFMergeEngine"]),
    .testTarget(
      name: "DFMergeTests",
      dependencies: ["DFMergeCore", "DFMergeMethods", "DFMergeEngine", "DFMergeIO", "DFMerge"]),
    .testTarget(
      name: "DFMergeCAPITests", dependencies: ["CDFMergeShims", "DFMergeCore", "DFMergeCAPI"]),
  ],
  swiftLanguageModes: [.v6]
)
