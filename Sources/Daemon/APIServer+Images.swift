import Cluster
import ControlAPI
import Foundation
import HTTPTypes
import Hummingbird
import Model
import NIOCore
import Runner

/// The images of the cluster, and those of this node.
extension APIServer {
    static let imageRoutes = [
        APIRoute(.get, APIPaths.images, .read) { server, _, _ in try await server.images() },
        APIRoute(.post, APIPaths.images, .submit) { server, request, _ in
            try await server.importImage(request)
        },
        APIRoute(.delete, APIPaths.images, .admin) { server, request, _ in
            try await server.removeName(request)
        },
        APIRoute(.post, APIPaths.images + "/pull", .submit) { server, request, _ in
            try await server.pullImage(request)
        },
        APIRoute(.post, APIPaths.images + "/prune", .admin) { server, _, _ in
            let removal = try await server.imageWork { try await $0.prune(limitBytes: 0) }
            return try server.json(
                PruneReply(
                    removed: removal.images.map(\.description),
                    bytes: removal.sizeBytesBefore - removal.sizeBytesAfter))
        },
    ]

    // MARK: Names

    private func images() async throws -> Response {
        let names = try await driver.read { node in
            node.imageNames.map { ($0.name, $0.entry) }
        }
        let here = try await imageWork { try await $0.desk.store.list() }
        let complete = Set(here.filter(\.isComplete).map(\.digest))
        return try json(
            names.compactMap { name, entry in
                entry.digest.map { ImageView(name, $0, entry, isHere: complete.contains($0)) }
            })
    }

    private func name(in request: Request) throws -> ImageName {
        let text = request.uri.queryParameters.get("name") ?? ""
        return try APIServer.name(text)
    }

    private static func name(_ text: String) throws -> ImageName {
        guard let name = ImageName(text) else {
            throw InvalidInput(
                "name: \(text.isEmpty ? "''" : text) is no name of an image; write NAME or "
                    + "NAME:TAG, in lower case")
        }
        return name
    }

    private func removeName(_ request: Request) async throws -> Response {
        let name = try name(in: request)
        _ = try await ask(.nameImage(name, nil, sizeBytes: 0))
        try await imageWork { try await $0.forget(name) }
        return try json([String: String](), status: .accepted)
    }

    // MARK: New images

    private func importImage(_ request: Request) async throws -> Response {
        let name = try name(in: request)
        let store = driver.images.store
        let pieces = request.body.map { Array($0.readableBytesView) }
        let image = try await imageWork { _ in
            try await store.withUpload(
                of: pieces, sizeBytesMax: UInt64(APIPaths.importSizeBytesMax)
            ) { path in
                try await store.import(path, as: name)
            }
        }
        return try await announce(image, as: name)
    }

    private func pullImage(_ request: Request) async throws -> Response {
        let body: PullRequest = try await decode(request)
        guard let reference = RegistryReference(body.reference) else {
            throw InvalidInput(
                "reference: \(body.reference) names no image in a registry; write "
                    + "HOST[:PORT]/PATH[:TAG][@DIGEST]")
        }
        let name = try body.name.map(APIServer.name) ?? reference.name
        var access = RegistryAccess()
        access.credentials = body.credentials
        access.authority = body.authority
        let registry = access
        let image = try await imageWork { work in
            try await work.desk.store.pull(reference, access: registry, as: name)
        }
        return try await announce(image, as: name)
    }

    /// Tells the cluster, once all of the image is on this node's disk.
    private func announce(_ image: ImageDigest, as name: ImageName) async throws -> Response {
        // Until then nobody but this request needs it.
        try await imageWork { try await $0.desk.store.hold(image) }
        defer { driver.images.store.letGo(image) }
        let here = try await imageWork { try await $0.desk.store.list() }
        let sizeBytes = here.first { $0.digest == image }?.sizeBytes ?? 0
        _ = try await ask(.nameImage(name, image, sizeBytes: sizeBytes))
        let entry = try await driver.read { node in
            node.imageNames.first { $0.name == name }?.entry
        }
        guard let entry, let digest = entry.digest else {
            throw Refusal(.conflict, "the name \(name) was taken away meanwhile")
        }
        return try json(ImageView(name, digest, entry, isHere: true), status: .created)
    }

    /// Works on the store; its errors become the API's.
    private func imageWork<Value>(
        _ body: (ImageUpkeep) async throws -> Value
    ) async throws -> Value {
        do {
            return try await body(ImageUpkeep(desk: driver.images, driver: driver))
        } catch let error as ImageError {
            throw Refusal(APIServer.code(of: error), error.description)
        }
    }

    private static func code(of error: ImageError) -> Refusal.Code {
        switch error.code {
        case .notFound: .notFound
        case .noSpace: .storage
        case .busy: .overloaded
        case .unreachable, .timedOut, .missingProgram, .failed: .unavailable
        default: .invalid
        }
    }
}

extension ImageView {
    init(_ name: ImageName, _ digest: ImageDigest, _ entry: ImageEntry, isHere: Bool) {
        self.init(
            name: "\(name)", digest: "\(digest)", size: entry.sizeBytes, node: "\(entry.node)",
            named: Quantities.text(WallTime(milliseconds: Int64(clamping: entry.stamp))),
            present: isHere)
    }
}
