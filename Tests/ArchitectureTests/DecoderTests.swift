import Foundation
import Testing

/// Nothing is made from bytes that fuzzing does not know.
@Suite struct DecoderTests {
    /// The lists of decoders, one in each target that has some.
    private static let lists = SourceTree.files(below: "Sources").filter {
        $0.path.hasSuffix("Decoders.swift")
    }

    private static let listed = lists.flatMap(\.lines).joined(separator: "\n")

    @Test func `every type that reads itself from bytes or JSON is in a list of decoders`() {
        var count = 0
        for file in SourceTree.files(below: "Sources") {
            for name in DecoderTests.readables(in: file.lines)
            where !DecoderTests.onlyWritten.contains(name) {
                count += 1
                #expect(
                    DecoderTests.listed.contains("(\(name).self")
                        || DecoderTests.listed.contains("reflecting: \(name).self"),
                    "\(file.path): \(name) is in no list: see HANDBOOK, 'A decoder'")
            }
        }
        #expect(count > 80, "the scan finds too little")
    }

    @Test func `every file that takes bytes apart has a decoder for it`() {
        let words = [
            "ByteReader(", "JSONDecoder()", "JSONSerialization.jsonObject", "JSONText.object(",
        ]
        for file in SourceTree.files(below: "Sources") {
            guard !file.path.hasSuffix("Decoders.swift"), !file.path.contains("/Codec/"),
                file.lines.contains(where: { line in
                    words.contains(where: line.contains) && !line.contains("static func object(")
                })
            else { continue }
            #expect(
                DecoderTests.covered[file.path] != nil,
                "\(file.path) reads bytes, and no decoder is named for it in this test")
        }
        for (path, decoder) in DecoderTests.covered {
            #expect(
                decoder.isEmpty || DecoderTests.listed.contains(decoder),
                "\(path) is read by \(decoder), which is in no list")
        }
    }

    /// Types that could be read, and never are, or from files of this node or user alone.
    private static let onlyWritten: Set<String> = [
        "TaskEvent", "Doctor.Finding", "Login", "APICertificate.Kept", "APITokenRecord",
        "APITokenBook",
    ]

    /// Files that take bytes apart, and the decoder that does it; empty where only this node's own
    /// programs have written what is read.
    private static let covered: [String: String] = [
        "Sources/Client/Connection.swift": "SubmitReply.self",
        "Sources/Client/EventsCommand.swift": "ControlAPI.EventLines",
        "Sources/Client/Login.swift": "",
        "Sources/Cluster/Images/ImageMessage.swift": "Cluster.ImageMessage",
        "Sources/Cluster/Table/AttemptRow.swift": "AttemptRow.self",
        "Sources/Cluster/Table/TableRow.swift": "Cluster.TableRow",
        "Sources/Cluster/Table/TaskDelta.swift": "TaskDelta.self",
        "Sources/Cluster/Table/UnknownFields.swift": "Cluster.UnknownFields",
        "Sources/Cluster/Work/PeerMessage.swift": "Cluster.PeerMessage",
        "Sources/ControlAPI/StreamLines.swift": "ControlAPI.FrameLines",
        "Sources/Daemon/APIServer.swift": "SubmitRequest.self",
        "Sources/Daemon/Access/APICertificate.swift": "",
        "Sources/Daemon/Access/APITokenDesk.swift": "",
        "Sources/Daemon/LocalAPI.swift": "TokenView.self",
        "Sources/Gossip/Envelope.swift": "Gossip.Envelope",
        "Sources/Gossip/MembershipRows.swift": "",
        "Sources/Gossip/NodeMetadata.swift": "NodeMetadata.self",
        "Sources/Gossip/StreamStanding.swift": "Gossip.Envelope",
        "Sources/Model/ContainerOptions+WireCodable.swift": "TaskSpec.self",
        "Sources/Model/TaskSpec+WireCodable.swift": "TaskSpec.self",
        "Sources/Runner/ContainerRunner+Lifecycle.swift": "",
        "Sources/Runner/ContainerRunner+Usage.swift": "",
        "Sources/Runner/Images/ImageCatalog.swift": "",
        "Sources/Runner/Images/ImageConfiguration.swift": "Runner.ImageConfiguration",
        "Sources/Runner/Images/ImageManifest.swift": "Runner.ImageManifest",
        "Sources/Runner/LogCopyStore.swift": "Runner.LogCopyStore",
        "Sources/Runner/ProgramSpecification.swift": "",
        "Sources/Runner/SeccompProfile.swift": "Runner.SeccompProfile",
    ]

    @Test func `the scan finds types by what they conform to`() {
        let lines = [
            "extension A.B: WireCodable {", "package struct C: Codable, Sendable {",
            "    package struct D: Hashable, Decodable {", "package protocol WireCodable {",
            "    package enum Level: String, Codable, Sendable {", "struct F<T: Decodable> {",
        ]
        #expect(DecoderTests.readables(in: lines) == ["A.B", "C", "C.D"])
    }

    /// The types that a file makes readable; of a type inside another one, the whole name.
    ///
    /// Enumerations with raw values are left out: they are read with what holds them.
    private static func readables(in lines: [String]) -> [String] {
        var names: [String] = []
        var outer = ""
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            guard
                let place = words.firstIndex(where: {
                    ["struct", "extension", "enum"].contains($0)
                }),
                place < 2, words.count > place + 1
            else { continue }
            let name = words[place + 1].prefix { $0 != ":" && $0 != "<" }
            if line.first != " " { outer = String(name) }
            let conformances = words[(place + 2)...].map { $0.filter { $0 != "," } }
            let isRaw = conformances.first == "String"
            guard words[place + 1].hasSuffix(":"), !isRaw,
                conformances.contains(where: {
                    ["WireCodable", "Codable", "Decodable"].contains($0)
                })
            else { continue }
            names.append(line.first == " " ? "\(outer).\(name)" : String(name))
        }
        return names
    }
}
