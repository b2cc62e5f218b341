import Yams

/// A part of a study file, which knows where it stands and what it is called.
struct StudyNode {
    /// The file.
    let file: String
    /// What it is called: `plots[2].y`, say; nothing for the whole file.
    let subject: String
    private let node: Node
    /// Where its key stands: a list or a mapping begins on the line after it.
    private let keyLine: Int?

    /// The whole of a file.
    init(file: String, text: String) throws {
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch let error as YamlError {
            throw StudyNode.failure(error, in: file)
        }
        guard let root else {
            throw StudyFileError(file: file, line: nil, message: "the file is empty")
        }
        self.init(file: file, subject: "", node: root, keyLine: nil)
    }

    private init(file: String, subject: String, node: Node, keyLine: Int?) {
        self.file = file
        self.subject = subject
        self.node = node
        self.keyLine = keyLine
    }

    /// What is wrong here.
    func failure(_ message: String) -> StudyFileError {
        StudyFileError(
            file: file, line: keyLine ?? node.mark?.line,
            message: subject.isEmpty ? message : "\(subject): \(message)")
    }

    // MARK: Mappings

    /// The entries of a mapping, in the order of the file.
    func entries() throws -> [(name: String, value: StudyNode)] {
        guard case .mapping(let mapping) = node else {
            throw failure("is to be a list of names with values (name: value)")
        }
        return try mapping.map { key, value in
            guard case .scalar(let scalar) = key else {
                throw failure("a name is to be a word")
            }
            let name = scalar.string
            return (
                name,
                StudyNode(
                    file: file, subject: subject.isEmpty ? name : "\(subject).\(name)",
                    node: value, keyLine: key.mark?.line)
            )
        }
    }

    /// The entries of a mapping that knows these names only.
    func entries(of allowed: [String]) throws -> [String: StudyNode] {
        let entries = try entries()
        for (name, value) in entries where !allowed.contains(name) {
            throw StudyFileError(
                file: file, line: value.keyLine,
                message: "\(value.subject): there is no such key; there are "
                    + allowed.joined(separator: ", "))
        }
        return Dictionary(entries.map { ($0.name, $0.value) }) { first, _ in first }
    }

    // MARK: Lists and values

    /// Tells whether it is a list.
    var isList: Bool { node.sequence != nil }
    /// Tells whether it is a mapping.
    var isMapping: Bool { node.mapping != nil }

    /// The parts of a list, of which there is at least one.
    func list(max bound: Int) throws -> [StudyNode] {
        guard case .sequence(let sequence) = node else {
            throw failure("is to be a list: [a, b], or lines that begin with '- '")
        }
        guard (1...bound).contains(sequence.count) else {
            throw failure("is to have 1 to \(bound) entries, and has \(sequence.count)")
        }
        return sequence.enumerated().map { index, part in
            StudyNode(
                file: file, subject: "\(subject)[\(index + 1)]", node: part,
                keyLine: part.scalar == nil ? nil : part.mark?.line)
        }
    }

    /// A value as it is written.
    func text() throws -> String {
        guard case .scalar(let scalar) = node else {
            throw failure("is to be a single value")
        }
        let text = scalar.string
        // What is written as '' is meant to be empty.
        let isQuoted = [.singleQuoted, .doubleQuoted].contains(scalar.style)
        guard isQuoted || (!text.allSatisfy(\.isWhitespace) && node.null == nil) else {
            throw failure("has no value")
        }
        return text
    }

    /// Several values, or a single one.
    func texts(max bound: Int) throws -> [String] {
        isList ? try list(max: bound).map { try $0.text() } : [try text()]
    }

    /// A whole number within bounds.
    func whole<Number: FixedWidthInteger>(in range: ClosedRange<Number>) throws -> Number {
        let text = try text()
        guard let number = Number(text.filter { $0 != "_" }), range.contains(number) else {
            throw failure(
                "'\(text)' is to be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A number from 0.
    func number() throws -> Double {
        let text = try text()
        guard let number = Double(text), number.isFinite, number >= 0 else {
            throw failure("'\(text)' is to be a number from 0")
        }
        return number
    }

    /// One of a few words.
    func word<Word>(of words: [(name: String, meaning: Word)]) throws -> Word {
        let text = try text()
        guard let word = words.first(where: { $0.name == text }) else {
            let names = words.map(\.name).joined(separator: ", ")
            throw failure("there is no '\(text)'; there are \(names)")
        }
        return word.meaning
    }

    // MARK: Failures of the language

    private static func failure(_ error: YamlError, in file: String) -> StudyFileError {
        switch error {
        case .scanner(let context, let problem, let mark, _),
            .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let prefix = context.map { "\($0.text): " } ?? ""
            return StudyFileError(
                file: file, line: mark.line, message: "is no YAML: \(prefix)\(problem)")
        case .duplicatedKeysInMapping(let names, let context):
            return StudyFileError(
                file: file, line: context.mark.line,
                message: "\(names.sorted().joined(separator: ", ")): stands there twice")
        default:
            return StudyFileError(file: file, line: nil, message: "is no YAML: \(error)")
        }
    }
}
