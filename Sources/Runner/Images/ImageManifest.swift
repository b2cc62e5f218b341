import Foundation
package import Model

/// Names a blob, and says how large it is.
package struct BlobDescriptor: Hashable, Sendable {
    /// The blob's digest.
    package var digest: ImageDigest
    /// The blob's size in bytes.
    package var sizeBytes: UInt64

    /// Makes a descriptor.
    package init(digest: ImageDigest, sizeBytes: UInt64) {
        self.digest = digest
        self.sizeBytes = sizeBytes
    }
}

/// The list of an image's parts for one platform.
///
/// Source: OCI image specification, `manifest.md`; docker's own manifests of schema 2 differ in their
/// media types only, and are read too.
package struct ImageManifest: Hashable, Sendable {
    /// One layer: a tar archive, perhaps compressed.
    package struct Layer: Hashable, Sendable {
        /// The blob.
        package var blob: BlobDescriptor
        /// How it is compressed.
        package var compression: Compression
    }

    /// The configuration's blob.
    package var configuration: BlobDescriptor
    /// The layers, lowest first.
    package var layers: [Layer]

    /// All blobs that the image needs besides the manifest, without repetition, in order.
    package var blobs: [BlobDescriptor] {
        var seen: Set<ImageDigest> = []
        return ([configuration] + layers.map(\.blob)).filter { seen.insert($0.digest).inserted }
    }

    /// Reads a manifest.
    ///
    /// - Throws: `.notAnImage` when it is none or names something else than layers, `.tooLarge` when
    ///   it or what it announces exceeds a bound.
    package init(_ bytes: [UInt8], limits: ImageLimits = ImageLimits()) throws(ImageError) {
        guard bytes.count <= limits.manifestSizeBytesMax else {
            throw ImageError(.tooLarge, "the image's manifest is too large")
        }
        let object = try JSONText.object(bytes, "the image's manifest")
        guard let configuration = try object.object("config") else {
            throw ImageError(.notAnImage, "the image's manifest names no configuration")
        }
        self.configuration = try ImageManifest.blob(
            configuration, sizeBytesMax: UInt64(limits.configurationSizeBytesMax))
        layers = []
        for layer in try object.objects("layers", countMax: limits.layersMax) {
            let type = try layer.text("mediaType")
            guard let compression = Compression(layerType: type) else {
                throw ImageError(.notAnImage, "the image has a layer of unknown type '\(type)'")
            }
            let blob = try ImageManifest.blob(layer, sizeBytesMax: limits.blobSizeBytesMax)
            layers.append(Layer(blob: blob, compression: compression))
        }
        guard !layers.isEmpty else { throw ImageError(.empty, "the image has no layers") }
    }

    private static func blob(
        _ object: JSONText, sizeBytesMax: UInt64
    ) throws(ImageError) -> BlobDescriptor {
        let text = try object.text("digest")
        guard let digest = ImageDigest(text) else {
            throw ImageError(.notAnImage, "the image's manifest names a blob without SHA-256")
        }
        let size = try object.count("size")
        guard size <= sizeBytesMax else {
            throw ImageError(.tooLarge, "the blob \(digest) is larger than \(sizeBytesMax) bytes")
        }
        return BlobDescriptor(digest: digest, sizeBytes: size)
    }

    /// Writes the manifest of a one-layer image; the same parts give the same bytes.
    static func encoded(configuration: BlobDescriptor, layer: BlobDescriptor) -> [UInt8] {
        func descriptor(_ blob: BlobDescriptor, _ type: String) -> String {
            #"{"mediaType":"\#(type)","digest":"\#(blob.digest)","size":\#(blob.sizeBytes)}"#
        }
        let config = descriptor(configuration, "application/vnd.oci.image.config.v1+json")
        let layer = descriptor(layer, Compression.gzip.layerType)
        return Array(
            (#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#
                + #""config":\#(config),"layers":[\#(layer)]}"#).utf8)
    }
}

/// A choice of images: for platforms, or the contents of a layout.
struct ImageIndex {
    struct Entry: Hashable {
        var blob: BlobDescriptor
        var isIndex: Bool
        /// `os/architecture`; empty when nothing is said.
        var platform: String
        /// The tag in a layout; empty for none.
        var tag: String
    }

    static let entriesMax = 1_024
    var entries: [Entry] = []

    init(_ bytes: [UInt8], limits: ImageLimits) throws(ImageError) {
        guard bytes.count <= limits.manifestSizeBytesMax else {
            throw ImageError(.tooLarge, "the image index is too large")
        }
        let object = try JSONText.object(bytes, "the image index")
        for entry in try object.objects("manifests", countMax: ImageIndex.entriesMax) {
            guard let digest = ImageDigest(try entry.text("digest")) else { continue }
            let size = try entry.count("size")
            let type = try entry.text("mediaType")
            let platform = try entry.object("platform")
            let notes = try entry.textMap("annotations", countMax: ImageConfiguration.labelsMax)
            entries.append(
                Entry(
                    blob: BlobDescriptor(digest: digest, sizeBytes: size),
                    isIndex: type.hasSuffix("image.index.v1+json")
                        || type.hasSuffix("manifest.list.v2+json"),
                    platform: try platform.map { (platform) throws(ImageError) in
                        "\(try platform.text("os"))/\(try platform.text("architecture"))"
                    } ?? "",
                    tag: notes["org.opencontainers.image.ref.name"] ?? ""))
        }
    }

    /// The entry for this machine, among several the one with the wanted tag.
    func choose(tag: String) throws(ImageError) -> Entry {
        guard !entries.isEmpty else { throw ImageError(.empty, "the image index is empty") }
        let fitting = entries.filter { $0.platform.isEmpty || $0.platform == Platform.current }
        guard !fitting.isEmpty else {
            throw ImageError(
                .otherPlatform,
                "the image is for \(Set(entries.map(\.platform)).sorted().joined(separator: ", ")), "
                    + "and not for \(Platform.current)")
        }
        if fitting.count == 1 { return fitting[0] }
        let tagged = fitting.filter { $0.tag == tag || $0.tag.hasSuffix(":\(tag)") }
        if let only = tagged.first, tagged.count == 1 { return only }
        let named = fitting.filter { $0.platform == Platform.current }
        if let only = named.first, named.count == 1 { return only }
        throw ImageError(
            .notAnImage,
            "there are several images in it (\(fitting.map(\.tag).sorted().joined(separator: ", "))): "
                + "import it under the tag of one of them")
    }
}

/// The kind of machine that this is, as images name it.
enum Platform {
    #if arch(arm64)
        static let architecture = "arm64"
    #else
        static let architecture = "amd64"
    #endif

    static let current = "linux/\(architecture)"
}

/// How a tar archive is compressed.
package enum Compression: Hashable, Sendable, CaseIterable {
    /// Not at all.
    case none
    /// By gzip.
    case gzip
    /// By xz; layers never are.
    case xz
    /// By zstd.
    case zstd

    /// Tells by a layer's media type; `nil` for one that is no layer in this store.
    init?(layerType: String) {
        switch layerType {
        case "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.docker.image.rootfs.diff.tar":
            self = .none
        case Compression.gzip.layerType, "application/vnd.docker.image.rootfs.diff.tar.gzip":
            self = .gzip
        case Compression.zstd.layerType, "application/vnd.docker.image.rootfs.diff.tar.zstd":
            self = .zstd
        default: return nil
        }
    }

    /// Tells by the first six bytes.
    init(magic: [UInt8]) {
        if magic.starts(with: [0x1F, 0x8B]) {
            self = .gzip
        } else if magic.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]) {
            self = .xz
        } else if magic.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) {
            self = .zstd
        } else {
            self = .none
        }
    }

    var layerType: String {
        let plain = "application/vnd.oci.image.layer.v1.tar"
        switch self {
        case .none: return plain
        case .gzip: return plain + "+gzip"
        case .xz: return plain + "+xz"
        case .zstd: return plain + "+zstd"
        }
    }

    /// The program that takes it off, and the Debian package that has it.
    var program: (name: String, package: String)? {
        switch self {
        case .none: nil
        case .gzip: ("gzip", "gzip")
        case .xz: ("xz", "xz-utils")
        case .zstd: ("zstd", "zstd")
        }
    }
}
