import Foundation

/// `record FOLDER`: adds encodings of real nodes to the folders of all decoders.
@main
struct Record {
    static func main() throws {
        guard CommandLine.arguments.count == 2 else {
            FileHandle.standardError.write(Data("usage: record FOLDER\n".utf8))
            exit(2)
        }
        try Recording().write(to: URL(fileURLWithPath: CommandLine.arguments[1]))
    }
}
