import Model
import Runner
import Testing

@Suite struct ImageNameTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let text: String
        /// Repository and tag; `nil` for what is no name.
        let expected: (String, String)?

        var testDescription: String { "'\(text.prefix(60))'" }

        init(_ text: String, _ repository: String? = nil, _ tag: String = "latest") {
            self.text = text
            expected = repository.map { ($0, tag) }
        }
    }

    static let rows = [
        Row("busybox", "busybox"),
        Row("busybox:1.36", "busybox", "1.36"),
        Row("a/b/c:x_Y.z-1", "a/b/c", "x_Y.z-1"),
        Row("registry.example:5000/team/app", "registry.example:5000/team/app"),
        Row("registry.example:5000/team/app:2", "registry.example:5000/team/app", "2"),
        Row("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app"),
        Row("UPPER.example/app", "UPPER.example/app"),
        Row("a__b/c---d/e.f_g", "a__b/c---d/e.f_g"),
        Row(""), Row(":tag"), Row("name:"), Row("name: tag"), Row("Name"), Row("-name"),
        Row("a..b"), Row("a___b"), Row("a._b"), Row("a/"), Row("/a"), Row("a//b"), Row("../a"),
        Row("a b"), Row("name@sha256:0"), Row("host:port/app"), Row("name:.tag"), Row("é"),
        Row(String(repeating: "a", count: 255), String(repeating: "a", count: 255)),
        Row(String(repeating: "a", count: 256)),
        Row("a:" + String(repeating: "t", count: 128), "a", String(repeating: "t", count: 128)),
        Row("a:" + String(repeating: "t", count: 129)),
    ]

    @Test(arguments: rows) func `names follow docker's grammar`(row: Row) {
        let name = ImageName(row.text)
        #expect(name?.repository == row.expected?.0)
        #expect(name?.tag == row.expected?.1)
    }

    @Test func `a name reads back as it is written`() {
        #expect(ImageName("busybox")?.description == "busybox:latest")
        #expect(ImageName("busybox") == ImageName("busybox:latest"))
    }

    @Test func `a reference may name a digest, and then goes by it`() {
        let digest = ImageDigest(of: [])
        let text = "host.example:1/a:b@\(digest)"
        #expect(RegistryReference(text)?.name == ImageName("host.example:1/a:b"))
        #expect(RegistryReference(text)?.description == "host.example:1/a@\(digest)")
        #expect(RegistryReference("a:b")?.description == "a:b")
        for bad in ["a@", "a@sha256:12", "a@\(digest)@\(digest)", "@\(digest)", "-a", "a\n"] {
            #expect(RegistryReference(bad) == nil, "\(bad)")
        }
    }

    @Test func `a digest is sha256 in lower case`() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(ImageDigest(of: []).description == "sha256:\(empty)")
        #expect(ImageDigest("sha256:\(empty)")?.hex == empty)
        #expect(ImageDigest("sha256:\(empty.uppercased())") == nil)
        #expect(ImageDigest("sha256:\(empty)0") == nil)
        #expect(ImageDigest("sha512:\(empty)") == nil)
        #expect(ImageDigest(hex: "../" + empty.dropFirst(3)) == nil)
    }
}
