/// What is wrong with a study file: where, what about, and what would be right.
struct StudyFileError: Error, CustomStringConvertible {
    /// The file.
    var file: String
    /// The line, from 1; `nil` when it is about the file as a whole.
    var line: Int?
    /// Subject, cause and what is allowed.
    var message: String

    var description: String {
        let place = line.map { "\(file):\($0)" } ?? file
        return "\(place): \(message)"
    }
}
