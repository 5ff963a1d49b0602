import CRE2

/// A regular expression that a whole value must match, in time linear in the value.
public final class Pattern: Sendable {
    /// The expression as the dictionary has it, in RE2's syntax.
    public let text: String
    init(text: String) { self.text = text }
}
