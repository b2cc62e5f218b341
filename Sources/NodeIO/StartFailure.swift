/// Why a node does not start: subject, operation, cause and remedy.
package struct StartFailure: Error {
    /// The whole sentence.
    package var message: String
    /// Whether a file is not what was written.
    var isDamage = false

    /// Makes a failure.
    package init(_ message: String) {
        self.message = message
    }
}
