// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "merge-specialists",
  dependencies: [
    // In a package of your own: .package(url: "<address of the repository>", from: "0.1.0").
    // By path, SwiftPM tells packages apart by their folders' names: the repository's may be any but
    // "swift", which is the name of this one's.
    .package(name: "dfmerge", path: "../..")
  ],
  targets: [
    .target(
      name: "Specialists", dependencies: [.product(name: "DFMerge", package: "dfmerge")]),
    .executableTarget(name: "merge-specialists", dependencies: ["Specialists"]),
    .testTarget(
      name: "SpecialistsTests",
      dependencies: ["Specialists", .product(name: "DFMerge", package: "dfmerge")]),
  ],
  swiftLanguageModes: [.v6]
)
