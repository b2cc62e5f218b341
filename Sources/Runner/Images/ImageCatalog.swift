import CShims
import Foundation
import Glibc
import Model

/// What the store knows about its images, and the small files that keep it.
struct ImageCatalog {
    /// What is known about an image.
    struct Record {
        var manifest: ImageManifest
        /// In nanoseconds since 1970.
        var lastUse: Int64
        /// The last use that is on disk.
        var lastUseOnDisk: Int64
    }

    /// How old the last use on disk may be, in nanoseconds.
    static let lastUseAgeMax: Int64 = 60_000_000_000

    private(set) var names: [ImageName: ImageDigest] = [:]
    private(set) var images: [ImageDigest: Record] = [:]
    /// What somebody works with at the moment: images and blobs that must stay.
    var held: Set<ImageDigest> = []

    let directory: String
    let blobs: BlobDirectory
    private let limits: ImageLimits
    private let clock: @Sendable () -> Int64

    /// Reads the files.
    init(
        directory: String, blobs: BlobDirectory, limits: ImageLimits,
        clock: @escaping @Sendable () -> Int64
    ) throws(ImageError) {
        self.directory = directory
        self.blobs = blobs
        self.limits = limits
        self.clock = clock
        names = try readNames()
    }

    // MARK: Images

    /// Makes an image known whose manifest is among the blobs; on disk when this returns.
    mutating func register(
        _ image: ImageDigest, _ manifest: ImageManifest
    ) throws(ImageError) {
        guard images[image] != nil || images.count < limits.imagesMax else {
            throw ImageError(.tooLarge, "this node has \(limits.imagesMax) images already")
        }
        try blobs.sync()
        let now = clock()
        if images[image] == nil {
            try Files.put([], at: mark(image))
            try Tree.sync(directory: "\(directory)/images")
        }
        images[image] = Record(manifest: manifest, lastUse: now, lastUseOnDisk: 0)
        touch(image)
    }

    /// Notes a use.
    mutating func touch(_ image: ImageDigest) {
        guard var record = images[image] else { return }
        record.lastUse = max(clock(), record.lastUse)
        if record.lastUse - record.lastUseOnDisk >= ImageCatalog.lastUseAgeMax {
            let time = timespec(
                tv_sec: Int(record.lastUse / 1_000_000_000),
                tv_nsec: Int(record.lastUse % 1_000_000_000))
            if utimensat(AT_FDCWD, mark(image), [time, time], 0) == 0 {
                record.lastUseOnDisk = record.lastUse
            }
        }
        images[image] = record
    }

    /// The blobs of an image that are not here, or not whole.
    func missing(of image: ImageDigest) throws(ImageError) -> [BlobDescriptor] {
        guard let record = images[image] else {
            throw ImageError(.notFound, "the image \(image) is not on this node")
        }
        return record.manifest.blobs.filter { !blobs.has($0) }
    }

    func summaries() -> [ImageStore.Summary] {
        var called: [ImageDigest: [ImageName]] = [:]
        for (name, digest) in names { called[digest, default: []].append(name) }
        return images.sorted { $0.key < $1.key }.map { digest, record in
            let parts = [digest] + record.manifest.blobs.map(\.digest)
            return ImageStore.Summary(
                digest: digest, names: (called[digest] ?? []).sorted(),
                sizeBytes: parts.compactMap { blobs.sizeBytes(of: $0) }.reduce(0, +),
                unpackedSizeBytes: unpackedSizeBytes(of: digest),
                isComplete: record.manifest.blobs.allSatisfy { blobs.has($0) },
                lastUse: record.lastUse / 1_000_000_000)
        }
    }

    // MARK: Names

    mutating func setName(_ name: ImageName, to image: ImageDigest) throws(ImageError) {
        guard images[image] != nil else {
            throw ImageError(.notFound, "the image \(image) is not on this node")
        }
        guard names[name] != nil || names.count < limits.namesMax else {
            throw ImageError(.tooLarge, "this node has \(limits.namesMax) image names already")
        }
        var changed = names
        changed[name] = image
        try write(changed)
    }

    /// Takes names away, in one write.
    mutating func removeNames(where isGone: (ImageName, ImageDigest) -> Bool) throws(ImageError) {
        let kept = names.filter { !isGone($0.key, $0.value) }
        if kept.count < names.count { try write(kept) }
    }

    private mutating func write(_ changed: [ImageName: ImageDigest]) throws(ImageError) {
        let entries = changed.sorted { $0.key < $1.key }.map {
            ["name": "\($0.key)", "digest": "\($0.value)"]
        }
        let object: [String: Any] = ["version": 1, "names": entries]
        let options: JSONSerialization.WritingOptions = [.sortedKeys, .prettyPrinted]
        guard let data = try? JSONSerialization.data(withJSONObject: object, options: options)
        else { throw ImageError(.failed, "the image names can't be encoded") }
        let fresh = "\(directory)/work/names.json"
        defer { unlink(fresh) }
        try Files.put(Array(data), at: fresh)
        try Files.flush(fresh)
        guard rename(fresh, "\(directory)/names.json") == 0 else {
            throw .system("rename", fresh)
        }
        names = changed
        try Tree.sync(directory: directory)
    }

    private func readNames() throws(ImageError) -> [ImageName: ImageDigest] {
        let path = "\(directory)/names.json"
        guard Files.exists(path) else { return [:] }
        let damaged = ImageError(
            .corrupt, "\(path) is damaged; remove it to go on without names of images")
        guard let bytes = Files.read(path),
            let object = try? JSONText.object(bytes, path),
            let entries = try? object.objects("names", countMax: limits.namesMax)
        else { throw damaged }
        var names: [ImageName: ImageDigest] = [:]
        for entry in entries {
            guard let name = (try? entry.text("name")).flatMap({ ImageName($0) }),
                let digest = (try? entry.text("digest")).flatMap({ ImageDigest($0) })
            else { throw damaged }
            names[name] = digest
        }
        return names
    }

    // MARK: What is unpacked

    func unpackedPath(of image: ImageDigest) -> String { "\(directory)/unpacked/\(image.hex)" }

    /// Marks what is unpacked and on disk.
    static let flushedMark = "flushed"

    /// Says with which users an image was unpacked, on an ordinary user's node.
    static let usersMark = "users"

    /// Whether an image was unpacked with the users that this node has now: its files have their owners.
    static func isOurs(_ path: String) -> Bool {
        Files.text("\(path)/\(usersMark)") == OrdinaryUser.current?.mark
    }

    /// Names this boot of the machine.
    static let bootID = Files.text("/proc/sys/kernel/random/boot_id") ?? "unknown"

    /// Whether what is unpacked is on disk.
    func isFlushed(_ image: ImageDigest) -> Bool {
        Files.exists("\(unpackedPath(of: image))/\(ImageCatalog.flushedMark)")
    }

    /// Whether all of an unpacked image can still be there: it was flushed, or nothing can have lost it
    /// since, as the machine has not been started anew.
    private func isIntact(_ image: ImageDigest) -> Bool {
        let path = unpackedPath(of: image)
        guard ImageCatalog.isOurs(path) else { return false }
        return isFlushed(image) || Files.text("\(path)/boot") == ImageCatalog.bootID
    }

    /// What an image takes unpacked; `nil` when it is not.
    func unpackedSizeBytes(of image: ImageDigest) -> UInt64? {
        Files.text("\(unpackedPath(of: image))/size").flatMap { UInt64($0) }
    }

    // MARK: Removal

    /// Everything that the store takes on disk, blobs that images share counted once.
    var sizeBytes: UInt64 {
        let stored = blobs.all.compactMap { blobs.sizeBytes(of: $0) }.reduce(0, +)
        return stored + images.keys.compactMap { unpackedSizeBytes(of: $0) }.reduce(0, +)
    }

    /// Who may be removed, the first to go first: those without a name, then the longest unused.
    func candidates(besides inUse: Set<ImageDigest>) -> [ImageDigest] {
        let named = Set(names.values)
        func isBefore(_ left: (ImageDigest, Record), _ right: (ImageDigest, Record)) -> Bool {
            let (leftNamed, rightNamed) = (named.contains(left.0), named.contains(right.0))
            if leftNamed != rightNamed { return rightNamed }
            return (left.1.lastUse, left.0) < (right.1.lastUse, right.0)
        }
        return images.filter { !inUse.contains($0.key) && !held.contains($0.key) }
            .sorted { isBefore(($0.key, $0.value), ($1.key, $1.value)) }.map(\.key)
    }

    /// Removes an image with its names, what is unpacked, and the blobs that nobody else needs.
    ///
    /// What is unpacked is moved to `trash/`; whoever called empties it without the lock.
    mutating func remove(_ image: ImageDigest) throws(ImageError) {
        // In this order a crash leaves nothing that looks whole and is not.
        try removeNames { _, digest in digest == image }
        let unpacked = unpackedPath(of: image)
        let trash = "\(directory)/trash/\(image.hex).\(clock())"
        guard rename(unpacked, trash) == 0 || errno == ENOENT else {
            throw .system("remove", unpacked)
        }
        guard unlink(mark(image)) == 0 || errno == ENOENT else {
            throw .system("remove", mark(image))
        }
        images[image] = nil
        removeOrphans()
    }

    /// Removes the blobs of which no image knows, and what came of some that nobody takes in.
    func removeOrphans() {
        var needed: Set<ImageDigest> = []
        for (digest, record) in images {
            needed.insert(digest)
            needed.formUnion(record.manifest.blobs.map(\.digest))
        }
        for digest in blobs.all where !needed.contains(digest) && !held.contains(digest) {
            unlink(blobs.path(of: digest))
        }
        for file in Files.names(in: "\(directory)/incoming") {
            guard let digest = ImageDigest(hex: file), !needed.contains(digest),
                !held.contains(digest)
            else { continue }
            unlink("\(directory)/incoming/\(file)")
        }
    }

    /// Finds the images of an earlier life, and removes what is left of half ones.
    ///
    /// - Returns: What was lost, for people.
    mutating func tidy() throws(ImageError) -> [String] {
        var notices: [String] = []
        for file in Files.names(in: "\(directory)/images") {
            guard let digest = ImageDigest(hex: file) else { continue }
            do {
                let bytes = try blobs.verified(digest, sizeBytesMax: limits.manifestSizeBytesMax)
                let manifest = try ImageManifest(bytes, limits: limits)
                let time = magpie_changed(mark(digest))
                images[digest] = Record(
                    manifest: manifest, lastUse: time, lastUseOnDisk: time)
            } catch {
                notices.append("the image \(digest) is lost: \(error)")
                unlink(mark(digest))
            }
        }
        for (name, digest) in names.sorted(by: { $0.key < $1.key }) where images[digest] == nil {
            notices.append("the image name \(name) is lost with its image \(digest)")
        }
        let known = images
        try removeNames { _, digest in known[digest] == nil }
        for folder in Files.names(in: "\(directory)/unpacked") {
            if let digest = ImageDigest(hex: folder), images[digest] != nil, isIntact(digest) {
                continue
            }
            let path = "\(directory)/unpacked/\(folder)"
            let isOthers = !ImageCatalog.isOurs(path)
            do {
                try Tree.remove(Array(path.utf8))
            } catch {
                // Whom an ordinary user had for his tasks, he needs to have their files removed.
                guard isOthers else { throw error }
                notices.append("what was unpacked with other users stays: \(error)")
            }
        }
        removeOrphans()
        return notices
    }

    private func mark(_ image: ImageDigest) -> String { "\(directory)/images/\(image.hex)" }
}

extension Files {
    /// Has a file's content on disk.
    static func flush(_ path: String) throws(ImageError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .system("write", path) }
    }

    /// Writes a whole file, in place of what was there.
    static func put(_ bytes: [UInt8], at path: String) throws(ImageError) {
        do {
            try write(bytes, to: path)
        } catch {
            throw ImageError(error)
        }
    }

    /// Makes a file that was not there, for writing.
    static func create(_ path: String) throws(ImageError) -> Int32 {
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("make", path) }
        return descriptor
    }
}

extension Tree {
    /// Empties a directory.
    static func removeContents(of path: String) throws(ImageError) {
        for name in names(in: Array(path.utf8)) {
            try remove(Array(path.utf8) + [0x2F] + name)
        }
    }
}
