/// A content that never changes, in one place for all who hold it.
///
/// What is large and passed on as it is, such as a task's spec, is shared by a record, its deltas
/// and copies of both.
final class Box<Content: Hashable & Sendable>: Hashable, Sendable {
    let content: Content

    init(_ content: Content) {
        self.content = content
    }

    static func == (left: Box, right: Box) -> Bool {
        left === right || left.content == right.content
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(content)
    }
}
