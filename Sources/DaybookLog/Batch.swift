import Avro

/// What a batch's record says besides its rows. Field by field the Avro record `daybook.Batch`.
public struct BatchFacts: Sendable, Equatable {
    /// The first row's position; row i has `position + i`.
    public var position: Position
    /// Strictly increasing over batches.
    public var receivedAt: Microseconds
    /// What the wall clock said.
    public var clock: Microseconds
    /// A UUIDv7, 36 characters.
    public var id: String
    /// Where the rows came from: `http`, `csv:<file name>`, `avro:<file name>`, `system`, …
    public var source: String
    /// The name of the API key, `local:<user>`, or `system`.
    public var principal: String
    /// The client's key by which a retry is known, scoped by principal; nil if none was sent.
    public var idempotencyKey: String?
    /// SHA-256 over table, options, content type and body; empty where there was no request.
    public var requestDigest: [UInt8]
    /// Version of the data dictionary that judged the rows.
    public var dictionary: String
    /// The table; for the ledger's own batches the empty string.
    public var table: String
    /// The form of the original bytes: `json`, `ndjson`, `csv`, `avro`; `control` for the ledger's.
    public var format: String
    /// Line of the first row in its file, from 1.
    public var firstLine: Int64?
    /// Where a row starts later than one line after the row before it.
    public var lineSkips: [LineSkip]
    /// Rows that mend an earlier rejection.
    public var corrects: [Correction]

    /// The facts of one batch; nothing is checked until its record is built.
    public init(
        position: Position, receivedAt: Microseconds, clock: Microseconds, id: String,
        source: String, principal: String, idempotencyKey: String? = nil,
        requestDigest: [UInt8] = [], dictionary: String, table: String, format: String,
        firstLine: Int64? = nil, lineSkips: [LineSkip] = [], corrects: [Correction] = []
    ) {
        self.position = position
        self.receivedAt = receivedAt
        self.clock = clock
        self.id = id
        self.source = source
        self.principal = principal
        self.idempotencyKey = idempotencyKey
        self.requestDigest = requestDigest
        self.dictionary = dictionary
        self.table = table
        self.format = format
        self.firstLine = firstLine
        self.lineSkips = lineSkips
        self.corrects = corrects
    }

    /// The line in the file at which row `row` starts, or nil where there are no lines.
    public func line(ofRow row: Int) -> Int64? {
        guard let firstLine else { return nil }
        var line = firstLine &+ Int64(row)
        for skip in lineSkips where skip.row <= row { line &+= skip.lines }
        return line
    }
}

/// Row `row` of the batch, and all after it, start `lines` lines later than counting would say.
public struct LineSkip: Sendable, Equatable {
    /// Index of the row in the batch, from 0.
    public let row: Int
    /// How many lines more than one.
    public let lines: Int64

    /// From row `row` on, `lines` lines are to be added.
    public init(row: Int, lines: Int64) {
        self.row = row
        self.lines = lines
    }
}

/// Row `row` of the batch mends the rejection at `position`.
public struct Correction: Sendable, Equatable {
    /// Index of the mending row in the batch, from 0.
    public let row: Int
    /// The position at which the row was rejected before.
    public let position: Position

    /// Row `row` mends what was rejected at `position`.
    public init(row: Int, position: Position) {
        self.row = row
        self.position = position
    }
}

/// A rejected row as the log keeps it.
public struct Rejection: Sendable, Equatable {
    /// One rule that the row breaks, in the words in which the sender was told.
    public struct Reason: Sendable, Equatable {
        /// The rule that was broken, in snake case, such as `wrong_type`.
        public let code: String
        /// The column or field it is about, if it is about one.
        public let column: String?
        /// What is wrong, for a person.
        public let message: String

        /// A reason in the words of the log.
        public init(code: String, column: String?, message: String) {
            self.code = code
            self.column = column
            self.message = message
        }
    }

    /// The original bytes, without a line terminator.
    public var raw: [UInt8]
    /// The length before `raw` was cut; nil if it is whole.
    public var rawLength: Int64?
    /// In order of precedence, the first the weightiest; at most 16.
    public var reasons: [Reason]
    /// SHA-256 of the bytes, where the dictionary says that they are not kept: then `raw` is empty
    /// and `rawLength` their number. Nil where they are.
    public var digest: [UInt8]?

    /// A rejected row; `rawLength` is given only where `raw` was cut or is not kept.
    public init(raw: [UInt8], rawLength: Int64?, reasons: [Reason], digest: [UInt8]? = nil) {
        precondition(digest == nil || raw.isEmpty, "a digest stands in place of the bytes")
        self.raw = raw
        self.rawLength = rawLength
        self.reasons = reasons
        self.digest = digest
    }
}

/// One of the ledger's own events: genesis, a catalog, a torn tail that was cut, …
public struct Control: Sendable, Equatable {
    /// What happened. The kinds of this version stand in FORMAT.md.
    public var kind: String
    /// Half-open ranges of positions that it is about.
    public var refersTo: [Range<Position>]
    /// Its text, by kind; JSON unless FORMAT.md says otherwise.
    public var text: [UInt8]

    /// An event of the ledger's own; `refersTo` is empty where it is about no rows.
    public init(kind: String, refersTo: [Range<Position>] = [], text: [UInt8]) {
        self.kind = kind
        self.refersTo = refersTo
        self.text = text
    }
}

extension ByteSink {
    /// Writes all fields of a batch's record before `rows`.
    mutating func append(_ facts: BatchFacts) {
        append(long: facts.position)
        append(long: facts.receivedAt)
        append(long: facts.clock)
        append(string: facts.id)
        append(string: facts.source)
        append(string: facts.principal)
        appendUnion(facts.idempotencyKey) { sink, key in sink.append(string: key) }
        append(bytes: facts.requestDigest)
        append(string: facts.dictionary)
        append(string: facts.table)
        append(string: facts.format)
        appendUnion(facts.firstLine) { sink, line in sink.append(long: line) }
        appendArray(facts.lineSkips) { sink, skip in
            sink.append(long: Int64(skip.row))
            sink.append(long: skip.lines)
        }
        appendArray(facts.corrects) { sink, correction in
            sink.append(long: Int64(correction.row))
            sink.append(long: correction.position)
        }
    }

    /// Writes a rejected row with the number of its branch; `keepsDigests` is the schema's.
    public mutating func append(rejection: Rejection, branch: Int, keepsDigests: Bool = false) {
        precondition(
            keepsDigests || rejection.digest == nil, "only a schema with digests has room for one")
        append(long: Int64(branch))
        append(bytes: rejection.raw)
        appendUnion(rejection.rawLength) { sink, length in sink.append(long: length) }
        appendArray(rejection.reasons) { sink, reason in
            sink.append(string: reason.code)
            sink.appendUnion(reason.column) { sink, column in sink.append(string: column) }
            sink.append(string: reason.message)
        }
        if keepsDigests {
            appendUnion(rejection.digest) { sink, digest in sink.append(bytes: digest) }
        }
    }

    /// Writes one of the ledger's own events with the number of its branch.
    public mutating func append(control: Control, branch: Int) {
        append(long: Int64(branch))
        append(string: control.kind)
        appendArray(control.refersTo) { sink, range in
            sink.append(long: range.lowerBound)
            sink.append(long: range.upperBound)
        }
        append(bytes: control.text)
    }

    /// A union of null and one type.
    mutating func appendUnion<T>(_ value: T?, _ write: (inout ByteSink, T) -> Void) {
        guard let value else { return append(long: 0) }
        append(long: 1)
        write(&self, value)
    }

    /// An array in one block.
    mutating func appendArray<T>(_ values: [T], _ write: (inout ByteSink, T) -> Void) {
        if !values.isEmpty {
            append(long: Int64(values.count))
            for value in values { write(&self, value) }
        }
        append(long: 0)
    }
}
