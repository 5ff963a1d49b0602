import Foundation
import S3

/// What an import is told to read: a file of this machine, or a URL.
enum ImportSource {
    case path(String)
    case s3(S3Location)
    case https(URL)

    /// - Throws: usage, for a URL that is not read. It never repeats a URL's query or user.
    init(_ text: String) throws(CommandFailure) {
        guard let end = text.firstRange(of: "://") else {
            self = .path(text)
            return
        }
        switch text[..<end.lowerBound].lowercased() {
        case "s3":
            let location: S3Location
            do throws(S3Error) { location = try S3Location(text) } catch {
                throw CommandFailure(error)
            }
            guard !location.key.isEmpty else {
                throw CommandFailure(.usage, "\(location) is a bucket; name a file in it")
            }
            self = .s3(location)
        case "https":
            self = .https(try ImportSource.web(text))
        case "http":
            throw CommandFailure(
                .usage,
                "http:// is not read: nothing proves who sent the rows, and anyone on the way can "
                    + "change them. Use https:// or s3://, or save the file, look at it, and "
                    + "import it by its path")
        case let scheme:
            let isScheme = scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
            throw CommandFailure(
                .usage,
                "\(isScheme ? "\(scheme)://" : "this URL") is not read; give a file's path, an "
                    + "https:// URL or s3://bucket/key")
        }
    }

    private static func web(_ text: String) throws(CommandFailure) -> URL {
        guard let parts = URLComponents(string: text), let host = parts.host, !host.isEmpty,
            let url = parts.url
        else {
            throw CommandFailure(.usage, "an https:// URL is not well-formed; see its spelling")
        }
        guard parts.user == nil, parts.password == nil else {
            throw CommandFailure(
                .usage,
                "a URL with a name and password in it is not read: they would stand in the shell's "
                    + "history and the list of processes. Use a presigned URL or s3://")
        }
        return url
    }

    /// The last part of the path, as the log's `source` has it; never a query.
    var name: String {
        switch self {
        case .path(let path): URL(fileURLWithPath: path).lastPathComponent
        case .s3(let location): String(location.key.split(separator: "/").last ?? "")
        case .https(let url): ImportSource.name(of: url)
        }
    }

    private static func name(of url: URL) -> String {
        let path = URLComponents(url: url, resolvingAgainstBaseURL: true)?.path ?? ""
        let name = path.split(separator: "/").last.map(String.init) ?? url.host ?? "download"
        let shown = name.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7f }
        return String(String.UnicodeScalarView(shown))
    }
}

/// A file to import, on this machine by now.
struct ImportFile {
    let path: String
    let name: String
    /// What was fetched, if it was: it lasts as long as this.
    let fetched: PrivateFile?
}
