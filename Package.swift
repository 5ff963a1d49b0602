// swift-tools-version: 6.2
import PackageDescription

// The modules stand in the order of docs/architecture.md: each imports only what stands above it.
// `Tests/TidyTests` compares every file's imports with this description.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
]

func system(_ name: String, pkgConfig: String, apt: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([apt])])
}

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTesting = Target.Dependency.product(
    name: "HummingbirdTesting", package: "hummingbird")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbirdCore = Target.Dependency.product(
    name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let httpTypesNIO = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")

let package = Package(
    name: "daybook",
    products: [
        .executable(name: "daybook", targets: ["daybook"]),
        .executable(name: "daybook-fuzz", targets: ["Fuzz"]),
        .library(name: "Avro", targets: ["Avro"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.24.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // C libraries, thin: module maps, and C headers of a few functions over C++ libraries.
        system("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
        system("CDeflate", pkgConfig: "libdeflate", apt: "libdeflate-dev"),
        system("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
        system("CLZ4", pkgConfig: "liblz4", apt: "liblz4-dev"),
        system("CPostgres", pkgConfig: "libpq", apt: "libpq-dev"),
        system("CLMDB", pkgConfig: "lmdb", apt: "liblmdb-dev"),
        .target(name: "CSimdjson", linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CRoaring", linkerSettings: [.linkedLibrary("roaring")]),
        .target(name: "CRE2", linkerSettings: [.linkedLibrary("re2")]),

        module("Avro", ["CDeflate", "CZstd"]),
        module("Postgres", ["CPostgres", systemPackage]),
        module("S3", [crypto, httpClient, nioCore, nioSSL]),
        module("DaybookLog", ["Avro", "CLZ4", "CZlib", crypto]),
        module("DaybookSegments", ["Avro", "DaybookLog", systemPackage]),
        module("DaybookCatalog", ["Avro", "CRE2", crypto, yams]),
        module("DaybookIntake", ["Avro", "CSimdjson", "DaybookCatalog"]),
        module(
            "DaybookLedger",
            ["Avro", "CLMDB", "CRoaring", "DaybookCatalog", "DaybookIntake", "DaybookLog", crypto]),
        module(
            "DaybookProjections",
            ["Avro", "DaybookCatalog", "DaybookLog", "Postgres", log]),
        module(
            "DaybookBackup",
            [
                "Avro", "DaybookCatalog", "DaybookLedger", "DaybookLog", "DaybookProjections",
                "DaybookSegments", "Postgres", "S3", crypto, nioCore,
            ]),
        module(
            "DaybookServer",
            [
                "Avro", "DaybookCatalog", "DaybookIntake", "DaybookLedger", "DaybookLog",
                crypto, httpTypes, httpTypesNIO, hummingbird, hummingbirdCore, hummingbirdTLS,
                lifecycle, log, nioCore, nioHTTP1,
            ]),
        .executableTarget(
            name: "daybook",
            dependencies: [
                "Avro", "DaybookBackup", "DaybookCatalog", "DaybookIntake", "DaybookLedger",
                "DaybookLog", "DaybookProjections", "DaybookSegments", "DaybookServer", "Postgres",
                "S3", arguments, crypto, httpClient, lifecycle, log, nioCore, nioSSL,
                systemPackage,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "daybook-bench",
            dependencies: [
                "Avro", "CSimdjson", "CZlib", "DaybookCatalog", "DaybookIntake", "DaybookLedger",
                "DaybookLog", "DaybookProjections", "DaybookSegments", "Postgres", log,
            ],
            swiftSettings: strict),

        .testTarget(
            name: "AvroTests", dependencies: ["Avro", "TestSupport"], exclude: ["scripts"],
            swiftSettings: strict),
        tests("PostgresTests", ["Postgres", "TestSupport"]),
        .testTarget(
            name: "S3Tests", dependencies: ["S3", "TestSupport", nioCore], exclude: ["scripts"],
            swiftSettings: strict),
        tests("DaybookLogTests", ["Avro", "DaybookLog", "TestSupport"]),
        tests(
            "DaybookSegmentsTests",
            ["Avro", "CrashDisk", "DaybookSegments", "DaybookLog", "TestSupport"]),
        tests("DaybookCatalogTests", ["Avro", "DaybookCatalog", "Postgres", "TestSupport"]),
        tests("DaybookIntakeTests", ["Avro", "DaybookIntake", "DaybookCatalog", "TestSupport"]),
        tests(
            "DaybookLedgerTests",
            [
                "Avro", "DaybookLedger", "DaybookIntake", "DaybookCatalog", "DaybookLog",
                "DaybookSegments", "TestSupport",
            ]),
        tests(
            "DaybookProjectionsTests",
            [
                "Avro", "DaybookCatalog", "DaybookIntake", "DaybookLedger", "DaybookLog",
                "DaybookProjections", "DaybookSegments", "LedgerWorld", "Postgres", "TestSupport",
                log,
            ]),
        tests(
            "DaybookBackupTests",
            [
                "Avro", "DaybookBackup", "DaybookCatalog", "DaybookLedger", "DaybookLog",
                "DaybookProjections", "DaybookSegments", "LedgerWorld", "Postgres", "S3",
                "TestSupport", crypto,
            ]),
        tests(
            "DaybookServerTests",
            [
                "Avro", "DaybookServer", "DaybookCatalog", "DaybookIntake", "DaybookLedger",
                "DaybookLog", "DaybookSegments", "TestSupport", httpTypes, httpTypesNIO, hummingbird,
                hummingbirdTesting, log, nioCore, nioEmbedded, nioHTTP1,
            ]),
        tests("FormatTests", ["Avro", "DaybookLog", "DaybookSegments", "TestSupport"]),
        .testTarget(
            name: "IntegrationTests", dependencies: ["LogForger", "TestSupport"],
            exclude: ["cases", "scripts"], swiftSettings: strict),
        tests("TidyTests", ["TestSupport"]),
        tests("FuzzCorpusTests", ["FuzzTargets", "TestSupport"]),
        // What fuzzers call, and libFuzzer's entry: script/fuzz.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Avro", "DaybookCatalog", "DaybookIntake", "DaybookLog", "DaybookSegments",
            ], path: "Tests/FuzzTargets", swiftSettings: strict),
        .executableTarget(
            name: "Fuzz", dependencies: ["FuzzTargets"], path: "Tests/Fuzz",
            exclude: ["corpus", "crashes", "words"], swiftSettings: strict),
        // A disk in memory that loses what was not synced and fails where it is told to.
        .target(
            name: "CrashDisk", dependencies: ["DaybookSegments"], path: "Tests/CrashDisk",
            swiftSettings: strict),
        // Random histories over the crash disk, each from its seed, held against a model.
        .target(
            name: "Simulator",
            dependencies: [
                "Avro", "CrashDisk", "DaybookCatalog", "DaybookIntake", "DaybookLedger",
                "DaybookLog", "DaybookSegments",
            ], path: "Tests/Simulator", swiftSettings: strict),
        .executableTarget(
            name: "daybook-simulate", dependencies: ["Simulator", arguments],
            path: "Tests/daybook-simulate", swiftSettings: strict),
        // A log, a dictionary and a database of a test's own.
        .target(
            name: "LedgerWorld",
            dependencies: [
                "Avro", "DaybookCatalog", "DaybookLog", "DaybookProjections", "DaybookSegments",
                "Postgres", "TestSupport", log,
            ], path: "Tests/LedgerWorld", swiftSettings: strict),
        // Who owns a ledger's disk, and makes a false log that is sound in itself.
        .target(
            name: "LogForger", dependencies: ["Avro", "DaybookLog", "DaybookSegments"],
            path: "Tests/LogForger", swiftSettings: strict),
        .target(
            name: "TestSupport", path: "Tests/TestSupport", exclude: ["scripts"],
            swiftSettings: strict),
    ],
    cxxLanguageStandard: .cxx17
)
