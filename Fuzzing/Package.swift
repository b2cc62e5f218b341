// swift-tools-version: 6.2
import PackageDescription

// Magpie's decoders under libFuzzer: `Scripts/fuzz`. A package of its own, since everything in it is
// built with coverage that the fuzzer reads; its sources are the repository's.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    // Not optimised it is built in a third of the time, and runs half as fast.
    .unsafeFlags(["-sanitize=fuzzer", "-Onone"]),
]

let fuzzer: [LinkerSetting] = [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]

func core(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Core/\(name)", swiftSettings: settings)
}

let package = Package(
    name: "magpie",
    targets: [
        .systemLibrary(name: "Sodium", path: "Core/Sodium"),
        .systemLibrary(name: "Seccomp", path: "Core/Seccomp"),
        .systemLibrary(name: "LibFuzzer"),
        .target(name: "CShims", path: "Core/CShims"),
        core("Model"),
        core("CRDT"),
        core("Gossip", ["Model", "Sodium"]),
        core("Raft", ["Model"]),
        core("Lock", ["Model", "Raft"]),
        core("Cluster", ["Model", "Gossip", "CRDT", "Raft", "Lock"]),
        core("Runner", ["Model", "Seccomp", "Sodium", "CShims"]),
        .target(
            name: "ControlAPI", dependencies: ["Model"], path: "Core/ControlAPI",
            resources: [.embedInCode("openapi.json")], swiftSettings: settings),
        .target(
            name: "SimulationHarness",
            dependencies: ["Model", "Gossip", "CRDT", "Raft", "Lock", "Cluster"],
            path: "Harness", swiftSettings: settings),
        .target(
            name: "Fuzzing",
            dependencies: [
                "Model", "Gossip", "Raft", "Lock", "Cluster", "Runner", "ControlAPI",
            ], path: "Table", swiftSettings: settings),
        .executableTarget(
            name: "Fuzz", dependencies: ["Fuzzing", "LibFuzzer", "Model"], swiftSettings: settings,
            linkerSettings: fuzzer),
        // Encodings of simulated nodes, for the kept corpus.
        .executableTarget(
            name: "Record",
            dependencies: ["Fuzzing", "Model", "Gossip", "ControlAPI", "SimulationHarness"],
            swiftSettings: settings, linkerSettings: fuzzer),
    ]
)
