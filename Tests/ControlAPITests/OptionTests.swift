import ControlAPI
import Foundation
import Model
import Testing

/// Options of a task's container as the API takes them.
@Suite struct OptionTests {
    private func options(_ fields: String) throws -> ContainerOptions {
        let json = #"{"command":["x"],\#(fields)}"#
        return try JSONDecoder().decode(SpecView.self, from: Data(json.utf8)).spec().options
    }

    @Test func `all options arrive`() throws {
        let options = try options(
            #"""
            "user":"www-data:33","hostname":"box-1","stop_signal":"SIGINT","network":"host",
            "tmpfs":["/scratch:size=1M","/x"],"read_only":true,"cap_drop":["all"],
            "cap_add":["net_raw","CAP_CHOWN"],"ulimits":["nofile=1:2","core=unlimited"],
            "shm_size":4096,"disk":1048576,"best_effort":true
            """#)
        #expect(options.user == "www-data:33")
        #expect(options.hostname == "box-1")
        #expect(options.stopSignal == 2)
        #expect(options.network == .host)
        #expect(
            options.tmpfs == [
                TmpfsMount(target: "/scratch", sizeBytes: 1 << 20), TmpfsMount(target: "/x"),
            ])
        #expect(options.isRootReadOnly)
        #expect(options.capabilitiesDropped == ["ALL"])
        #expect(options.capabilitiesAdded == ["CAP_CHOWN", "CAP_NET_RAW"])
        #expect(
            options.ulimits == [
                Ulimit(kind: .nofile, soft: 1, hard: 2),
                Ulimit(kind: .core, soft: .max, hard: .max),
            ])
        #expect(options.shmSizeBytes == 4_096)
        #expect(options.diskBytes == 1 << 20)
        #expect(options.isBestEffort)
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let fields: String
        /// What the error must name.
        let word: String
        var testDescription: String { fields }
    }

    @Test(arguments: [
        Row(fields: #""user":"""#, word: "user"), Row(fields: #""user":"a:b:c""#, word: "user"),
        Row(fields: #""user":"a b""#, word: "user"), Row(fields: #""user":"a:""#, word: "user"),
        Row(fields: #""hostname":"a_b""#, word: "hostname"),
        Row(fields: #""hostname":"""#, word: "hostname"),
        Row(fields: #""hostname":"-a""#, word: "hostname"),
        Row(fields: #""stop_signal":"NOPE""#, word: "NOPE"),
        Row(fields: #""network":"bridge""#, word: "network"),
        Row(fields: #""tmpfs":["a"]"#, word: "tmpfs"),
        Row(fields: #""tmpfs":["/proc"]"#, word: "tmpfs"),
        Row(fields: #""tmpfs":["/a:mode=7"]"#, word: "tmpfs"),
        Row(fields: #""tmpfs":["/a:size=1"]"#, word: "tmpfs"),
        Row(fields: #""cap_add":["FLY"]"#, word: "FLY"),
        Row(fields: #""cap_drop":[""]"#, word: "cap_drop"),
        Row(fields: #""ulimits":["nofile"]"#, word: "ulimit"),
        Row(fields: #""ulimits":["nofile=2:1"]"#, word: "ulimit"),
        Row(fields: #""ulimits":["files=1"]"#, word: "ulimit"),
        Row(fields: #""ulimits":["core=1","core=2"]"#, word: "ulimits"),
        Row(fields: #""shm_size":1"#, word: "shm_size"), Row(fields: #""disk":1"#, word: "disk"),
    ])
    func `what makes no sense is refused by name`(row: Row) throws {
        let error = #expect(throws: InvalidInput.self) { try options(row.fields) }
        #expect(error?.description.contains(row.word) == true)
    }

    @Test func `a host name has its bound, and not one more`() throws {
        let most = String(repeating: "a", count: ContainerOptions.hostnameSizeBytesMax)
        #expect(try options(#""hostname":"\#(most)""#).hostname == most)
        #expect(throws: InvalidInput.self) { try options(#""hostname":"\#(most)a""#) }
    }
}
