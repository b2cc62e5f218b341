import Glibc

@testable import Runner

/// A directory that is gone when nobody holds it any more.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/magpie-images-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Files.failure("make", base) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        // Also what an ordinary user may not write to.
        try? Tree.remove(Array(path.utf8))
    }
}
