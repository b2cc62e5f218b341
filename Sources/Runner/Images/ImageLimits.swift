/// How large images may be; each bound is checked before anything of that size is held or written.
package struct ImageLimits: Hashable, Sendable {
    /// The largest manifest or index, in bytes; registries refuse more than 4 MiB.
    package var manifestSizeBytesMax = 4 << 20
    /// The largest configuration, in bytes.
    package var configurationSizeBytesMax = 4 << 20
    /// The most layers; docker makes 127.
    package var layersMax = 128
    /// The largest single blob, in bytes.
    package var blobSizeBytesMax: UInt64 = 32 << 30
    /// The most that an image's layers may take when unpacked, in bytes.
    package var unpackedSizeBytesMax: UInt64 = 128 << 30
    /// The most files that an image's layers may hold together.
    package var entriesMax = 2_000_000
    /// The most images that the store knows.
    package var imagesMax = 10_000
    /// The most names that the store keeps.
    package var namesMax = 10_000
    /// The most blobs that are received at a time.
    package var writersMax = 64
    /// How long one import, pull or unpacking may take.
    package var operationTimeMax: Duration = .seconds(3_600)

    /// Makes the defaults.
    package init() {}
}
