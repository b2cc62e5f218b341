import Glibc

/// What clients send to be made an image.
extension ImageStore {
    /// Writes what comes into a file, which is gone once `body` has ended, and at the next start.
    ///
    /// - Parameters:
    ///   - pieces: The bytes, in order.
    ///   - sizeBytesMax: How many there may be.
    ///   - body: Is given the file's path.
    /// - Returns: What `body` does.
    /// - Throws: `.tooLarge`, `.noSpace`; what `pieces` and `body` throw. Nothing is left behind.
    package func withUpload<Value>(
        of pieces: some AsyncSequence<[UInt8], any Error>, sizeBytesMax: UInt64,
        _ body: (String) async throws -> Value
    ) async throws -> Value {
        let file = try await perform(on: light) { [self] () throws(ImageError) in
            try UploadFile(in: "\(directory)/work")
        }
        var sizeBytes: UInt64 = 0
        for try await piece in pieces {
            sizeBytes += UInt64(piece.count)
            guard sizeBytes <= sizeBytesMax else {
                throw ImageError(
                    .tooLarge, "an import may have \(sizeBytesMax >> 30) GiB, and this has more")
            }
            try await perform(on: light) { () throws(ImageError) in
                try Files.writeAll(piece, to: file.descriptor, file.path)
            }
        }
        do {
            return try await body(file.path)
        } catch let error as ImageError {
            // The sender knows no such path.
            throw ImageError(
                error.code, error.description.replacing(file.path, with: "what was sent"))
        }
    }
}

/// A file of this process's own; removed when nobody needs it any more.
private final class UploadFile: Sendable {
    let path: String
    let descriptor: Int32

    init(in directory: String) throws(ImageError) {
        var template = Array("\(directory)/upload-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard descriptor >= 0 else { throw .system("make", path) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    deinit {
        close(descriptor)
        unlink(path)
    }
}
