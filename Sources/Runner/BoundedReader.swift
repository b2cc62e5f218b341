import Glibc

/// Reads what a program writes, for a limited time and up to a limited size.
struct BoundedReader {
    /// What came of a reading.
    enum Outcome: Equatable {
        /// The line, or all that there was.
        case ended([UInt8])
        /// Time or room was up first; what had come until then.
        case cut([UInt8])
    }

    /// The most that is read of one program, in bytes.
    static let sizeBytesMax = 1 << 20

    private let descriptor: Int32
    private var witness: Int32
    private var deadline: ContinuousClock.Instant
    private var bytes: [UInt8] = []

    /// Makes a reader of `descriptor` that gives up after `limit`, and soon after `witness` (if not
    /// negative) becomes readable.
    init(_ descriptor: Int32, within limit: Duration, witness: Int32 = -1) {
        self.descriptor = descriptor
        self.witness = witness
        deadline = .now + limit
    }

    /// Reads until the other end is closed.
    mutating func drain() -> Outcome {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < BoundedReader.sizeBytesMax {
            guard waitForInput() else { return .cut(bytes) }
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return bytes.count < BoundedReader.sizeBytesMax ? .ended(bytes) : .cut(bytes)
    }

    /// Reads up to the first line's end, or the end.
    mutating func line() -> Outcome {
        var byte: UInt8 = 0
        while bytes.count < BoundedReader.sizeBytesMax {
            guard waitForInput() else { return .cut(bytes) }
            let count = read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count > 0, byte != UInt8(ascii: "\n") else { break }
            bytes.append(byte)
        }
        return bytes.count < BoundedReader.sizeBytesMax ? .ended(bytes) : .cut(bytes)
    }

    private mutating func waitForInput() -> Bool {
        while true {
            let left = deadline - .now
            guard left > .zero else { return false }
            var polled = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: witness, events: Int16(POLLIN), revents: 0),
            ]
            let milliseconds = Int32(clamping: Int64(left / .milliseconds(1)) + 1)
            guard poll(&polled, 2, milliseconds) > 0 else { continue }
            if polled[0].revents != 0 { return true }
            witness = -1
            deadline = min(deadline, .now + Spawner.witnessGrace)
        }
    }
}
