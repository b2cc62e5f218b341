import Foundation
import Testing

@testable import Runner

/// Images out of a real registry.
@Suite(
    .serialized,
    .enabled(
        if: RegistryBench.isPossible,
        "pulling needs the packages docker-registry, skopeo and openssl"))
struct ImagePullTests {
    @Test func `an image is pulled with a password over TLS, by tag and by digest`() async throws {
        let registry = try RegistryBench()
        let bench = try ImageBench()
        let layout = try bench.layout(
            "layout", layers: [ImageStoreTests.small], configuration: #"{"Cmd":["/bin/tool"]}"#)
        try registry.push(layout, as: "team/tool:1")
        let reference = try registry.reference("team/tool:1")
        let image = try await bench.store.pull(reference, access: registry.access)
        #expect(bench.store.resolve(reference.name) == image)
        let root = try await bench.store.unpack(image)
        #expect(bench.text(root, "sbin/tool") == "tool")
        #expect(try await bench.store.configuration(image).command == ["/bin/tool"])
        let exact = try registry.reference("team/tool@\(image)")
        let again = try await bench.store.pull(
            exact, access: registry.access, as: imageName("short"))
        #expect(again == image)
        #expect(bench.store.resolve(try imageName("short")) == image)
        #expect(Files.names(in: bench.store.directory + "/work").isEmpty)
    }

    @Test func `password and authority may be given as text`() async throws {
        let registry = try RegistryBench()
        let bench = try ImageBench()
        try registry.push(bench.layout("layout", layers: [ImageStoreTests.small]), as: "tool:1")
        let certificates = try #require(try registry.access.certificatesDirectory)
        var access = RegistryAccess()
        access.authority = Files.text("\(certificates)/ca.crt")
        let file = try registry.credentials(password: "secret")
        for credentials in [try #require(Files.text(file)), "magpie:secret"] {
            access.credentials = credentials
            let image = try await bench.store.pull(
                registry.reference("tool:1"), access: access)
            #expect(try await bench.store.list().map(\.digest) == [image])
        }
        access.credentials = "magpie"
        let changed = access
        let reference = try registry.reference("tool:1")
        #expect(
            await imageFailure { _ = try await bench.store.pull(reference, access: changed) }
                == .denied)
        #expect(Files.names(in: bench.store.directory + "/work").isEmpty)
    }

    @Test func `pulls at the same time do not disturb each other`() async throws {
        let registry = try RegistryBench()
        let bench = try ImageBench()
        let access = try registry.access
        for number in 0..<4 {
            let layer = TarBuilder.archive { $0.file("number", "\(number)") }
            try registry.push(
                bench.layout("layout\(number)", layers: [ImageStoreTests.small, layer]),
                as: "tool:\(number)")
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                let reference = try registry.reference("tool:\(number)")
                group.addTask {
                    let image = try await bench.store.pull(reference, access: access)
                    let root = try await bench.store.unpack(image)
                    #expect(bench.text(root, "number") == "\(number)")
                }
            }
            try await group.waitForAll()
        }
        #expect(try await bench.store.list().count == 4)
    }

    @Test func `each refusal has its own error, and nothing stays`() async throws {
        let registry = try RegistryBench()
        let bench = try ImageBench()
        let layout = try bench.layout("layout", layers: [ImageStoreTests.small])
        try registry.push(layout, as: "tool:1")
        func pull(
            _ name: String, _ change: (inout RegistryAccess) throws -> Void = { _ in }
        ) async throws -> ImageError.Code? {
            var access = try registry.access
            try change(&access)
            let changed = access
            let reference = try registry.reference(name)
            return await imageFailure {
                _ = try await bench.store.pull(reference, access: changed)
            }
        }
        #expect(try await pull("tool:1") { $0.credentialsFile = nil } == .denied)
        #expect(
            try await pull("tool:1") {
                $0.credentialsFile = try registry.credentials(password: "x")
            }
                == .denied)
        #expect(try await pull("tool:1") { $0.credentialsFile = "/no/such" } == .notFound)
        #expect(try await pull("tool:1") { $0.certificatesDirectory = nil } == .untrusted)
        #expect(try await pull("tool:1") { $0.certificatesDirectory = "/no/such" } == .notFound)
        #expect(try await pull("tool:2") == .notFound)
        #expect(try await pull("tools:1") == .notFound)
        let foreign = try bench.layout(
            "foreign", layers: [ImageStoreTests.small], architecture: "s390x")
        try registry.push(foreign, as: "foreign:1")
        #expect(try await pull("foreign:1") == .otherPlatform)
        registry.stop()
        #expect(try await pull("tool:1") == .unreachable)
        #expect(bench.contents().isEmpty)
    }

    @Test func `the image for this machine is chosen`() async throws {
        let registry = try RegistryBench()
        let bench = try ImageBench()
        let here = TarBuilder.archive { $0.file("here", "yes") }
        let layout = try bench.manyPlatforms("many", here: here, elsewhere: ImageStoreTests.small)
        try registry.push(layout, as: "tool:1", options: ["--all"])
        let pulled = try await bench.store.pull(
            registry.reference("tool:1"), access: registry.access)
        let root = try await bench.store.unpack(pulled)
        #expect(bench.text(root, "here") == "yes")
        // The same without a registry, which has the layers compressed.
        let imported = try await bench.store.import(layout, as: imageName("tool"))
        #expect(bench.text(try await bench.store.unpack(imported), "here") == "yes")
    }
}
