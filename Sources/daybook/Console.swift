import Avro
import DaybookServer
import Foundation

/// Where commands write: results on standard output, all else on standard error.
enum Console {
    /// Whether standard error is a terminal, where progress makes sense.
    static var showsProgress: Bool { isatty(STDERR_FILENO) == 1 }

    /// Writes text to standard output.
    static func write(_ text: String) {
        var text = text
        text.withUTF8 { write(UnsafeRawBufferPointer($0), to: STDOUT_FILENO) }
    }

    /// Writes bytes to standard output. When nobody reads any more, the program ends.
    static func write(_ bytes: UnsafeRawBufferPointer) {
        write(bytes, to: STDOUT_FILENO)
    }

    /// Writes one JSON object and a line end to standard output.
    static func writeJSON<Failure: Error>(
        _ body: (inout JSONWriter) throws(Failure) -> Void
    ) throws(Failure) {
        var json = JSONWriter()
        try body(&json)
        json.newline()
        write(json.unsafeBytes)
    }

    /// Writes a line to standard error.
    static func error(_ line: String) {
        var text = line + "\n"
        text.withUTF8 { write(UnsafeRawBufferPointer($0), to: STDERR_FILENO) }
    }

    /// Shows how far a long work is, on a terminal, in one line that is written over.
    static func progress(_ line: String) {
        guard showsProgress else { return }
        var text = "\r\u{1B}[K" + line
        text.withUTF8 { write(UnsafeRawBufferPointer($0), to: STDERR_FILENO) }
    }

    /// Takes the line of progress away.
    static func endProgress() { progress("") }

    private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Foundation.write(
                descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { exit(errno == EPIPE ? 0 : ExitStatus.failed.rawValue) }
            rest = rest.dropFirst(count)
        }
    }
}
