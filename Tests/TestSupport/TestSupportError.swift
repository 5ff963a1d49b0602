/// What keeps a test from being set up; none of these is a finding about the program.
public enum TestSupportError: Error, CustomStringConvertible {
    /// A program the test needs is not installed.
    case missingTool(String)
    /// A program ran longer than it was given and was killed.
    case timedOut(command: String, seconds: Double, errorOutput: String)
    /// A system call failed.
    case system(call: String, errno: Int32)

    /// One sentence, with what to do next where something can be done.
    public var description: String {
        switch self {
        case .missingTool(let name):
            "\(name) is not installed: run script/bootstrap --tests"
        case .timedOut(let command, let seconds, let errorOutput):
            "killed after \(seconds) s: \(command)\n\(errorOutput)"
        case .system(let call, let errno):
            "\(call) failed with errno \(errno)"
        }
    }
}
