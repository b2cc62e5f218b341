/// Something that a study can be told by name.
package struct StudyParameter: Sendable {
    /// What it is called in study files and on command lines.
    package let name: String
    /// In what it is given, for people.
    package let unit: String
    /// What it means, in a line.
    package let meaning: String
    /// Its value in a study as text, which `set` understands.
    package let text: @Sendable (FairnessStudy) -> String
    let apply: @Sendable (inout FairnessStudy, String) throws(StudyError) -> Void

    /// What it is unless it is set.
    package var usual: String { text(FairnessStudy()) }

    init<Value: StudyValue>(
        _ name: String, _ unit: String, _ meaning: String,
        _ path: any WritableKeyPath<FairnessStudy, Value> & Sendable
    ) {
        self.name = name
        self.unit = unit
        self.meaning = meaning
        text = { $0[keyPath: path].text }
        apply = { (study, text) throws(StudyError) in
            study[keyPath: path] = try Value(text: text)
        }
    }

    init<Value: StudyValue & Comparable>(
        _ name: String, _ unit: String, _ meaning: String,
        _ path: any WritableKeyPath<FairnessStudy, Value> & Sendable, in range: ClosedRange<Value>
    ) {
        self.name = name
        self.unit = unit
        self.meaning = meaning
        text = { $0[keyPath: path].text }
        apply = { (study, text) throws(StudyError) in
            let value = try Value(text: text)
            guard range.contains(value) else {
                throw StudyError(
                    "must lie between \(range.lowerBound.text) and \(range.upperBound.text), "
                        + "and is \(value.text)")
            }
            study[keyPath: path] = value
        }
    }

    init<Value: StudyValue>(
        _ name: String, _ unit: String, _ meaning: String,
        nonEmpty path: any WritableKeyPath<FairnessStudy, [Value]> & Sendable
    ) {
        self.name = name
        self.unit = unit
        self.meaning = meaning
        text = { $0[keyPath: path].text }
        apply = { (study, text) throws(StudyError) in
            let values = try [Value](text: text)
            guard !values.isEmpty else { throw StudyError("takes one value or several") }
            study[keyPath: path] = values
        }
    }

    init<Value: StudyValue & Comparable>(
        _ name: String, _ unit: String, _ meaning: String,
        _ path: any WritableKeyPath<FairnessStudy, [Value]> & Sendable,
        each range: ClosedRange<Value>
    ) {
        self.name = name
        self.unit = unit
        self.meaning = meaning
        text = { $0[keyPath: path].text }
        apply = { (study, text) throws(StudyError) in
            let values = try [Value](text: text)
            guard !values.isEmpty, values.allSatisfy(range.contains) else {
                throw StudyError(
                    "takes one value or several with commas, each between "
                        + "\(range.lowerBound.text) and \(range.upperBound.text)")
            }
            study[keyPath: path] = values
        }
    }
}

extension FairnessStudy {
    /// Sets a parameter from text.
    ///
    /// - Parameters:
    ///   - name: One of `parameters`.
    ///   - value: As the parameter's unit says.
    /// - Throws: A `StudyError` when there is no such parameter, or the value can't be; the study
    ///   is unchanged.
    package mutating func set(_ name: String, to value: String) throws(StudyError) {
        guard let parameter = FairnessStudy.parameters.first(where: { $0.name == name }) else {
            let names = FairnessStudy.parameters.map(\.name).joined(separator: ", ")
            throw StudyError("unknown parameter \(name); there are \(names)")
        }
        var changed = self
        do throws(StudyError) { try parameter.apply(&changed, value) } catch {
            throw error.about("parameter \(name)")
        }
        self = changed
    }
}
