import Foundation
package import Model

/// What an image says about the process that is to run in it.
///
/// Source: OCI image specification, `config.md`.
package struct ImageConfiguration: Hashable, Sendable {
    /// What always begins the command line; empty for none.
    package var entrypoint: [String] = []
    /// What follows the entrypoint unless the task says something else.
    package var command: [String] = []
    /// `KEY=VALUE` settings, in the image's order.
    package var environment: [String] = []
    /// `name`, `uid`, `uid:gid` or `name:group`; empty for root.
    package var user = ""
    /// Where the program starts; empty when nothing is said.
    package var workingDirectory = ""
    /// The signal that asks the program to end, as the image names it; empty when nothing is said.
    package var stopSignal = ""
    /// What the image's makers attached to it.
    package var labels: [String: String] = [:]
    /// The operating system for which it was made.
    package var operatingSystem = ""
    /// The architecture for which it was made, as Go names it.
    package var architecture = ""
    /// The digests of the uncompressed layers, lowest first.
    package var layers: [ImageDigest] = []

    /// The most words of a command line or settings of an environment.
    package static let wordsMax = 4_096
    /// The most labels.
    package static let labelsMax = 4_096
    /// The longest single word, setting, label or path, in bytes.
    package static let wordSizeBytesMax = 128 << 10

    /// Makes a configuration that says nothing.
    package init() {}

    /// Reads a configuration blob.
    ///
    /// - Throws: `.notAnImage` when it is no such JSON, `.tooLarge` when a bound is exceeded.
    package init(_ bytes: [UInt8], limits: ImageLimits = ImageLimits()) throws(ImageError) {
        guard bytes.count <= limits.configurationSizeBytesMax else {
            throw ImageError(.tooLarge, "the image's configuration is too large")
        }
        let object = try JSONText.object(bytes, "the image's configuration")
        operatingSystem = try object.text("os")
        architecture = try object.text("architecture")
        if let rootfs = try object.object("rootfs") {
            layers = try rootfs.texts("diff_ids", countMax: limits.layersMax).map {
                (text) throws(ImageError) in
                guard let digest = ImageDigest(text) else {
                    throw ImageError(
                        .notAnImage, "the image's configuration names a layer without SHA-256")
                }
                return digest
            }
        }
        guard let process = try object.object("config") else { return }
        let wordsMax = ImageConfiguration.wordsMax
        entrypoint = try process.texts("Entrypoint", countMax: wordsMax)
        command = try process.texts("Cmd", countMax: wordsMax)
        environment = try process.texts("Env", countMax: wordsMax)
        user = try process.text("User")
        workingDirectory = try process.text("WorkingDir")
        stopSignal = try process.text("StopSignal")
        labels = try process.textMap("Labels", countMax: ImageConfiguration.labelsMax)
    }
}

/// A JSON object that somebody else wrote, read field by field with bounds.
struct JSONText {
    private let fields: [String: Any]
    private let subject: String

    static func object(_ bytes: [UInt8], _ subject: String) throws(ImageError) -> JSONText {
        guard let fields = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
        else { throw ImageError(.notAnImage, "\(subject) is not a JSON object") }
        return JSONText(fields: fields, subject: subject)
    }

    /// A text, empty when it is missing or null.
    func text(_ key: String) throws(ImageError) -> String {
        guard let value = value(key) else { return "" }
        return try checked(value, key)
    }

    /// A list of texts, empty when it is missing or null.
    func texts(_ key: String, countMax: Int) throws(ImageError) -> [String] {
        guard let value = value(key) else { return [] }
        guard let list = value as? [Any] else { throw wrong(key) }
        guard list.count <= countMax else { throw tooLarge(key) }
        var texts: [String] = []
        for element in list { texts.append(try checked(element, key)) }
        return texts
    }

    /// An object whose values are texts, empty when it is missing or null.
    func textMap(_ key: String, countMax: Int) throws(ImageError) -> [String: String] {
        guard let value = value(key) else { return [:] }
        guard let map = value as? [String: Any] else { throw wrong(key) }
        guard map.count <= countMax else { throw tooLarge(key) }
        var texts: [String: String] = [:]
        for (name, element) in map { texts[try checked(name, key)] = try checked(element, key) }
        return texts
    }

    /// An object inside; `nil` when it is missing or null.
    func object(_ key: String) throws(ImageError) -> JSONText? {
        guard let value = value(key) else { return nil }
        guard let fields = value as? [String: Any] else { throw wrong(key) }
        return JSONText(fields: fields, subject: subject)
    }

    /// A list of objects, empty when it is missing or null.
    func objects(_ key: String, countMax: Int) throws(ImageError) -> [JSONText] {
        guard let value = value(key) else { return [] }
        guard let list = value as? [Any] else { throw wrong(key) }
        guard list.count <= countMax else { throw tooLarge(key) }
        var objects: [JSONText] = []
        for element in list {
            guard let fields = element as? [String: Any] else { throw wrong(key) }
            objects.append(JSONText(fields: fields, subject: subject))
        }
        return objects
    }

    /// A number that is whole and not negative.
    func count(_ key: String) throws(ImageError) -> UInt64 {
        guard let value = value(key) as? NSNumber, let count = UInt64(exactly: value.doubleValue)
        else { throw wrong(key) }
        return count
    }

    private func value(_ key: String) -> Any? {
        guard let value = fields[key], !(value is NSNull) else { return nil }
        return value
    }

    private func checked(_ value: Any, _ key: String) throws(ImageError) -> String {
        guard let text = value as? String, !text.utf8.contains(0) else { throw wrong(key) }
        guard text.utf8.count <= ImageConfiguration.wordSizeBytesMax else { throw tooLarge(key) }
        return text
    }

    private func wrong(_ key: String) -> ImageError {
        ImageError(.notAnImage, "\(subject) has no proper \(key)")
    }

    private func tooLarge(_ key: String) -> ImageError {
        ImageError(.tooLarge, "\(subject) has a larger \(key) than is allowed")
    }
}
