// swift-tools-version: 6.2
import PackageDescription

// The loops of the kernels are compiled once more for each of these levels, from the same files,
// and chosen when the program runs. The manifest knows the machine that builds and not the one
// that is built for: DFMERGE_BASELINE_ONLY=1 in the environment leaves the levels out, to compile
// for another architecture.
#if arch(x86_64) && os(Linux)
  let buildsLevels = Context.environment["DFMERGE_BASELINE_ONLY"] != "1"
#else
  let buildsLevels = false
#endif
let levels = buildsLevels ? [("V3", "x86-64-v3"), ("V4", "x86-64-v4")] : []

// No loop may be inlined into a module of another level.
let loopSettings: [SwiftSetting] = [.unsafeFlags(["-disable-cmo"])]

// Without optimisation Eigen takes 50 times as long. The loops of its products choose the CPU level
// for themselves; everything else is for every CPU.
let denseFlags = ["-O2", "-ffp-contract=off", "-fvisibility=hidden"]
let denseDefines = buildsLevels ? ["DFMERGE_CPU_LEVELS"] : []

let levelTargets: [Target] = levels.map { name, cpu in
  .target(
    name: "DFMergeKernels\(name)", dependencies: ["CDFMergeShims"],
    swiftSettings: loopSettings
      + [.unsafeFlags(["-Xcc", "-march=\(cpu)"]), .define("DFMERGE_LONG_STEPS")])
}

// The command-line program is the only part with dependencies, which every user of the library would
// have to resolve and agree with: DFMERGE_COMMAND=1 in the environment puts it in, as the Makefile
// does.
let buildsCommand = Context.environment["DFMERGE_COMMAND"] == "1"
let commandProducts: [Product] = [
  // The library's product has the program's name already; Scripts/build-cli.sh gives it to the file.
  .executable(name: "dfmerge-cli", targets: ["DFMergeCommand"])
]
let commandDependencies: [Package.Dependency] = [
  .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
]
let commandTargets: [Target] = [
  .target(
    name: "DFMergeRecipes",
    dependencies: ["DFMergeCore", .product(name: "Yams", package: "Yams")]),
  .executableTarget(
    name: "DFMergeCommand",
    dependencies: [
      "DFMergeCore", "DFMergeKernels", "DFMergeIO", "DFMergeMethods", "DFMergeBO",
      "DFMergeEngine", "DFMerge",
      "DFMergeRecipes", .product(name: "ArgumentParser", package: "swift-argument-parser"),
    ]),
  .testTarget(name: "DFMergeRecipesTests", dependencies: ["DFMergeCore", "DFMergeRecipes"]),
]

// One module per row of docs/architecture.md. Imports run one way, top to bottom of this list;
// the build is run with `--explicit-target-dependency-import-check error`, so a wrong import fails.
let package = Package(
  name: "dfmerge",
  products: [
    .library(name: "DFMerge", targets: ["DFMerge"]),
    .library(name: "dfmerge", type: .dynamic, targets: ["DFMergeCAPI"]),
  ] + (buildsCommand ? commandProducts : []),
  dependencies: buildsCommand ? commandDependencies : [],
  targets: [
    .target(name: "CDFMergeShims"),
    .target(name: "DFMergeCore"),
    // Before the levels in the alphabet, which is the order of linking.
    .target(
      name: "DFMergeKernelsBaseline", dependencies: ["CDFMergeShims"],
      swiftSettings: loopSettings),
    .target(
      name: "DFMergeKernels",
      dependencies: ["DFMergeCore", "CDFMergeShims", "DFMergeKernelsBaseline"]
        + levelTargets.map { .target(name: $0.name) },
      swiftSettings: buildsLevels ? [.define("DFMERGE_CPU_LEVELS")] : []),
    .systemLibrary(
      name: "CEigen", pkgConfig: "eigen3", providers: [.apt(["libeigen3-dev"]), .brew(["eigen"])]),
    .target(
      name: "CDFMergeDense", dependencies: ["CEigen"],
      // They reach C++, too.
      cSettings: [.unsafeFlags(denseFlags)] + denseDefines.map { .define($0) },
      cxxSettings: [.unsafeFlags(["-fvisibility-inlines-hidden"])]),
    .target(
      name: "DFMergeLinearAlgebra",
      dependencies: ["DFMergeCore", "DFMergeKernels", "CDFMergeDense"]),
    .target(name: "DFMergeIO", dependencies: ["CDFMergeShims", "DFMergeCore"]),
    .target(
      name: "DFMergeMethods",
      dependencies: ["DFMergeCore", "DFMergeKernels", "DFMergeLinearAlgebra"]),
    .target(name: "DFMergeBO", dependencies: ["DFMergeCore"]),
    .target(
      name: "DFMergeEngine",
      dependencies: [
        "CDFMergeShims", "DFMergeCore", "DFMergeKernels", "DFMergeLinearAlgebra", "DFMergeIO",
        "DFMergeMethods",
      ]),
    .target(
      name: "DFMerge",
      dependencies: [
        "CDFMergeShims", "DFMergeCore", "DFMergeKernels", "DFMergeIO", "DFMergeMethods",
        "DFMergeBO", "DFMergeEngine",
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
    .testTarget(
      name: "DFMergeLinearAlgebraTests",
      dependencies: ["DFMergeCore", "DFMergeKernels", "DFMergeLinearAlgebra"]),
    .testTarget(name: "DFMergeIOTests", dependencies: ["DFMergeCore", "DFMergeIO"]),
    .testTarget(name: "DFMergeBOTests", dependencies: ["DFMergeCore", "DFMergeBO"]),
    .testTarget(
      name: "DFMergeMethodsTests",
      dependencies: ["DFMergeCore", "DFMergeKernels", "DFMergeMethods", "DFMergeEngine"]),
    .testTarget(
      name: "DFMergeEngineTests",
      dependencies: [
        "DFMergeCore", "DFMergeKernels", "DFMergeIO", "DFMergeMethods", "DFMergeEngine",
      ]),
    .testTarget(
      name: "DFMergeTests",
      dependencies: ["DFMergeCore", "DFMergeMethods", "DFMergeEngine", "DFMergeIO", "DFMerge"]),
    .testTarget(
      name: "DFMergeCAPITests", dependencies: ["CDFMergeShims", "DFMergeCore", "DFMergeCAPI"]),
  ] + levelTargets + (buildsCommand ? commandTargets : []),
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)
