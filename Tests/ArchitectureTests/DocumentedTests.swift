import Foundation
import Testing

/// Documents that name tests name such as there are.
@Suite struct DocumentedTests {
    @Test(arguments: ["Docs/Security.md"])
    func `every test that a document names exists`(path: String) throws {
        let text = try String(
            contentsOf: SourceTree.root.appendingPathComponent(path), encoding: .utf8)
        let files = SourceTree.files(below: "Tests")
        let names = DocumentedTests.names(in: text)
        #expect(!names.isEmpty)
        for (suite, name) in names {
            let isThere = files.contains { file in
                file.lines.contains { $0.contains("struct \(suite)") }
                    && file.lines.contains { $0.contains("func `\(name)`(") }
            }
            #expect(isThere, "\(path): there is no \(suite), \"\(name)\"")
        }
    }

    @Test func `names stand behind their suite`() {
        let names = DocumentedTests.names(in: "see `ATests`, \"one\",\n\"two\"; `BTests`; \"no\"")
        #expect(names.map { "\($0.suite) \($0.name)" } == ["ATests one", "ATests two"])
    }

    /// All tests that are named behind their suite.
    private static func names(in text: String) -> [(suite: String, name: String)] {
        let line = text.replacing("\n", with: " ")
        return line.matches(of: /`(\w+Tests)`((?:,\s*"[^"]+")+)/).flatMap { match in
            match.2.matches(of: /"([^"]+)"/).map { (String(match.1), String($0.1)) }
        }
    }
}
