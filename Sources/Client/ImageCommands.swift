import ArgumentParser
import ControlAPI
import Foundation
import Glibc
import Model
import NIOCore
import NIOHTTP1

/// `client image`: the images of the cluster.
struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image", abstract: "Show and change the images of the cluster.",
        discussion: """
            A name holds for the whole cluster: what was imported on one node runs on every node. \
            The nodes get images from each other.
            """,
        subcommands: [
            ImageListCommand.self, ImageImportCommand.self, ImagePullCommand.self,
            ImageRemoveCommand.self, ImagePruneCommand.self,
        ], defaultSubcommand: ImageListCommand.self)
}

/// `client image ls`: all names.
struct ImageListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "Show the images of the cluster by name.", aliases: ["list"])

    @OptionGroup var common: CommonOptions
    @OptionGroup var list: ListOptions

    func run() async throws {
        let images = try await reporting {
            try await Connection(common.node).ask(.GET, APIPaths.images, as: [ImageView].self)
        }
        switch list.output {
        case .json: Output.line(try json(images))
        case .name: for image in images { Output.line(image.name) }
        case .table, .wide:
            for line in ImageListCommand.table(images, isWide: list.output == .wide).lines {
                Output.line(line)
            }
        }
    }

    static func table(_ images: [ImageView], isWide: Bool) -> Table {
        var table = Table(
            header: ["NAME", "IMAGE", "SIZE", "HERE", "NAMED"] + (isWide ? ["NODE"] : []))
        for image in images {
            let digest = String(image.digest.dropFirst("sha256:".count))
            table.rows.append(
                [
                    image.name, isWide ? digest : String(digest.prefix(12)), size(image.size),
                    image.present ? "yes" : "no", String(image.named.dropLast(5)),
                ] + (isWide ? [image.node] : []))
        }
        return table
    }
}

/// `client image import`: takes a file or a directory in.
struct ImageImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Make an image of a file or a directory.",
        discussion: """
            FILE is a tarball of a root file system (plain, gzip, xz or zstd), of an OCI layout, or \
            of 'docker save'; a directory is a root file system or an OCI layout. The node that is \
            asked keeps the image; the others get it when they need it.
            """)

    @OptionGroup var common: CommonOptions
    @Argument(help: "A file, or a directory.") var path: String
    @Argument(help: "What the image is called from now on: NAME or NAME:TAG.") var name: String

    func run() async throws {
        let image = try await reporting {
            let target = try ImageCommand.escaped(name)
            let source = try ImportSource(path)
            return try await Connection(common.node).upload(
                "\(APIPaths.images)?name=\(target)", source, as: ImageView.self)
        }
        Output.line(image.digest)
    }
}

/// `client image pull`: gets an image from a registry.
struct ImagePullCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Get an image from a registry, for the whole cluster.")

    @OptionGroup var common: CommonOptions
    @Argument(help: "HOST[:PORT]/PATH[:TAG][@DIGEST].") var reference: String
    @Option(help: "What the image is called from now on (default: the reference).")
    var name: String?
    @Option(help: "A file with USER:PASSWORD for the registry.") var credentials: String?
    @Option(help: "A file with the certificate of the registry's authority, in PEM.")
    var authority: String?

    func run() async throws {
        let image = try await reporting {
            let request = PullRequest(
                reference: reference, name: name, credentials: try text(of: credentials),
                authority: try text(of: authority))
            return try await Connection(common.node).ask(
                .POST, "\(APIPaths.images)/pull", request, as: ImageView.self,
                timeout: ImageCommand.timeMax)
        }
        Output.line(image.digest)
    }

    private func text(of path: String?) throws -> String? {
        guard let path else { return nil }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw InvalidInput("image pull: the file \(path) can't be read")
        }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// `client image rm`: takes names away.
struct ImageRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Take names of images away.",
        discussion: "Tasks that were submitted with the name keep their image.", aliases: ["remove"]
    )

    @OptionGroup var common: CommonOptions
    @Argument(help: "The names.") var names: [String]

    func run() async throws {
        try await reporting {
            let connection = try Connection(common.node)
            for name in names {
                try await connection.ask(
                    .DELETE, "\(APIPaths.images)?name=\(try ImageCommand.escaped(name))")
            }
        }
    }
}

/// `client image prune`: makes room on one node.
struct ImagePruneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove what one node keeps and nobody needs there.",
        discussion: """
            Images of running tasks stay, and those that the node keeps for the cluster.
            """)

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let reply = try await reporting {
            try await Connection(common.node).ask(
                .POST, "\(APIPaths.images)/prune", as: PruneReply.self,
                timeout: ImageCommand.timeMax)
        }
        for image in reply.removed { Output.line(image) }
        Output.error("\(size(reply.bytes)) freed")
    }
}

extension ImageCommand {
    /// How long a node may take to import or pull.
    static let timeMax: TimeAmount = .hours(1)

    /// A name as a part of a query.
    ///
    /// - Throws: `InvalidInput` for what is no name.
    static func escaped(_ name: String) throws -> String {
        guard let whole = ImageName(name)?.description,
            let escaped = whole.addingPercentEncoding(withAllowedCharacters: .alphanumerics)
        else {
            throw InvalidInput(
                "\(name.isEmpty ? "''" : name) is no name of an image: write NAME or NAME:TAG, in "
                    + "lower case")
        }
        return escaped
    }
}

/// What is imported: a file's bytes, or the tarball of a directory while it is made.
struct ImportSource: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    /// How much is read at a time, in bytes.
    static let chunkSizeBytes = 256 << 10

    private let path: String
    private let isDirectory: Bool

    /// - Throws: `InvalidInput` when there is nothing that can be read.
    init(_ path: String) throws {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw InvalidInput("image import: there is no file or directory \(path)")
        }
        guard access(path, R_OK) == 0 else {
            throw InvalidInput(
                "image import: \(path) can't be read (\(String(cString: strerror(errno))))")
        }
        self.path = path
        self.isDirectory = isDirectory.boolValue
    }

    func makeAsyncIterator() -> Reader { Reader(path, isDirectory: isDirectory) }

    /// Reads on a thread that may block; its state belongs to its queue.
    final class Reader: AsyncIteratorProtocol, @unchecked Sendable {
        private let queue = DispatchQueue(label: "import")
        private let path: String
        private let isDirectory: Bool
        private var file: FileHandle?
        private var tar: Process?

        init(_ path: String, isDirectory: Bool) {
            self.path = path
            self.isDirectory = isDirectory
        }

        func next() async throws -> ByteBuffer? {
            try await withCheckedThrowingContinuation { continuation in
                queue.async { continuation.resume(with: Result { try self.read() }) }
            }
        }

        private func read() throws -> ByteBuffer? {
            let handle = try file ?? open()
            file = handle
            let data = try handle.read(upToCount: ImportSource.chunkSizeBytes) ?? Data()
            guard data.isEmpty else { return ByteBuffer(bytes: data) }
            if let tar {
                tar.waitUntilExit()
                guard tar.terminationStatus == 0 else {
                    throw InvalidInput(
                        "image import: tar could not read all of \(path) (exit code "
                            + "\(tar.terminationStatus))")
                }
            }
            return nil
        }

        private func open() throws -> FileHandle {
            guard isDirectory else { return try FileHandle(forReadingFrom: URL(filePath: path)) }
            let process = Process()
            let pipe = Pipe()
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = [
                "tar", "--directory", path, "--create", "--numeric-owner", "--xattrs", ".",
            ]
            process.standardOutput = pipe
            try process.run()
            tar = process
            return pipe.fileHandleForReading
        }
    }
}
