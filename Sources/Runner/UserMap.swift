/// Which users, or groups, a user namespace has: lines of `/proc/PID/uid_map`.
struct UserMap: Hashable, Sendable {
    /// Numbers that stand for as many others outside.
    struct Range: Hashable, Sendable {
        var inside: UInt64
        var outside: UInt64
        var count: UInt64
    }

    /// In the order of the map.
    let ranges: [Range]

    init(_ ranges: [Range]) { self.ranges = ranges }

    /// Reads a map as the kernel shows it; what is no line of three numbers is passed over.
    init(text: String) {
        ranges = text.split(separator: "\n").compactMap { line in
            let numbers = line.split(separator: " ").compactMap { UInt64($0) }
            guard numbers.count == 3 else { return nil }
            return Range(inside: numbers[0], outside: numbers[1], count: numbers[2])
        }
    }

    /// Whether a number is somebody there.
    func contains(_ id: UInt32) -> Bool {
        ranges.contains { UInt64(id) >= $0.inside && UInt64(id) - $0.inside < $0.count }
    }

    /// How many there are.
    var count: UInt64 { ranges.reduce(0) { $0 &+ $1.count } }

    /// As the kernel and the tools that write maps want it.
    var words: String {
        ranges.map { "\($0.inside) \($0.outside) \($0.count)" }.joined(separator: " ")
    }

    // MARK: Subordinate numbers

    /// The most ranges that one user may have in `/etc/subuid`; more are passed over.
    static let subordinatesMax = 16
    /// Numbers from here on are no users; the kernel's `(uid_t) -1` lies beyond.
    private static let numberEnd: UInt64 = 1 << 31

    /// A map with the user as root, and with the numbers that a list such as `/etc/subuid` gives to him.
    ///
    /// - Parameters:
    ///   - id: The user, or his group, outside.
    ///   - list: Lines of `USER:FIRST:COUNT`.
    ///   - owners: How the user is called in the list: by name and by number.
    init(root id: UInt32, list: String, owners: Set<String>) {
        var ranges = [Range(inside: 0, outside: UInt64(id), count: 1)]
        for line in list.split(separator: "\n") where ranges.count <= UserMap.subordinatesMax {
            let words = line.split(separator: ":", omittingEmptySubsequences: false)
            guard words.count == 3, owners.contains(String(words[0])),
                let first = UInt64(words[1]), let count = UInt64(words[2]), count > 0,
                first < UserMap.numberEnd, count <= UserMap.numberEnd - first,
                let last = ranges.last, last.inside + last.count + count <= UserMap.numberEnd
            else { continue }
            ranges.append(
                Range(inside: last.inside + last.count, outside: first, count: count))
        }
        self.ranges = ranges
    }
}
