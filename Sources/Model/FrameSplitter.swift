/// Cuts a stream of bytes into frames: four bytes of size, big-endian, then the frame.
///
/// Holds less than one frame and what came with its last bytes.
package struct FrameSplitter: Sendable {
    /// A size that no frame has; where the next one begins can't be known any more.
    package enum Failure: Error, Equatable, Sendable {
        /// No bytes at all, or more than may come.
        case wrongSize(UInt32)
    }

    private var bytes: [UInt8] = []
    private var position = 0

    /// How many bytes precede a frame.
    package static let headerSizeBytes = 4

    /// Begins at the first byte of a stream.
    package init() {}

    /// How many bytes wait for the rest of their frame.
    package var heldSizeBytes: Int { bytes.count - position }

    /// Takes in what came next.
    package mutating func append(_ part: some Sequence<UInt8>) {
        // Only ever the beginning of one frame is moved.
        bytes.removeFirst(position)
        position = 0
        bytes.append(contentsOf: part)
    }

    /// Takes out the next whole frame.
    ///
    /// - Parameter sizeBytesMax: The longest frame that may come now.
    /// - Returns: The frame; `nil` when the rest of it has not come yet.
    /// - Throws: `Failure` when its size is wrong, now and from then on.
    package mutating func next(
        sizeBytesMax: Int = Channel.frameSizeBytesMax
    ) throws(Failure) -> [UInt8]? {
        let begin = position + FrameSplitter.headerSizeBytes
        guard begin <= bytes.count else { return nil }
        let size = bytes[position..<begin].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard size > 0, size <= sizeBytesMax else { throw .wrongSize(size) }
        guard bytes.count - begin >= Int(size) else { return nil }
        position = begin + Int(size)
        return Array(bytes[begin..<position])
    }
}
