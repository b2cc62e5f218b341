import Cluster
import Model
import Runner

/// Keeps the image store within the operator's limit, and off what the cluster needs.
struct ImageUpkeep: Sendable {
    let desk: ImageDesk
    let driver: NodeDriver

    /// How much the images of a node take on its disk unless the operator says otherwise, in bytes.
    static let limitBytesUsual: UInt64 = 20 << 30
    /// The least that an operator can allow, in bytes.
    static let limitBytesMin: UInt64 = 64 << 20
    /// How often the limit is looked after.
    static let interval: Duration = .seconds(60)

    /// Looks after the limit until it is canceled; tells what went wrong.
    func run(limitBytes: UInt64, notice: @Sendable (String) -> Void) async {
        while !Task.isCancelled {
            do {
                try await Task.sleep(for: ImageUpkeep.interval)
                guard try await desk.store.sizeBytes() > limitBytes else { continue }
                let removal = try await prune(limitBytes: limitBytes)
                if removal.sizeBytesAfter > limitBytes {
                    notice(
                        "images take \(removal.sizeBytesAfter >> 20) MiB, more than --image-max: "
                            + "all of them are in use, or kept for the cluster")
                }
            } catch is CancellationError {
                return
            } catch {
                notice("images can't be removed: \(error)")
            }
        }
    }

    /// Removes what nobody needs here until no more than `limitBytes` are left.
    func prune(limitBytes: UInt64) async throws -> ImageStore.Removal {
        let removal = try await desk.store.prune(
            keeping: try await needed(), limitBytes: limitBytes)
        driver.dropped(removal.images)
        return removal
    }

    /// Takes this node's own note of a name away; the image goes by and by, when nobody needs it.
    func forget(_ name: ImageName) async throws {
        let removal = try await desk.store.remove(name, keeping: try await needed())
        driver.dropped(removal?.images ?? [])
    }

    private func needed() async throws -> Set<ImageDigest> {
        let images = try await desk.store.list().map(\.digest)
        return try await driver.read { node in Set(images.filter(node.mustKeep)) }
    }
}
