// swift-tools-version: 6.2
import PackageDescription

/// Settings that every Swift target shares: warnings are errors, imports are internal.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

func core(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [])
    -> Target
{
    .testTarget(
        name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

let package = Package(
    name: "magpie",
    products: [
        .executable(name: "daemon", targets: ["Daemon"]),
        .executable(name: "client", targets: ["Client"]),
        .executable(name: "magpie-launch", targets: ["Launcher"]),
        .executable(name: "magpie-guard", targets: ["Guard"]),
        .executable(name: "simulate", targets: ["Simulate"]),
        .executable(name: "benchmarks", targets: ["Benchmarks"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
    ],
    targets: [
        .systemLibrary(name: "Sodium"),
        .systemLibrary(name: "Seccomp"),
        .target(name: "CShims"),
        .executableTarget(name: "Launcher"),
        .executableTarget(name: "Guard"),

        // The pure core: no I/O, no clock, no system randomness (Tests/ArchitectureTests).
        core("Model"),
        core("CRDT"),
        core("Gossip", ["Model", "Sodium"]),
        core("Raft", ["Model"]),
        core("Lock", ["Model", "Raft"]),
        core("Cluster", ["Model", "Gossip", "CRDT", "Raft", "Lock"]),

        // The surroundings of a real node.
        .target(
            name: "Runner",
            dependencies: ["Model", "Seccomp", "Sodium", "CShims"], swiftSettings: settings),
        .target(
            name: "ControlAPI", dependencies: ["Model"],
            resources: [.embedInCode("openapi.json")], swiftSettings: settings),
        .target(
            name: "NodeIO",
            dependencies: [
                "Model", "Gossip",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ], swiftSettings: settings),
        .executableTarget(
            name: "Daemon",
            dependencies: [
                "Model", "Gossip", "Cluster", "NodeIO", "Runner", "ControlAPI", "CShims", "Sodium",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ], swiftSettings: settings),
        .executableTarget(
            name: "Client",
            dependencies: [
                "Model", "ControlAPI",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ], swiftSettings: settings),

        // The other interpreter of the core: virtual network, disk and clock.
        .target(
            name: "SimulationHarness",
            dependencies: ["Model", "Gossip", "CRDT", "Raft", "Lock", "Cluster"],
            path: "Simulations/Harness", swiftSettings: settings),
        .executableTarget(
            name: "Simulate",
            dependencies: [
                "Model", "Lock", "Cluster", "SimulationHarness",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"),
            ],
            path: "Simulations/Simulate", swiftSettings: settings),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "Model", "CRDT", "Gossip", "Lock", "Cluster", "NodeIO", "Runner", "ControlAPI",
                "CShims",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Benchmarks", swiftSettings: settings),

        tests("ModelTests", ["Model"]),
        // The laws of lattices, for the tests of every target that has some.
        .target(
            name: "LatticeLaws", dependencies: ["CRDT"], path: "Tests/LatticeLaws",
            swiftSettings: settings),
        // All decoders, and what damages and judges what they read: for tests, and for Fuzzing/.
        .target(
            name: "Fuzzing",
            dependencies: ["Model", "Gossip", "Raft", "Lock", "Cluster", "Runner", "ControlAPI"],
            path: "Tests/Fuzzing", swiftSettings: settings),
        tests("FuzzTests", ["Model", "Fuzzing"], exclude: ["Corpus"]),
        tests("CRDTTests", ["CRDT", "LatticeLaws"]),
        tests("GossipTests", ["Model", "Gossip"]),
        tests("RaftTests", ["Model", "Raft"], exclude: ["Transcripts"]),
        tests("LockTests", ["Model", "Raft", "Lock"]),
        tests("ClusterTests", ["Model", "Gossip", "CRDT", "Lock", "Cluster", "LatticeLaws"]),
        tests("RunnerTests", ["CShims", "Model", "Runner"]),
        tests("ControlAPITests", ["Model", "ControlAPI"]),
        tests(
            "DaemonTests",
            [
                "Model", "Gossip", "Daemon", "Lock", "Cluster", "NodeIO", "Runner", "ControlAPI",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        tests(
            "ClientTests",
            [
                "Model", "Client", "ControlAPI",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
        tests(
            "SimulationTests",
            [
                "Model", "Gossip", "Lock", "Cluster", "SimulationHarness", "Simulate",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
        tests("ArchitectureTests", []),
        tests(
            "EndToEndTests",
            [
                "Model", "ControlAPI", "Runner",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),
    ]
)
