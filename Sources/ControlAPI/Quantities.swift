package import Model

/// Reads the quantities that people write on command lines.
package enum Quantities {
    /// The most restarts that `on-failure:N` may ask for, and attempts that `max_attempts` may.
    package static let restartsMax: UInt32 = 1_000_000
    /// The longest that an ended task may be kept, in seconds: ten years.
    package static let retainSecondsMax = 3_650.0 * 86_400

    /// Bytes such as `512M`, `2G` or `1048576`; units are powers of 1,024.
    package static func bytes(_ text: String) throws(InvalidInput) -> UInt64 {
        let units: [Character: UInt64] = [
            "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
        ]
        var digits = text.lowercased()[...]
        if digits.hasSuffix("ib") { digits = digits.dropLast(2) }
        if digits.hasSuffix("b") { digits = digits.dropLast() }
        var factor: UInt64 = 1
        if let last = digits.last, let unit = units[last] {
            factor = unit
            digits = digits.dropLast()
        }
        guard let number = Double(digits), number >= 0, number * Double(factor) < 1e18 else {
            throw InvalidInput("\(text) is no size; write 512M, 2G or a count of bytes")
        }
        return UInt64(number * Double(factor))
    }

    /// A duration such as `10s`, `5m`, `1h30m`, `250ms` or a count of seconds.
    package static func seconds(_ text: String) throws(InvalidInput) -> Double {
        if let plain = Double(text), plain >= 0, plain < 1e9 { return plain }
        let units: [String: Double] = ["ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400]
        var rest = text[...]
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let number = Double(digits), let factor = units[String(unit)] else {
                throw InvalidInput("\(text) is no duration; write 10s, 5m or 1h30m")
            }
            total += number * factor
        }
        guard !text.isEmpty, total < 1e9 else {
            throw InvalidInput("\(text) is no duration; write 10s, 5m or 1h30m")
        }
        return total
    }

    /// `HOST:CONTAINER[:ro|:rw]`.
    package static func volume(_ text: String) throws(InvalidInput) -> VolumeMount {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let isReadOnly = parts.count == 3 && parts[2] == "ro"
        guard parts.count == 2 || isReadOnly || parts.count == 3 && parts[2] == "rw",
            parts[0].hasPrefix("/"), parts[1].hasPrefix("/"), parts[1] != "/"
        else {
            throw InvalidInput(
                field: "volumes",
                "\(text): write HOST:CONTAINER[:ro] with absolute paths, "
                    + "such as /data:/mnt:ro")
        }
        guard !parts[0].split(separator: "/").contains("..") else {
            throw InvalidInput(
                field: "volumes", "\(text): the host's path must not contain ..")
        }
        return VolumeMount(source: parts[0], target: parts[1], isReadOnly: isReadOnly)
    }

    /// `never`, `on-node-loss`, `on-failure[:N]` or `always`; N counts restarts, as with docker.
    package static func restart(_ text: String) throws(InvalidInput) -> RestartPolicy {
        switch text {
        case "never": return .never
        case "on-node-loss": return .onNodeLoss
        case "on-failure": return .onFailure(restartsMax: nil)
        case "always": return .always
        default:
            guard text.hasPrefix("on-failure:"), let count = UInt32(text.dropFirst(11)),
                (1...restartsMax).contains(count)
            else {
                throw InvalidInput(
                    field: "restart",
                    "\(text) is no policy; write never, on-node-loss, always or "
                        + "on-failure[:N] with N from 1 to \(restartsMax)")
            }
            return .onFailure(restartsMax: count)
        }
    }

    /// How many disks must hold a task: a number from 1 on, or `majority`, which is `nil`.
    package static func ack(_ text: String) throws(InvalidInput) -> UInt32? {
        if text == "majority" { return nil }
        guard let count = UInt32(text), count >= 1 else {
            throw InvalidInput(
                field: "ack", "\(text) is neither a number from 1 on nor majority")
        }
        return count
    }

    /// A policy as people write it.
    package static func text(_ policy: RestartPolicy) -> String {
        switch policy {
        case .never: "never"
        case .onNodeLoss: "on-node-loss"
        case .onFailure(let restartsMax): restartsMax.map { "on-failure:\($0)" } ?? "on-failure"
        case .always: "always"
        }
    }

    /// A point in time as RFC 3339 with milliseconds, in UTC.
    package static func text(_ time: WallTime) -> String { time.description }
}
