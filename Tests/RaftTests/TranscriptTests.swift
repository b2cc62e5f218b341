import Foundation
import Testing

@testable import Raft

/// Directed schedules as text: each command is followed by what it changed.
///
/// `MAGPIE_REWRITE=1 swift test --filter Transcript` writes the files anew; review them as a diff.
@Suite struct TranscriptTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Transcripts")

    static var names: [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return all.filter { $0.hasSuffix(".txt") }.sorted()
    }

    static func text(of name: String) throws -> String {
        try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
    }

    @Test(arguments: names)
    func `a schedule plays as it is written`(name: String) throws {
        let text = try TranscriptTests.text(of: name)
        let (played, violations) = try Transcript.play(text, mutation: nil)
        #expect(violations.isEmpty)
        if ProcessInfo.processInfo.environment["MAGPIE_REWRITE"] == "1" {
            let file = TranscriptTests.folder.appendingPathComponent(name)
            try played.write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(played == text)
        }
    }
}
