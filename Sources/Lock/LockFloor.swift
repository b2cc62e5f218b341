package import Model

/// How far the log is committed at least, as a voter that led it has signed.
///
/// A voter whose disk was rolled back does not know what it has forgotten; others do.
package struct LockFloor: Hashable, Sendable {
    /// The lock's generation, and the index of an entry that is committed in it.
    package var mark: FencingToken
    /// Who led when it was committed.
    package var signer: NodeID
    /// Its signature of `statement`.
    package var signature: [UInt8]

    /// The longest signature.
    static let signatureSizeBytesMax = 128

    /// Makes a floor.
    package init(mark: FencingToken, signer: NodeID, signature: [UInt8]) {
        self.mark = mark
        self.signer = signer
        self.signature = signature
    }

    /// What is signed.
    package static func statement(of mark: FencingToken) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw("floor-1".utf8)
        mark.encode(into: &writer)
        return writer.bytes
    }
}

extension LockFloor: WireCodable {
    static let key: [UInt8] = [3]

    /// Writes mark, signer and signature.
    package func encode(into writer: inout ByteWriter) {
        mark.encode(into: &writer)
        signer.encode(into: &writer)
        writer.blob(signature)
    }

    /// Reads mark, signer and signature.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let mark = try FencingToken(from: &reader)
        let signer = try NodeID(from: &reader)
        let signature = Array(try reader.blob(max: LockFloor.signatureSizeBytesMax))
        self.init(mark: mark, signer: signer, signature: signature)
    }
}
