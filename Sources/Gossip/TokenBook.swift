package import Model

/// What the member that made a token keeps of it: everything but its secret.
package struct TokenRecord: Hashable, Sendable {
    /// The token's public key.
    package var tokenKey: PublicKey
    /// When it expires, by this node's wall clock.
    package var expiry: WallTime
    /// How many nodes it lets in; `nil` for any number.
    package var usesMax: UInt32?
    /// Whether it was taken back.
    package var isRevoked = false

    /// What people call the token by, which gives nothing of its secret away.
    package var name: String { TokenRecord.name(of: tokenKey) }

    static func name(of tokenKey: PublicKey) -> String {
        String("\(tokenKey.id)".prefix(nameSizeBytes))
    }

    /// How many hexadecimal digits a token's name has.
    package static let nameSizeBytes = 12
}

extension TokenRecord: WireCodable {
    /// Writes all fields; the bound of its uses is one more than it says, 0 for none.
    package func encode(into writer: inout ByteWriter) {
        tokenKey.encode(into: &writer)
        expiry.encode(into: &writer)
        writer.varint(usesMax.map { UInt64($0) + 1 } ?? 0)
        writer.bool(isRevoked)
    }

    /// Reads all fields.
    package init(from reader: inout ByteReader) throws(CodecError) {
        tokenKey = try PublicKey(from: &reader)
        expiry = try WallTime(from: &reader)
        let uses = try reader.varint()
        guard uses <= UInt64(UInt32.max) + 1 else { throw .outOfBounds }
        usesMax = uses == 0 ? nil : UInt32(uses - 1)
        isRevoked = try reader.bool()
    }
}

/// The tokens that this node has made and that may still be good.
///
/// A token that is not in here lets nobody in.
struct TokenBook: Sendable {
    private var records: [PublicKey: TokenRecord] = [:]

    /// The most tokens of one node that have not expired.
    static let tokensMax = 4_096

    var isFull: Bool { records.count >= TokenBook.tokensMax }

    subscript(tokenKey: PublicKey) -> TokenRecord? { records[tokenKey] }

    /// All of them, those that expire first in front.
    var all: [TokenRecord] {
        records.values.sorted { ($0.expiry, $0.tokenKey) < ($1.expiry, $1.tokenKey) }
    }

    mutating func put(_ record: TokenRecord) { records[record.tokenKey] = record }

    /// Forgets what has expired; returns what was forgotten, in order.
    mutating func forgetExpired(at wall: WallTime) -> [PublicKey] {
        let expired = records.values.filter { $0.expiry <= wall }.map(\.tokenKey).sorted()
        for tokenKey in expired { records[tokenKey] = nil }
        return expired
    }
}
