package import Model

/// Everything in this target that is made from bytes.
package enum ClusterDecoders {
    /// One line for each; new ones go here.
    package static let all: [ByteDecoder] = [
        ByteDecoder(AttemptRow.self),
        ByteDecoder(DotPage.self),
        ByteDecoder(ImageCatalog.Row.self),
        ByteDecoder(PushReach.self),
        ByteDecoder(RowPatch.self),
        // A delta that can't be read is left out.
        ByteDecoder(TableDeltas.self, .settled),
        ByteDecoder(TableMessage.self, .settled),
        // What can't be placed in a row is not written again.
        ByteDecoder(TaskDelta.self, .settled),
        ByteDecoder(TaskRecord.Close.self),
        ByteDecoder(TaskRecord.Submission.self, .settled),
        ByteDecoder("Cluster.ImageMessage", .canonical) { bytes in
            try ImageMessage(decoding: bytes).encoded
        },
        ByteDecoder("Cluster.PeerMessage", .canonical) { bytes in
            try PeerMessage(decoding: bytes).encoded
        },
        ByteDecoder("Cluster.TableRow", .unwritten) { bytes in
            // The key comes first; all of them have one of two sizes.
            let size = min(bytes.first.map { $0 < 3 ? 9 : 17 } ?? 0, bytes.count)
            let row = DurableImage.Row(
                key: Array(bytes[..<size]), value: Array(bytes[size...]))
            _ = try TableRow.read(row)
            return []
        },
        ByteDecoder("Cluster.UnknownFields", .settled) { bytes in
            var writer = ByteWriter()
            try UnknownFields(frames: bytes).encode(into: &writer)
            return writer.bytes
        },
    ]
}
