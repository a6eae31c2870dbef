// swift-tools-version: 6.2

import PackageDescription

/// One set of rules for every target: Swift 6, unsafe code marked where it stands, no warnings.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "staticcall",
  products: [
    .executable(name: "staticcall", targets: ["staticcall"]),
    .library(name: "StaticCallRuntime", targets: ["StaticCallRuntime"]),
    // For the package in Fuzzing.
    .library(name: "StaticCallLibraries", targets: ["Reports", "StaticCalls"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CLibelf", pkgConfig: "libelf", providers: [.apt(["libelf-dev"])]),
    .systemLibrary(
      name: "CCapstone", pkgConfig: "capstone", providers: [.apt(["libcapstone-dev"])]),
    .systemLibrary(
      name: "CDebugInfo", pkgConfig: "libdw", providers: [.apt(["libdw-dev", "libbz2-dev"])]),
    .target(name: "CLinux"),
    .target(name: "StaticCallRuntime", exclude: ["install"]),
    .target(
      name: "ObjectFile",
      dependencies: [
        "CLibelf", "CLinux", .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .target(name: "Disassembly", dependencies: ["CCapstone"], swiftSettings: strict),
    .target(name: "DebugInfo", dependencies: ["CDebugInfo"], swiftSettings: strict),
    .target(
      name: "StaticCalls",
      dependencies: [
        "DebugInfo", "Disassembly", "ObjectFile", .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .target(
      name: "Reports",
      dependencies: ["ObjectFile", "StaticCalls", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: strict),
    .executableTarget(
      name: "staticcall",
      dependencies: [
        "ObjectFile", "Reports", "StaticCalls",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),

    .target(
      name: "TestSupport",
      dependencies: [
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Tests/TestSupport", swiftSettings: strict),
    .testTarget(
      name: "ObjectFileTests",
      dependencies: ["CLinux", "ObjectFile", "TestSupport", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: strict),
    // For Scripts/instructions.py.
    .executableTarget(
      name: "decode-instructions", dependencies: ["Disassembly"], path: "Tests/DecodeInstructions",
      swiftSettings: strict),
    .testTarget(name: "DisassemblyTests", dependencies: ["Disassembly", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "StaticCallsTests",
      dependencies: [
        "Disassembly", "ObjectFile", "StaticCalls", "TestSupport",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "CommandTests", dependencies: ["StaticCalls", "TestSupport", "staticcall"], swiftSettings: strict),
    .testTarget(name: "TidyTests", dependencies: ["StaticCalls", "TestSupport"], swiftSettings: strict),
  ]
)
