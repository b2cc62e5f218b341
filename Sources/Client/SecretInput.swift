import Foundation
import Glibc

/// Reads secrets where nobody sees them: not on command lines, nor in the environment.
enum SecretInput {
    /// The longest secret, in bytes.
    private static let sizeBytesMax = 4_096

    /// Reads a line of a file that nobody else can read.
    static func file(_ path: String) throws -> String {
        var attributes = stat()
        guard stat(path, &attributes) == 0 else {
            throw ClientFailure("--token-file \(path): there is no such file, or it can't be read")
        }
        guard attributes.st_mode & 0o077 == 0 else {
            throw ClientFailure(
                "--token-file \(path): others can read it; run: chmod 600 \(path)")
        }
        guard let data = FileManager.default.contents(atPath: path), data.count <= sizeBytesMax
        else { throw ClientFailure("--token-file \(path): it can't be read") }
        return try line(String(decoding: data, as: UTF8.self), of: "--token-file \(path)")
    }

    /// How the terminal was before it was told to hide what is typed.
    nonisolated(unsafe) private static var shown = termios()

    /// Asks at the terminal without showing what is typed, or reads a line of the input.
    static func input(prompt: String) throws -> String {
        guard isatty(0) != 0 else { return try line(readLine() ?? "", of: "the input") }
        guard tcgetattr(0, &shown) == 0 else {
            throw ClientFailure("the terminal can't be told to hide what is typed")
        }
        var hidden = shown
        hidden.c_lflag &= ~tcflag_t(ECHO)
        // Whoever interrupts wants to see again what is typed.
        let former = signal(SIGINT) { _ in
            tcsetattr(0, TCSAFLUSH, &SecretInput.shown)
            _exit(130)
        }
        tcsetattr(0, TCSAFLUSH, &hidden)
        defer {
            tcsetattr(0, TCSAFLUSH, &shown)
            signal(SIGINT, former)
            Output.error("")
        }
        FileHandle.standardError.write(Data(prompt.utf8))
        return try line(readLine() ?? "", of: "the terminal")
    }

    /// Asks a question that is answered with yes or no, at the terminal.
    static func confirm(_ question: String) -> Bool {
        guard let terminal = fopen("/dev/tty", "r+") else { return false }
        defer { fclose(terminal) }
        fputs("\(question) [yes/no] ", terminal)
        var answer = [CChar](repeating: 0, count: 64)
        guard fgets(&answer, Int32(answer.count), terminal) != nil else { return false }
        let text = String(decoding: answer.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
        return text.trimmingCharacters(in: .whitespacesAndNewlines).lowercased() == "yes"
    }

    private static func line(_ text: String, of source: String) throws -> String {
        let line = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        let token = line.trimmingCharacters(in: .whitespaces)
        guard !token.isEmpty, token.utf8.count <= sizeBytesMax,
            !token.contains(where: \.isWhitespace)
        else { throw ClientFailure("login: there is no token in \(source)") }
        return token
    }
}
