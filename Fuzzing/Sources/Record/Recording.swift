import ControlAPI
import Foundation
import Fuzzing
import Gossip
import Model
import SimulationHarness

/// What real nodes write, for fuzzing to begin with.
///
/// Everything is offered to all decoders: what one of them takes is a good beginning for it,
/// wherever it comes from.
struct Recording {
    private var samples: Set<[UInt8]> = []

    /// How many samples of one decoder are written.
    private static let countMax = 2_000
    /// About how many packets of a run are looked at: every decoder tries each.
    private static let packetsMax = 4_000

    init() {
        recordRun()
        recordSchemas()
        recordAmendments()
        samples.insert(Recording.archive)
        samples.insert(Recording.log)
        samples.insert(Array("root:x:0:0:r:/root:/bin/sh\nu:x:1:1:u:/h:/s\n".utf8))
        let spec = TaskSpec(command: ["a"]).encoded
        samples.insert(spec)
        samples.insert(
            BirthDot(origin: BootID(5), sequence: 1).encoded
                + WallTime(milliseconds: 1).encoded + spec)
        if let name = ImageName("busybox:1.36") { samples.insert(name.encoded) }
        samples.insert([0, 0, 0, 1, 7, 0, 0, 0, 2, 1, 2])
        for text in Recording.texts { samples.insert(Array(text.utf8)) }
        let tokens = samples.compactMap { try? JoinToken(decoding: $0) }
        for token in tokens { samples.insert(Array(token.text.utf8)) }
    }

    func write(to folder: URL) throws {
        let all = samples.sorted { ($0.count, Hex.text($0)) < ($1.count, Hex.text($1)) }
        for decoder in DecoderTable.all {
            let taken = all.filter { decoder.accepts($0) }
            let step = max(1, taken.count / Recording.countMax)
            let chosen = stride(from: 0, to: taken.count, by: step).map { taken[$0] }
            try EncodingFolder(folder).add(chosen, for: decoder)
        }
    }

    // MARK: Nodes

    private mutating func recordRun() {
        var scenario = Scenario(seed: 7, nodeCount: 5, taskCount: 60)
        scenario.retention = .seconds(5)
        let run = World.record(scenario)
        let step = max(1, run.packets.count / Recording.packetsMax)
        for place in stride(from: 0, to: run.packets.count, by: step) {
            let packet = run.packets[place]
            samples.insert(packet)
            // As of the cluster for which the decoder of envelopes reads.
            samples.insert(
                packet.prefix(1) + Array("magpie!!".utf8) + packet.dropFirst(9))
            // Between header and signature is what is said; in that, one part of the node's word.
            let message = packet.dropFirst(41).dropLast(Signature.sizeBytes)
            samples.insert(Array(message))
            // Of a datagram with the tag of its encryption, which in simulations hides nothing.
            samples.insert(Array(message.dropLast(16)))
            for channel in [Channel.datagram, .stream] {
                guard let payload = GossipInspection.describe(packet, via: channel).payload else {
                    continue
                }
                samples.insert(payload)
                samples.insert(Array(payload.dropFirst()))
            }
        }
        for row in run.rows {
            samples.insert(row.key)
            samples.insert(row.value)
            samples.insert(row.key + row.value)
        }
    }

    /// Few runs have any.
    private mutating func recordAmendments() {
        let (first, second) = (NodeID(Wide128(high: 1, low: 2)), NodeID(Wide128(high: 3, low: 4)))
        let eviction = Eviction(
            nodes: [first], spared: [second], author: second, time: WallTime(milliseconds: 5))
        var succession = Succession(
            node: first, serial: 1, newKey: [UInt8](repeating: 1, count: Succession.keySizeBytes),
            spared: [second])
        succession.signature = [UInt8](repeating: 2, count: Succession.signatureSizeBytes)
        samples.insert(eviction.encoded)
        samples.insert(succession.encoded)
        for change in [Amendment.Change.eviction(eviction), .succession(succession)] {
            let amendment = Amendment(mark: FencingToken(generation: 1, index: 9), change: change)
            samples.insert(change.encoded)
            samples.insert(amendment.encoded)
            // As a certificate: who signs, and the signature.
            samples.insert(amendment.encoded + second.encoded + succession.signature)
        }
    }

    // MARK: The API

    /// One object for each schema of the API's description, with all of its fields.
    private mutating func recordSchemas() {
        let document = try? JSONSerialization.jsonObject(with: Data(APIDescription.openAPI))
        let components = (document as? [String: Any])?["components"] as? [String: Any]
        let schemas = components?["schemas"] as? [String: [String: Any]] ?? [:]
        func sample(_ schema: [String: Any]) -> Any {
            if let reference = schema["$ref"] as? String,
                let name = reference.split(separator: "/").last
            {
                return sample(schemas[String(name)] ?? [:])
            }
            if let first = (schema["enum"] as? [Any])?.first { return first }
            if let first = (schema["oneOf"] as? [[String: Any]])?.first { return sample(first) }
            switch schema["type"] as? String ?? (schema["type"] as? [String])?.first {
            case "object":
                let properties = schema["properties"] as? [String: [String: Any]] ?? [:]
                return properties.mapValues(sample)
            case "array": return [sample(schema["items"] as? [String: Any] ?? [:])]
            case "integer": return 7
            case "number": return 1.5
            case "boolean": return true
            default: return "abcd"
            }
        }
        // What is inside of one is a beginning, too.
        let inner = schemas.values.flatMap { schema in
            (schema["properties"] as? [String: [String: Any]] ?? [:]).values
        }
        for schema in Array(schemas.values) + inner {
            let options: JSONSerialization.WritingOptions = [.sortedKeys, .fragmentsAllowed]
            guard
                let data = try? JSONSerialization.data(
                    withJSONObject: sample(schema), options: options)
            else { continue }
            samples.insert(Array(data))
            samples.insert(Array("data: ".utf8) + data + [0x0A])
            samples.insert(Array(data) + [0x0A])
        }
    }

    // MARK: Files and words

    private static let digest = "sha256:" + String(repeating: "0a", count: 32)

    private static let texts = [
        "on-failure:3", "10s", "1h30m", "512M", "/a:/b:ro", "nofile=1:2", "/tmp:size=4M", "SIGTERM",
        "10.0.0.1:7946", "[::1]:7946", "busybox:1.36", "localhost:5000/a/b:c@" + digest, digest,
        "12 4026531836", "0190a0b0-c0d0-7000-8000-0123456789ab",
        "0190a0b0-c0d0-7000-8000-0123456789ab.1.2", "2026-11-24T10:00:00Z",
        #"{"schemaVersion":2,"config":{"digest":"\#(digest)","size":2},"layers":[{"mediaType":"#
            + #""application/vnd.oci.image.layer.v1.tar+gzip","digest":"\#(digest)","size":3}]}"#,
        #"{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"\#(digest)","#
            + #""size":1,"platform":{"os":"linux","architecture":"amd64"},"annotations":"#
            + #"{"org.opencontainers.image.ref.name":"latest"}}]}"#,
        #"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["\#(digest)"]},"config":{"#
            + #""Entrypoint":["a"],"Cmd":["b"],"Env":["A=b"],"User":"u:g","WorkingDir":"/w","#
            + #""StopSignal":"SIGINT","Labels":{"k":"v"}}}"#,
        #"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"syscalls":[{"names":["read"],"#
            + #""action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}],"#
            + #""includes":{"caps":["CAP_CHOWN"]},"excludes":{}}]}"#,
    ]

    private static let log = Array(
        """
        2026-11-24T10:00:00.123456789+01:00 stdout F one
        2026-11-24T10:00:00.123456789+01:00 stderr P two
        2026-11-24T10:00:01.000000000+00:00 stderr F three

        """.utf8)

    /// A directory, a file in it, a link to that, and a whiteout.
    private static let archive: [UInt8] =
        header("d/", "5", size: 0) + header("d/f", "0", size: 3) + [1, 2, 3]
        + [UInt8](repeating: 0, count: 509) + header("d/l", "1", size: 0, link: "d/f")
        + header("d/s", "2", size: 0, link: "f") + header("d/.wh.f", "0", size: 0)
        + [UInt8](repeating: 0, count: 1_024)

    private static func header(
        _ name: String, _ type: Character, size: Int, link: String = ""
    ) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) {
            block.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
        }
        put(name, at: 0)
        put("0000755", at: 100)
        put("0000000", at: 108)
        put("0000000", at: 116)
        let octal = String(size, radix: 8)
        put(String(repeating: "0", count: 11 - octal.count) + octal, at: 124)
        put("00000000000", at: 136)
        put(String(type), at: 156)
        put(link, at: 157)
        put("ustar", at: 257)
        put("00", at: 263)
        return block
    }
}
