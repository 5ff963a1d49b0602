/// What became of a rejection.
public enum RejectionState: String, Sendable, CaseIterable {
    /// Nothing yet.
    case open
    /// A good row was accepted in its place.
    case corrected
    /// Somebody decided to let it go.
    case waived
}
