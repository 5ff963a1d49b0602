import Avro
import DaybookCatalog

/// How the fields of a CSV file belong to the table's columns.
public enum CSVHeader: Sendable, Hashable {
    /// No header: the fields are the columns in order. A first line of column names is an error.
    case absent
    /// The first line has the columns' names or aliases.
    case present
    /// No header: the fields are the columns of these names or aliases.
    case columns([String])
}

/// Cuts a CSV file into judged batches, as its bytes come.
///
/// Source: RFC 4180; a byte order mark, CRLF and a missing last line end are fine, blank lines are
/// counted and passed over.
public struct CSVDecoder: Sendable {
    private let judge: Judge
    private let header: CSVHeader
    /// Nil until the first line was seen.
    private var mapping: CSVMapping?
    /// Lines before the place reached.
    private var lineCount: Int64 = 0
    private var isAtStart = true
    /// Whether the next bytes are the rest of a row that was cut.
    private var isInRest = false

    /// A decoder for rows of the judge's table.
    ///
    /// Throws `unknownColumn` or `repeatedColumn` if `header` gives the columns itself.
    public init(judge: Judge, header: CSVHeader = .absent) throws(IntakeError) {
        self.judge = judge
        self.header = header
        if case .columns(let names) = header {
            mapping = try CSVMapping(names, judge.table)
        }
    }

    /// A decoder for rows whose fields are known.
    init(judge: Judge, mapping: CSVMapping) {
        self.judge = judge
        header = .absent
        self.mapping = mapping
    }

    /// Judges at most `rowLimit` rows at the start of `buffer`, which begins where the last step
    /// ended. A batch has exactly that many rows, or as many as fit the limit of a batch's bytes,
    /// or all there are when `isLast` says that the file ends with the buffer.
    ///
    /// Throws `IntakeError` if the first line is not the header that it should (or should not) be.
    public mutating func next(
        _ buffer: UnsafeRawBufferPointer, isLast: Bool, rowLimit: Int
    ) throws(IntakeError) -> IntakeStep {
        precondition(rowLimit > 0, "a batch has at least one row")
        var progress = Progress(place: 0, lineCount: lineCount, blankCount: 0, isInRest: isInRest)
        var scanner = CSVScanner(
            fieldCapacity: (mapping?.fieldCount ?? max(judge.table.columns.count, 256)) + 1,
            rowByteCountMax: judge.limits.rowByteCount)
        if isAtStart {
            guard try start(buffer, isLast, &scanner, &progress) else { return nothing(0, 0) }
        }
        _ = progress.passBlankLines(buffer, isLast: isLast)
        // What was passed so far is done with, whatever becomes of the batch.
        commit(progress)
        let first = progress
        guard first.place < buffer.count else { return nothing(first.place, first.blankCount) }
        guard let mapping else { preconditionFailure("the first line was seen") }
        let batch = read(buffer, isLast, rowLimit, mapping, &scanner, &progress)
        guard let batch else { return nothing(first.place, first.blankCount) }
        commit(progress)
        return IntakeStep(
            batch: batch, consumedByteCount: progress.place,
            blankLineCount: progress.blankCount, firstLine: first.lineCount + 1)
    }

    private mutating func commit(_ progress: Progress) {
        lineCount = progress.lineCount
        isInRest = progress.isInRest
        isAtStart = isAtStart && progress.place == 0
    }

    private func nothing(_ consumed: Int, _ blank: Int) -> IntakeStep {
        IntakeStep(
            batch: nil, consumedByteCount: consumed, blankLineCount: blank,
            firstLine: lineCount + 1)
    }

    /// Where a step stands in its buffer.
    private struct Progress {
        var place: Int
        var lineCount: Int64
        var blankCount: Int
        var isInRest: Bool

        /// False if more bytes have to tell whether a line is blank.
        mutating func passBlankLines(_ buffer: UnsafeRawBufferPointer, isLast: Bool) -> Bool {
            while !isInRest {
                guard let end = CSVScanner.blankEnd(buffer, from: place, isLast: isLast) else {
                    return false
                }
                if end == place { break }
                place = end
                lineCount += 1
                blankCount += 1
            }
            return true
        }
    }

    /// Passes over a byte order mark and the header; false if more bytes have to come first.
    private mutating func start(
        _ buffer: UnsafeRawBufferPointer, _ isLast: Bool, _ scanner: inout CSVScanner,
        _ progress: inout Progress
    ) throws(IntakeError) -> Bool {
        guard buffer.count >= 3 || isLast else { return false }
        if buffer.starts(with: [0xEF, 0xBB, 0xBF]) { progress.place = 3 }
        guard progress.passBlankLines(buffer, isLast: isLast) else { return false }
        if mapping != nil { return true }
        guard progress.place < buffer.count else {
            if isLast { mapping = CSVMapping(judge.table) }
            return isLast
        }
        guard scanner.scan(buffer, from: progress.place, isLast: isLast, isRest: false) else {
            return false
        }
        let names = Self.names(scanner, buffer)
        if header == .absent {
            let isHeader = names?.allSatisfy { judge.table.column(called: $0) != nil } ?? false
            if isHeader && Set(names ?? []).count == scanner.fieldCount {
                throw .unannouncedHeader
            }
            mapping = CSVMapping(judge.table)
            return true
        }
        guard let names else { throw .malformedHeader }
        mapping = try CSVMapping(names, judge.table)
        progress.place = scanner.next
        progress.lineCount += Int64(scanner.lineCount)
        scanner = CSVScanner(
            fieldCapacity: names.count + 1, rowByteCountMax: judge.limits.rowByteCount)
        return true
    }

    /// The fields of the row that `scanner` found as names, or nil if they cannot be.
    private static func names(
        _ scanner: borrowing CSVScanner, _ buffer: UnsafeRawBufferPointer
    ) -> [String]? {
        guard scanner.fault == nil else { return nil }
        var names: [String] = []
        for index in 0..<min(scanner.fieldCount, scanner.fieldCapacity) {
            let field = scanner.fields[index]
            let bytes = buffer[field.start..<(field.start + field.count)]
            guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
            let trimmed = text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
            names.append(String(trimmed))
        }
        return names.count == scanner.fieldCount ? names : nil
    }

    /// The batch at `progress`, or nil if more bytes have to fill it.
    private func read(
        _ buffer: UnsafeRawBufferPointer, _ isLast: Bool, _ rowLimit: Int, _ mapping: CSVMapping,
        _ scanner: inout CSVScanner, _ progress: inout Progress
    ) -> JudgedBatch? {
        let start = progress.place
        let byteLimit = judge.limits.batchByteCount
        var builder = BatchBuilder(
            plan: judge.plan, probe: judge.probe, rowCount: min(rowLimit, 1_024),
            byteCount: min(buffer.count - start, 1 << 17))
        var end = start
        var rowLine = progress.lineCount
        while builder.rowCount < rowLimit {
            let before = progress
            guard progress.passBlankLines(buffer, isLast: isLast) else { return nil }
            let place = progress.place
            if place == buffer.count {
                if isLast { break }
                return nil
            }
            guard scanner.scan(buffer, from: place, isLast: isLast, isRest: progress.isInRest)
            else { return nil }
            if builder.rowCount > 0 && scanner.next - start > byteLimit {
                progress = before
                break
            }
            let skip = builder.rowCount == 0 ? 0 : Int(progress.lineCount - rowLine) - 1
            rowLine = progress.lineCount
            builder.judge(
                scanner, mapping, buffer,
                original: (place - start)..<(scanner.contentEnd - start), lineSkip: skip)
            end = scanner.contentEnd
            progress.place = scanner.next
            progress.lineCount += Int64(scanner.lineCount)
            progress.isInRest = scanner.isCut
            // The rest stands on the same line, which only a batch's first row can say.
            if scanner.isCut { break }
        }
        let original = UnsafeRawBufferPointer(rebasing: buffer[start..<end])
        return builder.finish(format: .csv, original: Bytes(copying: original))
    }
}
