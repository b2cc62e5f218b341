import Glibc
package import Model

/// Images that go, with all that only they need.
extension ImageStore {
    /// What was removed, and what is left.
    package struct Removal: Hashable, Sendable {
        /// The images that are gone, in the order in which they went.
        package var images: [ImageDigest] = []
        /// The names that went with them.
        package var names: [ImageName] = []
        /// What the store took before, in bytes.
        package var sizeBytesBefore: UInt64 = 0
        /// What it takes now, in bytes.
        package var sizeBytesAfter: UInt64 = 0
    }

    /// Takes a name away, and the image with it when it has no other name and is not in use.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - inUse: The images of tasks that are on this node.
    /// - Returns: What was removed; `nil` when there is no such name.
    /// - Throws: When a file can't be written or removed; the name may be gone already.
    package func remove(
        _ name: ImageName, keeping inUse: Set<ImageDigest>
    ) async throws(ImageError) -> Removal? {
        let removal = try await perform(on: light) { [self] () throws(ImageError) in
            try locked { (catalog) throws(ImageError) -> Removal? in
                guard let image = catalog.names[name] else { return nil }
                var removal = Removal(names: [name], sizeBytesBefore: catalog.sizeBytes)
                try catalog.removeNames { candidate, _ in candidate == name }
                let isNamed = catalog.names.values.contains(image)
                if !isNamed, catalog.candidates(besides: inUse).contains(image) {
                    try catalog.remove(image)
                    removal.images = [image]
                }
                removal.sizeBytesAfter = catalog.sizeBytes
                return removal
            }
        }
        try await emptyTrash()
        return removal
    }

    /// Removes images until the store takes no more than a limit: first those without a name, then
    /// those with one, and of each the longest unused first.
    ///
    /// - Parameters:
    ///   - inUse: The images of tasks that are on this node, or will be: they stay, whatever the limit.
    ///   - limitBytes: How much may stay.
    ///   - sparesNamed: Whether images with a name stay too.
    /// - Returns: What was removed. More than the limit is left when the rest must stay.
    /// - Throws: When a file can't be written or removed; some images may be gone already.
    package func prune(
        keeping inUse: Set<ImageDigest>, limitBytes: UInt64, sparesNamed: Bool = false
    ) async throws(ImageError) -> Removal {
        let removal = try await perform(on: light) { [self] () throws(ImageError) in
            try locked { (catalog) throws(ImageError) -> Removal in
                var removal = Removal(sizeBytesBefore: catalog.sizeBytes)
                catalog.removeOrphans()
                removal.sizeBytesAfter = catalog.sizeBytes
                for image in catalog.candidates(besides: inUse)
                where removal.sizeBytesAfter > limitBytes {
                    let names = catalog.names.filter { $0.value == image }.keys.sorted()
                    if sparesNamed, !names.isEmpty { continue }
                    try catalog.remove(image)
                    removal.images.append(image)
                    removal.names += names
                    removal.sizeBytesAfter = catalog.sizeBytes
                }
                return removal
            }
        }
        try await emptyTrash()
        return removal
    }

    /// What all images take on disk, in bytes.
    package func sizeBytes() async throws(ImageError) -> UInt64 {
        try await perform(on: light) { [self] () throws(ImageError) in
            try locked { (catalog) throws(ImageError) in catalog.sizeBytes }
        }
    }

    private func emptyTrash() async throws(ImageError) {
        try await perform(on: sweep) { [self] () throws(ImageError) in
            try Tree.removeContents(of: "\(directory)/trash")
        }
    }
}
