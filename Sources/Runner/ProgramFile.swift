/// Tells from a program's first bytes whether the kernel could run it.
///
/// The runtime finds out only when it has replaced itself, and then nobody hears of it but the
/// task's own output.
struct ProgramFile {
    let tree: RootTree

    /// How much of a file is looked at; a script's first line is no longer than 256 bytes.
    private static let headSizeBytes = 4_096
    private static let lineSizeBytes = 256
    private static let interpretersMax = 5

    /// What is wrong with a program, in words; `nil` when nothing is, as far as can be seen.
    func problem(of path: String, mounts: [String]) -> String? {
        var program = path
        for _ in 0..<ProgramFile.interpretersMax {
            guard let head = tree.read(program, limit: ProgramFile.headSizeBytes) else {
                return nil
            }
            if head.starts(with: [0x7F, 0x45, 0x4C, 0x46]) {
                return Self.kernelKnowsMore
                    ? nil : ElfHead(bytes: head).problem(of: program, in: tree, mounts: mounts)
            }
            guard head.starts(with: Array("#!".utf8)) else {
                return Self.kernelKnowsMore
                    ? nil : "\(program): not a program for this machine (exec format error)"
            }
            let line = head.prefix(ProgramFile.lineSizeBytes).dropFirst(2).prefix {
                $0 != UInt8(ascii: "\n")
            }
            let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
            guard let interpreter = words.first.map(String.init) else {
                return "\(program): names no interpreter behind #! (exec format error)"
            }
            guard let entry = tree.entry(interpreter) else {
                // A link may lead into what is mounted: only the runtime can tell.
                return !mounts.isEmpty
                    ? nil : "\(program): its interpreter \(interpreter) is not in the container"
            }
            guard entry.isFile, entry.mode & 0o111 != 0 else {
                return "\(program): its interpreter \(interpreter) can't be executed"
            }
            program = interpreter
        }
        return "\(path): its interpreters name each other"
    }

    /// Other formats may be known to the kernel by way of `binfmt_misc`.
    private static var kernelKnowsMore: Bool {
        !Files.names(in: "/proc/sys/fs/binfmt_misc").filter {
            !["register", "status"].contains($0)
        }
        .isEmpty
    }
}

/// The first bytes of a program in the format of Linux.
struct ElfHead {
    let bytes: [UInt8]

    /// What is wrong with the program, in words; `nil` when nothing is, as far as can be seen.
    func problem(of program: String, in tree: RootTree, mounts: [String]) -> String? {
        guard let machine = number(at: 18, size: 2) else { return nil }
        guard Self.machines.contains(machine) else {
            return "\(program): made for another processor (exec format error)"
        }
        guard mounts.isEmpty, let loader, tree.entry(loader) == nil else { return nil }
        return "\(program): the loader \(loader) that it needs is not in the container"
    }

    /// The program that the kernel starts in place of this one, if it is dynamically linked.
    private var loader: String? {
        // 64 bits, the lowest byte first: the others are left to the runtime.
        guard bytes.count > 64, bytes[4] == 2, bytes[5] == 1,
            let begin = number(at: 32, size: 8), let size = number(at: 54, size: 2),
            let count = number(at: 56, size: 2), size >= 56, begin < bytes.count
        else { return nil }
        for index in 0..<min(count, 64) {
            let header = Int(begin) + Int(index * size)
            guard let kind = number(at: header, size: 4) else { return nil }
            guard kind == Self.loaderHeader else { continue }
            guard let offset = number(at: header + 8, size: 8),
                let length = number(at: header + 32, size: 8), offset < bytes.count,
                length < bytes.count, Int(offset + length) <= bytes.count
            else { return nil }
            let name = bytes[Int(offset)..<Int(offset + length)].prefix { $0 != 0 }
            return String(decoding: name, as: UTF8.self)
        }
        return nil
    }

    private func number(at offset: Int, size: Int) -> UInt64? {
        guard offset >= 0, offset + size <= bytes.count else { return nil }
        return bytes[offset..<offset + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// PT_INTERP.
    private static let loaderHeader: UInt64 = 3

    #if arch(arm64)
        private static let machines: Set<UInt64> = [183, 40]
    #else
        private static let machines: Set<UInt64> = [62, 3]
    #endif
}
