import Foundation
import Glibc
import SimulationHarness
import Synchronization

/// The results file of a study: a line of JSON for each run that is finished, and never changed.
///
/// A run that was cut off leaves at most half a line, which the next opening drops.
final class StudyStore: Sendable {
    /// The file.
    let path: String
    /// What was there when it was opened, by its keys.
    let records: [String: StudyRecord]
    private let descriptor: Mutex<Int32>

    /// How long a line may be, in bytes.
    static let lineBytesMax = 4 << 20

    /// Opens the file, or makes it.
    ///
    /// - Throws: A `StudyFileError` when another process has it, when it can't be read or written,
    ///   or when a line that is whole is none of ours; the file is unchanged then.
    init(path: String) throws {
        self.path = path
        let descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw StudyStore.failure(path, "can't be opened: \(StudyStore.cause)")
        }
        do {
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                throw StudyStore.failure(
                    path,
                    "is in use by another 'simulate study': wait for it, or name another "
                        + "folder with --out")
            }
            let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: false)
            let content = try handle.readToEnd() ?? Data()
            records = try StudyStore.records(in: content, path)
            let whole = content.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            guard whole == content.count || ftruncate(descriptor, off_t(whole)) == 0 else {
                throw StudyStore.failure(path, "can't be shortened: \(StudyStore.cause)")
            }
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = Mutex(descriptor)
    }

    deinit {
        descriptor.withLock { _ = close($0) }
    }

    /// Adds a run; it is on disk when this returns.
    func append(_ record: StudyRecord) throws {
        var line = try StudyStore.encoder.encode(record)
        line.append(UInt8(ascii: "\n"))
        try descriptor.withLock { descriptor in
            let written = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard written == line.count, fsync(descriptor) == 0 else {
                throw StudyStore.failure(path, "can't be written: \(StudyStore.cause)")
            }
        }
    }

    /// Performs something between two runs' lines, never within one.
    func undisturbed(_ action: () -> Void) {
        descriptor.withLock { _ in action() }
    }

    private static func records(in content: Data, _ path: String) throws -> [String: StudyRecord] {
        var records: [String: StudyRecord] = [:]
        var rest = content[...]
        var number = 0
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            number += 1
            let line = rest[..<end]
            rest = rest[(end + 1)...]
            let record =
                line.count <= lineBytesMax
                ? try? JSONDecoder().decode(StudyRecord.self, from: Data(line)) : nil
            guard let record else {
                throw StudyFileError(
                    file: path, line: number,
                    message: "is no run of a study: take the line away, or name another folder "
                        + "with --out")
            }
            records[record.key] = record
        }
        return records
    }

    private static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }()

    private static var cause: String { String(cString: strerror(errno)) }

    private static func failure(_ path: String, _ message: String) -> StudyFileError {
        StudyFileError(file: path, line: nil, message: message)
    }
}
