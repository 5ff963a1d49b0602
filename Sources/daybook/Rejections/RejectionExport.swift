import Avro
import DaybookLog
import DaybookServer
import Foundation

/// Rejections as a file: a page at a time, so that memory does not grow with their count.
struct RejectionExport {
    /// The columns of a CSV export; those of the table follow where it is of one.
    static let columns = [
        "position", "table", "state", "codes", "reasons", "source", "line", "received_at",
        "principal", "raw",
    ]

    private let cells: RowCells?

    /// With `cells` rows are taken apart into the columns of their table.
    init(cells: RowCells?) { self.cells = cells }

    /// The first line: the columns' names.
    func head() -> Bytes { record(RejectionExport.columns + (cells?.names ?? [])) }

    /// A line for every rejection. Bytes that are no UTF-8 show as U+FFFD in `raw`.
    ///
    /// Nothing is done to what a spreadsheet may take for a formula: a mark before it would come
    /// back with the corrected row, as part of the value.
    func lines(_ page: [ProjectedRejection]) -> Bytes {
        var sink = ByteSink(capacity: 256 * (1 + page.count))
        for rejection in page {
            let reasons = RejectionLines.reasons(rejection).map(\.text).joined(separator: "; ")
            let fields = [
                String(rejection.position), rejection.table, rejection.state.rawValue,
                RejectionLines.codes(rejection).joined(separator: " "), reasons,
                rejection.source, rejection.line.map(String.init) ?? "",
                JSONWriter.text(time: rejection.receivedAt), rejection.principal,
                String(decoding: rejection.raw, as: UTF8.self),
            ]
            append(fields + (cells?.values(of: rejection) ?? []), to: &sink)
        }
        return sink.finish()
    }

    private func record(_ fields: [String]) -> Bytes {
        var sink = ByteSink(capacity: 256)
        append(fields, to: &sink)
        return sink.finish()
    }

    /// A record ends with CRLF (RFC 4180).
    private func append(_ fields: [String], to sink: inout ByteSink) {
        for (index, field) in fields.enumerated() {
            if index > 0 { sink.append(byte: UInt8(ascii: ",")) }
            guard !field.isEmpty else { continue }
            var field = field
            field.withUTF8 { sink.append(csvField: UnsafeRawBufferPointer($0)) }
        }
        sink.append(raw: [0x0D, 0x0A])
    }
}

/// Rejections as one JSON object, written a page at a time.
struct RejectionObject {
    private var isFirst = true
    /// Whether no rejection was written yet.
    private var isEmpty = true

    /// The text up to and with a page; `finish` ends it.
    mutating func text(of page: [ProjectedRejection]) -> Bytes {
        var json = JSONWriter(capacity: 512 * (1 + page.count))
        var sink = ByteSink(capacity: 512 * (1 + page.count))
        if isFirst { sink.append(raw: Array(#"{"rejections":["#.utf8)) }
        for (index, rejection) in page.enumerated() {
            if !isEmpty || index > 0 { sink.append(byte: UInt8(ascii: ",")) }
            json.removeAll()
            json.write(rejection)
            sink.append(raw: json.unsafeBytes)
        }
        isFirst = false
        isEmpty = isEmpty && page.isEmpty
        return sink.finish()
    }

    /// The end of the object.
    func end(next: Position?) -> Bytes {
        let text = "],\"next\":\(next.map(String.init) ?? "null")}\n"
        return Array(text.utf8).withUnsafeBytes { Bytes(copying: $0) }
    }
}

/// Where an export goes: standard output, or a file that is there when it is whole.
final class ExportFile {
    private let path: String?
    private let handle: FileHandle?

    private var partPath: String { (path ?? "") + ".part" }

    /// - Parameter path: nil is standard output. A file is its owner's alone (0600): rows that
    ///   were refused may hold anything.
    init(_ path: String?) throws(CommandFailure) {
        self.path = path
        guard let path else {
            handle = nil
            return
        }
        let descriptor = open(path + ".part", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure(.failed, "\(path).part: \(String(cString: strerror(errno)))")
        }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Appends bytes.
    func write(_ bytes: Bytes) throws(CommandFailure) {
        guard let handle else { return bytes.withUnsafeBytes { Console.write($0) } }
        do {
            try handle.write(contentsOf: bytes.withUnsafeBytes { Data($0) })
        } catch {
            throw CommandFailure(.failed, "\(partPath): \(error.localizedDescription)")
        }
    }

    /// Gives the file its name.
    func finish() throws(CommandFailure) {
        guard let handle, let path else { return }
        try? handle.close()
        guard rename(partPath, path) == 0 else {
            throw CommandFailure(.failed, "\(path): \(String(cString: strerror(errno)))")
        }
    }

    /// Takes away what is not whole.
    func abandon() {
        if path != nil { unlink(partPath) }
    }
}
