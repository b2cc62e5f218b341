import Foundation
import Gossip
import Model
import Testing

@testable import Daemon
@testable import NodeIO

@Suite struct DataDirectoryTests {
    @Test func `a directory has one daemon at a time, and one key`() throws {
        let path = FileManager.default.temporaryDirectory.path + "/magpie-dir-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let seed: [UInt8]
        do {
            let first = try DataDirectory(path)
            seed = try first.keys.seed()
            #expect(throws: StartFailure.self) { _ = try DataDirectory(path) }
            _ = consume first
        }
        // A process that was forked when the first one ended may hold its lock for a moment.
        let second = try DataDirectory(path)
        #expect(try second.keys.seed() == seed)
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(path)/node.key")
        #expect((attributes[.posixPermissions] as? Int) == 0o600)
        let first = try second.isSameMachineBoot()
        #expect(!first)
        #expect(try second.isSameMachineBoot())
    }

    @Test func `what a daemon keeps can be read by its owner alone`() throws {
        let path = FileManager.default.temporaryDirectory.path + "/magpie-dir-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let directory = try DataDirectory(path)
        _ = try directory.keys.seed()
        let (store, _, _) = try DurableStore.recover(path: "\(path)/state.sqlite") { _ in }
        store.flush()
        for (name, mode) in [("", 0o700), ("/node.key", 0o600), ("/state.sqlite", 0o600)] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path + name)
            #expect((attributes[.posixPermissions] as? Int) == mode, "\(name)")
        }
    }

    @Test func `the next key is drawn once, and takes its place when the node speaks under it`()
        throws
    {
        let path = FileManager.default.temporaryDirectory.path + "/magpie-dir-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let directory = try DataDirectory(path)
        let keys = directory.keys
        let first = try keys.seed()
        #expect(try keys.nextKey() == nil)
        let next = try keys.drawNextKey()
        #expect(try keys.drawNextKey().publicKey == next.publicKey)
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(path)/node.key.next")
        #expect((attributes[.posixPermissions] as? Int) == 0o600)
        // Another key takes nobody's place.
        try keys.keep(NodeKey(seed: first).publicKey)
        #expect(try keys.seed() == first)
        try keys.keep(next.publicKey)
        #expect(try NodeKey(seed: keys.seed()).publicKey == next.publicKey)
        #expect(try keys.nextKey() == nil)
    }

    @Test func `a copy of a directory is another place, the directory itself is not`() throws {
        let path = FileManager.default.temporaryDirectory.path + "/magpie-dir-\(UUID().uuidString)"
        defer {
            for path in [path, path + "-copy", path + "-moved"] {
                try? FileManager.default.removeItem(atPath: path)
            }
        }
        func place(_ path: String) throws -> MachineID { try DataDirectory(path).machineID }
        let first = try place(path)
        #expect(try place(path) == first)
        try FileManager.default.copyItem(atPath: path, toPath: path + "-copy")
        #expect(try place(path + "-copy") != first)
        try FileManager.default.moveItem(atPath: path, toPath: path + "-moved")
        #expect(try place(path + "-moved") == first)
    }
}

extension DataDirectoryTests {
    private func message(_ path: String) -> String {
        do {
            _ = try DataDirectory(path)
            return ""
        } catch let failure as StartFailure {
            return failure.message
        } catch {
            return "\(error)"
        }
    }

    @Test func `a path that can't be a data directory is refused with the reason`() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/magpie-dir-\(UUID())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(FileManager.default.createFile(atPath: "\(folder)/notes.txt", contents: nil))
        #expect(message(folder).contains("notes.txt"), "it belongs to somebody else")
        #expect(!FileManager.default.fileExists(atPath: "\(folder)/lock"), "it stays as it was")
        #expect(message("\(folder)/notes.txt").contains("is no directory"))
        #expect(message("\(folder)/notes.txt/x").contains("Not a directory"))
        let long = "\(folder)/" + String(repeating: "x", count: 108 - folder.utf8.count)
        #expect(message(long).contains("too long"))
        #expect(message("\(folder)/new/deep").isEmpty)
        #expect(FileManager.default.createFile(atPath: "\(folder)/new/deep/x", contents: nil))
        #expect(!message("\(folder)/new/deep").isEmpty)
        #expect(
            FileManager.default.createFile(
                atPath: "\(folder)/new/deep/state.sqlite", contents: nil))
        #expect(message("\(folder)/new/deep").isEmpty, "a node's directory may hold other things")
    }

    @Test func `a path for a socket may just fit`() throws {
        let number = UInt32.random(in: 0...(.max))
        let folder = FileManager.default.temporaryDirectory.path + "/m\(number)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let room = LocalAPI.socketPathSizeBytesMax - 1 - "/api.sock".utf8.count
        let fits = "\(folder)/" + String(repeating: "x", count: room - folder.utf8.count - 1)
        #expect(message(fits).isEmpty)
        #expect(message(fits + "x").contains("too long"))
    }
}

@Suite struct SettingsTests {
    @Test func `a file's options are read, and unknown ones named`() throws {
        let values = try DaemonSettings.parse(
            "# comment\nname = alpha\nlabel = a=1\nlabel = b=2\n", path: "f")
        #expect(values == ["name": ["alpha"], "label": ["a=1", "b=2"]])
        #expect(throws: StartFailure.self) { try DaemonSettings.parse("nmae = x", path: "f") }
        #expect(throws: StartFailure.self) { try DaemonSettings.parse("name", path: "f") }
    }

    @Test(arguments: [
        ["api": ["10.0.0.1:80"], "api-insecure-loopback": ["true"]],
        ["api": ["0.0.0.0:80"], "api-insecure-loopback": ["true"]],
        ["api": ["[fd00::1]:80"], "api-insecure-loopback": ["true"]],
        ["api-insecure-loopback": ["true"]], ["api-cert": ["/c"]], ["api-key": ["/k"]],
        ["profile": ["moon"]],
        ["steal-policy": ["best"]],
        ["label": ["x"]], ["cpus": ["none"]], ["memory": ["much"]], ["name": ["a b"]],
        ["bind": ["here"]], ["allow-volume": ["relative"]], ["retain": ["long"]],
        ["bind": ["127.0.0.1:70000"]], ["bind": ["::1:7946"]], ["retain": ["3651d"]],
        ["advertise": [":7946"]], ["cpus": ["0"]], ["cpus": ["-1"]],
        ["memory": ["1"]], ["label": ["=x"]], ["label": ["a=b c"]],
        ["label": ["a=" + String(repeating: "x", count: 400)]], ["name": ["a\u{1B}[31m"]],
        ["name": [String(repeating: "n", count: 64)]], ["log-level": ["loud"]],
        ["no-tasks": ["maybe"]], ["rootfs": ["relative"]], ["rootfs": ["/nonexistent"]],
        ["allow-cap": ["FLY"]], ["allow-host-network": ["maybe"]],
        ["image-max": ["67108863"]], ["image-max": ["all"]],
    ])
    func `a setting that makes no sense is refused`(values: [String: [String]]) {
        #expect(throws: StartFailure.self) { _ = try DaemonSettings(values) }
    }

    @Test func `settings become a node's configuration`() throws {
        let settings = try DaemonSettings([
            "name": ["a"], "cpus": ["1.5"], "memory": ["1G"], "label": ["z=1", "a=2"],
            "api": ["127.0.0.1:8080"], "no-tasks": ["true"],
            "image-max": ["64M"],
        ])
        #expect(settings.imageSizeBytesMax == ImageUpkeep.limitBytesMin)
        #expect(settings.capacity == Resources(cpuMillis: 1_500, memoryBytes: 1 << 30))
        #expect(settings.labels == ["a=2", "z=1"])
        #expect(settings.api == PeerAddress("127.0.0.1:8080"))
        #expect(!settings.isAPIOpen)
        #expect(try DaemonSettings(["api": ["0.0.0.0:80"]]).api?.port == 80)
        #expect(!settings.takesTasks)
        #expect(settings.capabilitiesAllowed == [] && !settings.allowsHostNetwork)
    }

    @Test func `how far tasks may open themselves is the operator's to say`() throws {
        let settings = try DaemonSettings([
            "allow-cap": ["net_raw", "CAP_SYS_PTRACE"], "allow-host-network": ["true"],
        ])
        #expect(settings.capabilitiesAllowed == ["CAP_NET_RAW", "CAP_SYS_PTRACE"])
        #expect(settings.allowsHostNetwork)
    }

    @Test func `ended tasks are kept for ten years at most`() throws {
        #expect(try DaemonSettings(["retain": ["3650d"]]).retention == .seconds(3_650 * 86_400))
        #expect(try DaemonSettings(["retain": ["0"]]).retention == .zero)
    }

    @Test func `a node may listen on all addresses of both kinds`() throws {
        #expect(try DaemonSettings([:]).bind.description == "0.0.0.0:7946")
        let settings = try DaemonSettings(["bind": ["[::]:7946"], "api": ["[::1]:8080"]])
        #expect(settings.bind.isWildcard)
        #expect(settings.api?.description == "[::1]:8080")
    }

    @Test func `a node's own address is of the kind that its peer has`() throws {
        let six = try DaemonSettings.address("[::1]:1", option: "--x")
        let four = try DaemonSettings.address("127.0.0.1:1", option: "--x")
        #expect(DaemonSettings.ownAddress(towards: six, isIPv6: true) == six.ip)
        #expect(DaemonSettings.ownAddress(towards: four, isIPv6: true) == four.ip)
        #expect(DaemonSettings.ownAddress(towards: four, isIPv6: false) == four.ip)
        #expect(DaemonSettings.ownAddress(towards: six, isIPv6: false).count == 4)
    }

    @Test func `an error names its option`() {
        for (option, value) in [
            ("memory", "much"), ("retain", "long"), ("bind", "here"), ("rootfs", "x"),
        ] {
            do {
                _ = try DaemonSettings([option: [value]])
                Issue.record("\(option) \(value) is no good")
            } catch let failure as StartFailure {
                #expect(failure.message.hasPrefix("--\(option)"), "\(failure.message)")
            } catch {
                Issue.record("\(error)")
            }
        }
    }

    @Test func `variables hold options, several parted by commas, empty ones none`() {
        let values = DaemonSettings.environment([
            "MAGPIE_NAME": "a", "MAGPIE_LABEL": "x=1,y=2", "MAGPIE_LOG_LEVEL": "",
            "MAGPIE_NODE": "unix:/x", "HOME": "/root",
        ])
        #expect(values == ["name": ["a"], "label": ["x=1", "y=2"]])
    }

    @Test func `addresses are numbers, or names that are looked up`() throws {
        #expect(
            try DaemonSettings.address("127.0.0.1:1", option: "--x") == PeerAddress("127.0.0.1:1"))
        #expect(try DaemonSettings.address("[::1]:80", option: "--x").ip.last == 1)
        #expect(try DaemonSettings.address("localhost:7", option: "--x").ip == [127, 0, 0, 1])
        #expect(throws: StartFailure.self) {
            try DaemonSettings.address("127.0.0.1", option: "--x")
        }
    }

    @Test func `a seed without a port has the usual one, an unknown name is passed over`() throws {
        let seeds = try DaemonSettings.seeds([
            "no.such.host.invalid:1", "127.0.0.9", "127.0.0.9:7946",
        ])
        #expect(seeds == [PeerAddress(ip: [127, 0, 0, 9], port: 7946)])
        #expect(throws: StartFailure.self) { try DaemonSettings.seeds(["no.such.host.invalid:1"]) }
        #expect(throws: StartFailure.self) { try DaemonSettings.seeds(["127.0.0.1:port"]) }
    }

    @Test func `a cursor's text comes back`() {
        let cursor = AttemptCursor(
            attempt: FencingToken(generation: 1, index: 42),
            place: LogCursor(segment: 3, offset: 99))
        #expect(cursor.text.flatMap { AttemptCursor($0) } == cursor)
        for text in ["", "1", "1.2-3", "1-2-3", "a.b-1-2"] { #expect(AttemptCursor(text) == nil) }
    }
}
