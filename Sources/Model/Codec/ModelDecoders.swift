/// Everything in this target that is made from bytes or text.
package enum ModelDecoders {
    /// One line for each; new ones go here.
    package static let all: [ByteDecoder] = [
        ByteDecoder(Amendment.self),
        ByteDecoder(Amendment.Change.self),
        ByteDecoder(AttemptCount.self),
        ByteDecoder(BirthDot.self),
        ByteDecoder(BootID.self),
        ByteDecoder(CallAnswer.self),
        ByteDecoder(CallCommand.self),
        ByteDecoder(CallKey.self),
        ByteDecoder(CallProgram.self),
        ByteDecoder(ClusterID.self),
        ByteDecoder(CollectedTasks.self),
        ByteDecoder(ContainerID.self),
        ByteDecoder(Eviction.self),
        ByteDecoder(FencingToken.self),
        ByteDecoder(ImageChunk.self),
        ByteDecoder(ImageDigest.self),
        ByteDecoder(ImageName.self),
        ByteDecoder(LogChunk.self),
        ByteDecoder(LogCursor.self),
        ByteDecoder(LogStart.self),
        ByteDecoder(MachineID.self),
        ByteDecoder(NodeID.self),
        ByteDecoder(PeerAddress.self),
        ByteDecoder(ResourceUsage.self),
        ByteDecoder(RestartPolicy.self),
        ByteDecoder(SessionID.self),
        ByteDecoder(Succession.self),
        ByteDecoder(TaskID.self),
        ByteDecoder(TaskOutcome.self),
        // What is not said has its default, which is written.
        ByteDecoder(TaskSpec.self, .settled),
        ByteDecoder(TerminalSize.self),
        ByteDecoder(UsageSample.self),
        ByteDecoder(WallTime.self),
        ByteDecoder(text: "Model.ContainerID, text") { ContainerID($0)?.description },
        ByteDecoder(text: "Model.ImageDigest, text") { ImageDigest($0)?.description },
        ByteDecoder(text: "Model.ImageName, text") { ImageName($0)?.description },
        ByteDecoder(text: "Model.PeerAddress, text") { PeerAddress($0)?.description },
        ByteDecoder(text: "Model.TaskID, text") { TaskID($0)?.description },
        ByteDecoder("Model.FrameSplitter", .unwritten, frames),
    ]

    /// The same frames, or the same failure, wherever the stream is cut.
    private static func frames(_ bytes: [UInt8]) throws -> [UInt8] {
        func frames(cutEvery size: Int) -> (whole: [[UInt8]], hasFailed: Bool) {
            var splitter = FrameSplitter()
            var whole: [[UInt8]] = []
            var begin = 0
            while begin < bytes.count {
                let end = min(begin + size, bytes.count)
                splitter.append(bytes[begin..<end])
                do {
                    while let frame = try splitter.next() { whole.append(frame) }
                } catch {
                    return (whole, true)
                }
                begin = end
            }
            return (whole, false)
        }
        let whole = frames(cutEvery: max(bytes.count, 1))
        let parts = frames(cutEvery: 3)
        precondition(whole == parts, "frames hang on where a stream is cut")
        if whole.hasFailed { throw CodecError.outOfBounds }
        return []
    }
}
