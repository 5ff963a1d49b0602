import Avro

/// Cuts a file of one JSON object a line into judged batches, as its bytes come.
public struct NDJSONDecoder: Sendable {
    private let judge: Judge
    private var lineCount: Int64 = 0
    /// Whether the next bytes are the rest of a line that was cut.
    private var isInRest = false

    /// A decoder for rows of the judge's table.
    public init(judge: Judge) {
        var judge = judge
        judge.limits.rowCount = .max
        self.judge = judge
    }

    /// Judges at most `rowLimit` rows at the start of `buffer`, which begins where the last step
    /// ended. A batch has exactly that many rows, or as many as fit the limit of a batch's bytes,
    /// or all there are when `isLast` says that the file ends with the buffer. A line over the
    /// limit of a row's bytes is cut into pieces, each a batch of one malformed row.
    public mutating func next(
        _ buffer: UnsafeRawBufferPointer, isLast: Bool, rowLimit: Int
    ) -> IntakeStep {
        precondition(rowLimit > 0, "a batch has at least one row")
        var start = 0
        var blankCount = 0
        while !isInRest, case .whole(let end, isBlank: true) = line(buffer, start, isLast) {
            start = end
            blankCount += 1
        }
        lineCount += Int64(blankCount)
        let nothing = IntakeStep(
            batch: nil, consumedByteCount: start, blankLineCount: blankCount,
            firstLine: lineCount + 1)
        var end = start
        var lines = 0
        var rows = 0
        scan: while rows < rowLimit {
            switch line(buffer, end, isLast) {
            case .end: break scan
            case .open: return nothing
            case .cut(let cut):
                if rows > 0 { break scan }
                return piece(buffer, start..<cut, blankCount, isRest: true)
            case .whole(let next, let isBlank):
                if isInRest { return piece(buffer, start..<next, blankCount, isRest: false) }
                if rows > 0 && next - start > judge.limits.batchByteCount { break scan }
                end = next
                lines += 1
                rows += isBlank ? 0 : 1
            }
        }
        if rows == 0 { return nothing }
        let body = Bytes(copying: UnsafeRawBufferPointer(rebasing: buffer[start..<end]))
        let step = IntakeStep(
            batch: judge.judgeNDJSON(body), consumedByteCount: end,
            blankLineCount: blankCount + lines - rows, firstLine: lineCount + 1)
        lineCount += Int64(lines)
        return step
    }

    private enum Line {
        /// The file ends here.
        case end
        /// More bytes have to come.
        case open
        /// The line goes on behind the place where it is cut.
        case cut(Int)
        /// The line ends before this place.
        case whole(Int, isBlank: Bool)
    }

    private func line(_ buffer: UnsafeRawBufferPointer, _ start: Int, _ isLast: Bool) -> Line {
        if start == buffer.count { return isLast ? .end : .open }
        let limit = min(buffer.count, start + judge.limits.rowByteCount)
        let feed = ByteSearch.first(UInt8(ascii: "\n"), buffer, from: start, to: limit)
        if feed == limit && limit < buffer.count { return .cut(limit) }
        if feed == limit && !isLast { return .open }
        let isBlank = buffer[start..<feed].allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
        return .whole(min(feed + 1, limit), isBlank: isBlank)
    }

    /// A batch of one row: a piece of a line that is too long.
    private mutating func piece(
        _ buffer: UnsafeRawBufferPointer, _ range: Range<Int>, _ blankCount: Int, isRest: Bool
    ) -> IntakeStep {
        var builder = BatchBuilder(plan: judge.plan, probe: nil, rowCount: 1, byteCount: 0)
        builder.begin()
        let hasFeed = buffer[range.upperBound - 1] == UInt8(ascii: "\n")
        let count = range.count - (hasFeed ? 1 : 0)
        builder.reject(.malformedRow, "the line is longer than a row may be")
        builder.closeUnread(original: 0..<count)
        let original = UnsafeRawBufferPointer(rebasing: buffer[range].prefix(count))
        let step = IntakeStep(
            batch: builder.finish(format: .ndjson, original: Bytes(copying: original)),
            consumedByteCount: range.upperBound, blankLineCount: blankCount,
            firstLine: lineCount + 1)
        lineCount += isRest ? 0 : 1
        isInRest = isRest
        return step
    }
}
