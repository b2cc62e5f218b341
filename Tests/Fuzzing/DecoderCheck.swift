package import Model

extension ByteDecoder {
    /// Lets the decoder read bytes, and looks at what it makes of them.
    ///
    /// - Returns: What is wrong with it; `nil` when it keeps its promises. A trap is not caught.
    package func violation(for bytes: [UInt8]) -> String? {
        guard let written = try? rewrite(bytes) else { return nil }
        switch form {
        case .unwritten: return nil
        case .canonical:
            guard written != bytes else { return nil }
            return "reads \(Hex.text(bytes)) and writes \(Hex.text(written))"
        case .settled:
            guard let again = try? rewrite(written) else {
                return "can't read what it writes: \(Hex.text(written)), of \(Hex.text(bytes))"
            }
            guard again != written else { return nil }
            return "writes \(Hex.text(written)), and having read that \(Hex.text(again))"
        }
    }

    /// Whether the decoder takes these bytes.
    package func accepts(_ bytes: [UInt8]) -> Bool { (try? rewrite(bytes)) != nil }
}

/// Bytes as hexadecimal digits.
package enum Hex {
    /// Two digits for each byte, in lower case.
    package static func text(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(2 * bytes.count)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads what `text` gave; `nil` for anything else.
    package static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index..<index + 2], as: UTF8.self)
            guard let byte = UInt8(pair, radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
