import Testing

/// What a core target may import, besides the standard library that is always there.
struct CoreTarget: Sendable, CustomTestStringConvertible {
    let name: String
    let mayImport: Set<String>

    var testDescription: String { name }

    static let all: [CoreTarget] = [
        CoreTarget(name: "Model", mayImport: []),
        CoreTarget(name: "CRDT", mayImport: []),
        CoreTarget(name: "Gossip", mayImport: ["Model", "Sodium"]),
        CoreTarget(name: "Raft", mayImport: ["Model"]),
        CoreTarget(name: "Lock", mayImport: ["Model", "Raft"]),
        CoreTarget(name: "Cluster", mayImport: ["Model", "Gossip", "CRDT", "Raft", "Lock"]),
    ]
}

@Suite struct CorePurityTests {
    @Test(arguments: CoreTarget.all)
    func `a core target imports nothing that could do I/O`(target: CoreTarget) {
        let files = SourceTree.files(below: "Sources/\(target.name)")
        #expect(!files.isEmpty, "no sources of \(target.name) were found")
        for file in files {
            for module in file.imports {
                #expect(target.mayImport.contains(module), "\(file.path) imports \(module)")
            }
        }
    }

    @Test(arguments: CoreTarget.all)
    func `a core target reads no clock and no system randomness`(target: CoreTarget) {
        let forbidden = [
            "SystemRandomNumberGenerator", "ContinuousClock", "SuspendingClock", "Date()",
            ".shuffled()", ".randomElement()", "UUID()", "Task.sleep", "randombytes",
            "getenv", "print(", "clock_gettime",
        ]
        for file in SourceTree.files(below: "Sources/\(target.name)") {
            for (number, line) in file.lines.enumerated() where !isComment(line) {
                for word in forbidden {
                    #expect(!line.contains(word), "\(file.path):\(number + 1) uses \(word)")
                }
            }
        }
    }

    @Test func `the check finds an import that is not allowed`() {
        let file = SourceFile(path: "x", lines: ["package import Foundation", "import Model"])
        #expect(file.imports == ["Foundation", "Model"])
    }

    private func isComment(_ line: String) -> Bool {
        line.drop { $0 == " " }.hasPrefix("//")
    }
}
