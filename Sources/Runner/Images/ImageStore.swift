import CShims
import Foundation
import Glibc
package import Model

/// One node's images: content-addressed blobs, names for some of them, and what is unpacked.
///
/// An image is named by the digest of its manifest. Everything of it enters by way of `work/` or
/// `incoming/`, is hashed there, flushed, and becomes visible by a rename; a crash leaves only what the
/// next start removes. Names are this store's own.
///
/// ```
/// blobs/sha256/…   manifests, configurations and layers
/// images/…         one empty file per image; its time of change is the image's last use
/// names.json       what people call them
/// unpacked/…       root file systems, shared read-only below the overlays of tasks
/// incoming/…       blobs that peers are sending
/// work/…, trash/…  what is being made and removed
/// ```
///
/// The directory is closed to others: layers hold set-user-ID programs and devices.
///
/// What blocks runs on threads of the store's own, never on Swift's cooperative ones.
package final class ImageStore: @unchecked Sendable {
    /// The store's bounds.
    package let limits: ImageLimits
    /// What was found damaged and removed at the start, for people.
    package let notices: [String]

    let directory: String
    let tools: ImageTools
    /// Guards what is in memory, and is never held while something is written or read.
    let lock = NSLock()
    /// Held by whoever changes visible files, on the store's own threads; taken before `lock`.
    let files = NSLock()
    /// What is known about the images; guarded by `lock`, changed by whoever holds `files`.
    var catalog: ImageCatalog
    /// Images and blobs that must stay, counted; guarded by `lock`.
    ///
    /// Who has added one takes `files` once before relying on it: a removal may be under way.
    var holds: [ImageDigest: Int] = [:]
    /// Who waits for an image that is being unpacked; guarded by `lock`.
    var unpacking: [ImageDigest: [CheckedContinuation<Result<String, ImageError>, Never>]] = [:]
    /// The blobs that peers are sending; guarded by `lock`.
    var receiving: Set<ImageDigest> = []
    /// Imports and pulls.
    let intake = OperationQueue()
    /// Unpackings: a slow registry must not keep a task waiting.
    let unpacks = OperationQueue()
    /// Everything that takes milliseconds.
    let light = OperationQueue()

    /// The removal of what nobody sees any more: disks take their time over large trees.
    let sweep = OperationQueue()

    /// How many imports and pulls run at a time, and how many unpackings.
    package static let heavyMax = 2
    /// How many short operations run at a time.
    package static let lightMax = 4

    /// Opens the store in a directory, which is made if it is not there.
    ///
    /// What an earlier life left unfinished is removed. Blocks.
    ///
    /// - Parameters:
    ///   - directory: `images` below the node's data directory; one process at a time.
    ///   - limits: The bounds of what is taken in.
    ///   - searchPath: Where tools are looked for; `nil` for the usual directories.
    /// - Throws: When the directory can't be used, or `names.json` is not what the store wrote.
    package convenience init(
        directory: String, limits: ImageLimits = ImageLimits(), searchPath: [String]? = nil
    ) throws(ImageError) {
        try self.init(
            directory: directory, limits: limits, searchPath: searchPath, clock: ImageStore.realTime
        )
    }

    init(
        directory: String, limits: ImageLimits, searchPath: [String]?,
        clock: @escaping @Sendable () -> Int64
    ) throws(ImageError) {
        self.directory = directory
        self.limits = limits
        tools = ImageTools(searchPath: searchPath ?? Programs.searchPath)
        intake.maxConcurrentOperationCount = ImageStore.heavyMax
        unpacks.maxConcurrentOperationCount = ImageStore.heavyMax
        light.maxConcurrentOperationCount = ImageStore.lightMax
        sweep.maxConcurrentOperationCount = 1
        let blobs = BlobDirectory(path: "\(directory)/blobs/sha256")
        do {
            for folder in ["blobs/sha256", "images", "unpacked", "incoming", "work", "trash"] {
                try Files.makeDirectory("\(directory)/\(folder)")
            }
        } catch { throw ImageError(error) }
        guard chmod(directory, 0o700) == 0 else { throw .system("close", directory) }
        for folder in ["incoming", "work", "trash"] {
            try Tree.removeContents(of: "\(directory)/\(folder)")
        }
        var catalog = try ImageCatalog(
            directory: directory, blobs: blobs, limits: limits, clock: clock)
        notices = try catalog.tidy()
        self.catalog = catalog
        for image in catalog.images.keys.sorted() where !catalog.isFlushed(image) {
            flushLater(image)
        }
    }

    // MARK: Names

    /// What a name stands for; `nil` when there is no such name.
    package func resolve(_ name: ImageName) -> ImageDigest? {
        lock.withLock { catalog.names[name] }
    }

    /// Gives an image a name, on disk when this returns; the name is taken from whatever had it.
    ///
    /// - Throws: `.notFound` for an image that is not here, `.tooLarge` when there are too many names.
    package func setName(_ name: ImageName, to image: ImageDigest) async throws(ImageError) {
        try await perform(on: light) { [self] () throws(ImageError) in
            try locked { (catalog) throws(ImageError) in try catalog.setName(name, to: image) }
        }
    }

    // MARK: Queries

    /// What one image is and takes.
    package struct Summary: Hashable, Sendable {
        /// The digest of the manifest.
        package var digest: ImageDigest
        /// What it is called, in order; often nothing.
        package var names: [ImageName]
        /// The size of its blobs that are here; images may share some.
        package var sizeBytes: UInt64
        /// What it takes unpacked; `nil` when it is not.
        package var unpackedSizeBytes: UInt64?
        /// Whether all blobs are here.
        package var isComplete: Bool
        /// When it was last used, in seconds since 1970.
        package var lastUse: Int64
    }

    /// All images, by digest.
    package func list() async throws(ImageError) -> [Summary] {
        try await perform(on: light) { [self] () throws(ImageError) in
            try locked { (catalog) throws(ImageError) in catalog.summaries() }
        }
    }

    /// What an image says about its process.
    ///
    /// - Throws: `.notFound` and `.incomplete` when it is not here, `.corrupt` when it was damaged on
    ///   disk and is removed now.
    package func configuration(_ image: ImageDigest) async throws(ImageError) -> ImageConfiguration
    {
        try await perform(on: light) { [self] () throws(ImageError) in
            try readConfiguration(of: readManifest(image))
        }
    }

    /// Notes that an image is used; cheap: on disk at most once a minute.
    package func touch(_ image: ImageDigest) async throws(ImageError) {
        try await perform(on: light) { [self] () throws(ImageError) in
            try locked { (catalog) throws(ImageError) in catalog.touch(image) }
        }
    }

    /// Keeps an image from being removed until `letGo` is called as often.
    ///
    /// For whoever is about to use it and stands in no list yet. Forgotten when the process ends.
    ///
    /// - Throws: `.notFound` when it is not here; nothing is held then.
    package func hold(_ image: ImageDigest) async throws(ImageError) {
        try await perform(on: light) { [self] () throws(ImageError) in
            addHold(image)
            let isKnown = try locked { (catalog) throws(ImageError) in
                catalog.images[image] != nil
            }
            guard isKnown else {
                letGo(image)
                throw ImageError(.notFound, "the image \(image) is not on this node")
            }
        }
    }

    /// Takes one `hold` back.
    package func letGo(_ image: ImageDigest) {
        lock.withLock {
            let count = (holds[image] ?? 1) - 1
            holds[image] = count > 0 ? count : nil
        }
    }

    func addHold(_ digest: ImageDigest) { lock.withLock { holds[digest, default: 0] += 1 } }

    // MARK: Helpers for the other files

    /// Runs something that blocks, on a thread that may.
    func perform<Value: Sendable>(
        on queue: OperationQueue, _ body: @escaping @Sendable () throws(ImageError) -> Value
    ) async throws(ImageError) -> Value {
        let result: Result<Value, ImageError> = await withCheckedContinuation { continuation in
            queue.addOperation {
                continuation.resume(
                    returning: Result { () throws(ImageError) in try body() })
            }
        }
        return try result.get()
    }

    /// Changes what is visible: the files, then what is known about them, whatever comes of it.
    func locked<Value>(
        _ body: (inout ImageCatalog) throws(ImageError) -> Value
    ) throws(ImageError) -> Value {
        files.lock()
        defer { files.unlock() }
        var changed = lock.withLock { () -> ImageCatalog in
            var current = catalog
            current.held = Set(holds.keys)
            return current
        }
        defer { lock.withLock { catalog = changed } }
        return try body(&changed)
    }

    /// Runs with a directory that is gone afterwards, whatever comes of it.
    func withWork<Value>(
        _ body: (String) throws(ImageError) -> Value
    ) throws(ImageError) -> Value {
        var template = Array("\(directory)/work/XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .system("make", "\(directory)/work") }
        let path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? Tree.remove(Array(path.utf8)) }
        return try body(path)
    }

    var blobs: BlobDirectory { BlobDirectory(path: "\(directory)/blobs/sha256") }

    func readManifest(_ image: ImageDigest) throws(ImageError) -> ImageManifest {
        let bytes = try blobs.verified(image, sizeBytesMax: limits.manifestSizeBytesMax)
        return try ImageManifest(bytes, limits: limits)
    }

    func readConfiguration(of manifest: ImageManifest) throws(ImageError) -> ImageConfiguration {
        let digest = manifest.configuration.digest
        let bytes = try blobs.verified(digest, sizeBytesMax: limits.configurationSizeBytesMax)
        let configuration = try ImageConfiguration(bytes, limits: limits)
        guard configuration.layers.count == manifest.layers.count else {
            throw ImageError(.notAnImage, "the image's manifest and configuration do not agree")
        }
        return configuration
    }

    var deadline: ContinuousClock.Instant { .now + limits.operationTimeMax }

    private static let realTime: @Sendable () -> Int64 = {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}
