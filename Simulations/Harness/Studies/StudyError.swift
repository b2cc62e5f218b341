/// Why a study can't be made as it was asked for: subject, cause and what to do, in a line.
package struct StudyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, and what would be right.
    package let description: String

    /// Makes an error.
    package init(_ description: String) {
        self.description = description
    }

    /// The same, with what it is about in front.
    func about(_ subject: String) -> StudyError { StudyError("\(subject): \(description)") }
}
