import Foundation
import Testing

/// One Swift file of the repository, as lines.
struct SourceFile: Sendable, CustomTestStringConvertible {
    /// The path below the repository's root.
    let path: String
    let lines: [String]

    var testDescription: String { path }

    /// The modules that the file imports.
    var imports: [String] {
        lines.compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard let position = words.firstIndex(of: "import"), position <= 2,
                words[..<position].allSatisfy({ SourceFile.importModifiers.contains($0) }),
                let name = words.last
            else { return nil }
            return String(name.prefix { $0 != "." })
        }
    }

    private static let importModifiers: Set<String> = [
        "package", "public", "internal", "private", "fileprivate", "@preconcurrency",
        "@testable",
    ]
}

/// The repository's Swift sources, read once.
enum SourceTree {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The Swift files below a folder, in order of their paths.
    static func files(below folder: String) -> [SourceFile] {
        let base = root.appendingPathComponent(folder)
        let paths = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String }
        return (paths ?? []).filter { $0.hasSuffix(".swift") }.sorted().compactMap { path in
            let url = base.appendingPathComponent(path)
            guard let text = try? String(contentsOf: url, encoding: .utf8) else { return nil }
            return SourceFile(
                path: "\(folder)/\(path)", lines: text.components(separatedBy: "\n"))
        }
    }
}
