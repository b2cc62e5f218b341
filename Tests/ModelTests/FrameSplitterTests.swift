import Model
import Testing

@Suite struct FrameSplitterTests {
    @Test func `frames come out of a stream whole, wherever it is cut`() throws {
        let stream: [UInt8] = [0, 0, 0, 1, 7, 0, 0, 0, 3, 1, 2, 3]
        for size in 1...stream.count {
            var splitter = FrameSplitter()
            var frames: [[UInt8]] = []
            for begin in stride(from: 0, to: stream.count, by: size) {
                splitter.append(stream[begin..<min(begin + size, stream.count)])
                while let frame = try splitter.next() { frames.append(frame) }
            }
            #expect(frames == [[7], [1, 2, 3]])
            #expect(splitter.heldSizeBytes == 0)
        }
    }

    @Test func `a frame has a byte at least, and no more than the bound`() throws {
        let largest = Channel.frameSizeBytesMax
        for (size, isTaken) in [(0, false), (1, true), (largest, true), (largest + 1, false)] {
            var splitter = FrameSplitter()
            splitter.append((0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) })
            if isTaken {
                let frame = try splitter.next()
                #expect(frame == nil)
            } else {
                #expect(throws: FrameSplitter.Failure.wrongSize(UInt32(size))) {
                    _ = try splitter.next()
                }
            }
        }
    }
}
