package import Model

/// Names one reading of an image's part; drawn by the core.
package struct ImageReadID: Hashable, Comparable, Sendable {
    /// The number.
    package var value: UInt64

    /// Makes a reading's ID.
    package init(_ value: UInt64) {
        self.value = value
    }

    /// Orders by number.
    package static func < (left: ImageReadID, right: ImageReadID) -> Bool {
        left.value < right.value
    }
}

/// What a node asks of its image store; each is answered by one `ImageStoreEvent`.
package enum ImageStoreCommand: Hashable, Sendable {
    /// Say what there is of an image; answered by `stock`.
    case check(ImageDigest)
    /// Read at most `ImageChunk.sizeBytesMax` bytes of a part; answered by `read`.
    case read(ImageReadID, part: ImageDigest, offset: UInt64)
    /// Put bytes into a part of an image that another node has sent; answered by `written`.
    case write(image: ImageDigest, part: ImageDigest, ImageChunk)
}

/// What a node's image store tells.
package enum ImageStoreEvent: Hashable, Sendable {
    /// This is here of an image.
    case stock(ImageDigest, ImageStock)
    /// An excerpt of a part; `nil` when the part is not here.
    case read(ImageReadID, ImageChunk?)
    /// What became of bytes of another node.
    case written(image: ImageDigest, part: ImageDigest, ImageWriteResult)
    /// An image has left the store, to make room.
    case dropped(ImageDigest)
}

/// What became of bytes that another node has sent.
package enum ImageWriteResult: Hashable, Sendable {
    /// They are kept; the next ones begin there.
    case stored(next: UInt64)
    /// The part is whole, and is what it should be.
    case finished
    /// The part is whole, and is not what it should be: it was thrown away.
    case corrupt
    /// The store can't take them (no room, I/O error).
    case failed(reason: String)
}
