/// Who asks. Never shows its secrets, however it is printed.
public struct Credentials: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The public half of the key.
    public let accessKeyID: String
    /// The half that signs.
    public let secretAccessKey: String
    /// The token of a temporary key.
    public let sessionToken: String?

    /// A key, with its token if it is a temporary one.
    public init(accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
    }

    /// The public half alone.
    public var description: String { "the key \(accessKeyID)" }

    /// Nothing to look into.
    public var customMirror: Mirror { Mirror(self, children: ["accessKeyID": accessKeyID]) }
}
