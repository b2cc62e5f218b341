import Glibc

/// Why the image store could not do something.
///
/// Whatever the code, the operation left nothing behind, save what its documentation names.
package struct ImageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of trouble; more may be added.
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code as it may be shown to programs.
        package let description: String

        /// A name or reference breaks the grammar.
        package static let invalidName = Code("invalid_name")
        /// There is no such image, blob, file or directory.
        package static let notFound = Code("not_found")
        /// The input is not what an image can be made of.
        package static let notAnImage = Code("not_an_image")
        /// An archive names paths that lead out of it.
        package static let unsafePath = Code("unsafe_path")
        /// There is nothing in the input.
        package static let empty = Code("empty")
        /// The input ends too early.
        package static let truncated = Code("truncated")
        /// Content is not what its digest says.
        package static let corrupt = Code("corrupt")
        /// A bound of the store was exceeded.
        package static let tooLarge = Code("too_large")
        /// An image for another kind of machine.
        package static let otherPlatform = Code("other_platform")
        /// The image can't be used before blobs have come that are missing.
        package static let incomplete = Code("incomplete")
        /// Somebody else does the same at the moment.
        package static let busy = Code("busy")
        /// The disk is full.
        package static let noSpace = Code("no_space")
        /// A program is missing; the message names its Debian package.
        package static let missingProgram = Code("missing_program")
        /// The registry refused the credentials, or wants some.
        package static let denied = Code("denied")
        /// The registry's certificate is not trusted.
        package static let untrusted = Code("untrusted")
        /// The registry can't be reached.
        package static let unreachable = Code("unreachable")
        /// It took too long.
        package static let timedOut = Code("timed_out")
        /// The operating system or a program refused.
        package static let failed = Code("failed")

        private init(_ description: String) {
            self.description = description
        }
    }

    /// The kind.
    package let code: Code
    /// The whole sentence, for people.
    package let description: String

    /// Makes an error.
    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    /// What the last system call said, with its operation and subject.
    static func system(_ operation: String, _ path: String, errno code: Int32 = errno)
        -> ImageError
    {
        let kind: Code
        switch code {
        case ENOSPC, EDQUOT: kind = .noSpace
        case ENOENT: kind = .notFound
        default: kind = .failed
        }
        return ImageError(kind, "can't \(operation) \(path): \(String(cString: strerror(code)))")
    }

    /// An error of the runner's helpers, which know sentences only.
    init(_ error: RunnerError) {
        let isFull = error.description.hasSuffix(String(cString: strerror(ENOSPC)))
        self.init(isFull ? .noSpace : .failed, error.description)
    }
}
