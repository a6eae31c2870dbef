// swift-tools-version: 6.2

import PackageDescription

/// The fuzzers, apart from the tool: ordinary builds do not see them. `make fuzz` builds them with AddressSanitizer and the
/// instrumentation of libFuzzer in every module, and links libFuzzer, which lies in the toolchain.
let package = Package(
  name: "fuzzing",
  dependencies: [
    .package(name: "staticcall", path: ".."),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
  ],
  targets: [
    .target(
      name: "FuzzSupport",
      dependencies: [
        .product(name: "StaticCallLibraries", package: "staticcall"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6)]),
    .executableTarget(name: "fuzz-verify", dependencies: ["FuzzSupport"], swiftSettings: [.swiftLanguageMode(.v6)]),
    .executableTarget(name: "fuzz-annotate", dependencies: ["FuzzSupport"], swiftSettings: [.swiftLanguageMode(.v6)]),
  ]
)
