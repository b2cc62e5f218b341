/// A name with arguments, as in `pareto(shape=1.5, spread=1000)`; brackets may be left out when
/// there are none.
struct CallText {
    /// What stands before the bracket.
    let name: String
    private var arguments: [(name: String, value: String)] = []
    private var known: [String] = []

    /// Reads a name and its arguments.
    init(_ text: String) throws(StudyError) {
        guard let bracket = text.firstIndex(of: "(") else {
            name = text
            return
        }
        name = String(text[..<bracket])
        guard text.last == ")" else { throw StudyError("'\(text)' lacks its closing bracket") }
        let inner = String(text[text.index(after: bracket)...].dropLast())
        for part in CallText.split(inner) {
            guard let equals = part.firstIndex(of: "=") else {
                throw StudyError("'\(part)' in '\(text)' is not of the form name=value")
            }
            arguments.append(
                (
                    CallText.trimmed(part[..<equals]),
                    CallText.trimmed(part[part.index(after: equals)...])
                ))
        }
    }

    /// Takes an argument out; the default when it is not there.
    mutating func take<Value: StudyValue>(
        _ argument: String, _ usual: Value
    ) throws(StudyError) -> Value {
        known.append(argument)
        guard let place = arguments.firstIndex(where: { $0.name == argument }) else {
            return usual
        }
        let value = arguments.remove(at: place).value
        do throws(StudyError) { return try Value(text: value) } catch {
            throw error.about("\(argument) of \(name)")
        }
    }

    /// The same, within bounds.
    mutating func take<Value: StudyValue & Comparable>(
        _ argument: String, _ usual: Value, in range: ClosedRange<Value>
    ) throws(StudyError) -> Value {
        let value: Value = try take(argument, usual)
        guard range.contains(value) else {
            throw StudyError(
                "\(argument) of \(name) must lie between \(range.lowerBound.text) and "
                    + "\(range.upperBound.text), and is \(value.text)")
        }
        return value
    }

    /// Ends the reading.
    ///
    /// - Throws: When arguments are left that nobody has taken.
    func finish() throws(StudyError) {
        guard let rest = arguments.first else { return }
        let there = known.isEmpty ? "it takes none" : "there are \(known.joined(separator: ", "))"
        throw StudyError("\(name) has no argument \(rest.name), or it is given twice; \(there)")
    }

    /// The parts between the commas that stand in no bracket, without spaces around them.
    static func split(_ text: String) -> [String] {
        var parts: [String] = []
        var part = ""
        var depth = 0
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append(trimmed(part[...]))
                part = ""
            } else {
                part.append(character)
            }
        }
        let last = trimmed(part[...])
        return parts.isEmpty && last.isEmpty ? [] : parts + [last]
    }

    /// Writes a call; arguments at their usual values are left out.
    static func text(_ name: String, _ arguments: [(name: String, value: String, usual: String)])
        -> String
    {
        let changed = arguments.filter { $0.value != $0.usual }
        guard !changed.isEmpty else { return name }
        return "\(name)(\(changed.map { "\($0.name)=\($0.value)" }.joined(separator: ",")))"
    }

    private static func trimmed(_ text: Substring) -> String {
        var rest = text
        while rest.first == " " { rest.removeFirst() }
        while rest.last == " " { rest.removeLast() }
        return String(rest)
    }
}
