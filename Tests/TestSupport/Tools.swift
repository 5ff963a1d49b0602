import Foundation

/// The package's folder, absolute.
public let packageRoot: String = {
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { folder.deleteLastPathComponent() }
    return folder.path
}()

/// Finds a program on `PATH`, or among Debian's versioned Postgres programs.
/// - Returns: its absolute path.
/// - Throws: ``TestSupportError/missingTool(_:)``, which names the command that installs it.
public func requireTool(_ name: String) throws(TestSupportError) -> String {
    let searchPath = ProcessInfo.processInfo.environment["PATH"] ?? ""
    let postgres = "/usr/lib/postgresql"
    let versions = (try? FileManager.default.contentsOfDirectory(atPath: postgres)) ?? []
    let newestFirst = versions.sorted { $0.compare($1, options: .numeric) == .orderedDescending }
    let postgresFolders = newestFirst.map { "\(postgres)/\($0)/bin" }
    for folder in searchPath.split(separator: ":").map(String.init) + postgresFolders {
        let path = "\(folder)/\(name)"
        if FileManager.default.isExecutableFile(atPath: path) { return path }
    }
    throw .missingTool(name)
}

/// The Python that has fastavro, avro and lz4; `script/bootstrap --tests` makes it.
public var pythonPath: String {
    get throws(TestSupportError) {
        let path = "\(packageRoot)/.venv/bin/python"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw .missingTool("the Python of .venv")
        }
        return path
    }
}

/// The `daybook` program of this very build: it stands beside the test program. `DAYBOOK_BINARY`
/// names another, such as one that was built with `-c release`.
public var daybookBinary: String {
    get throws(TestSupportError) {
        if let given = ProcessInfo.processInfo.environment["DAYBOOK_BINARY"] { return given }
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let path = tests.deletingLastPathComponent().appendingPathComponent("daybook").path
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw .missingTool("daybook (swift build --build-tests)")
        }
        return path
    }
}

/// A TCP port of the loopback interface that nothing listens on at this moment.
/// - Throws: ``TestSupportError/system(call:errno:)``.
public func freePort() throws(TestSupportError) -> Int {
    let handle = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    guard handle >= 0 else { throw .system(call: "socket", errno: errno) }
    defer { close(handle) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            bind(handle, generic, length) == 0 ? getsockname(handle, generic, &length) : -1
        }
    }
    guard code == 0 else { throw .system(call: "bind", errno: errno) }
    return Int(UInt16(bigEndian: address.sin_port))
}
