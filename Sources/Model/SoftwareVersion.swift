/// The version of all programs of this package; nodes tell it to each other.
package enum SoftwareVersion {
    /// The version as people write it.
    package static let text = "0.1.0"
}
