import DaybookLedger
import DaybookLog

extension JSONWriter {
    /// A rejection as an object.
    public mutating func write(_ rejection: ProjectedRejection) {
        openObject()
        field("position", rejection.position)
        field("batch_id", rejection.batchID)
        field("table", rejection.table)
        field("source", rejection.source)
        key("line")
        if let line = rejection.line { integer(line) } else { null() }
        key("received_at")
        time(rejection.receivedAt)
        field("principal", rejection.principal)
        field("state", rejection.state.rawValue)
        key("reasons")
        raw(rejection.reasons)
        write(
            bytes: rejection.raw, digest: rejection.digest,
            length: rejection.rawLength > rejection.raw.count ? rejection.rawLength : nil)
        if let first = rejection.retryOf { field("retry_of", first) }
        if let closing = rejection.closing {
            key("closed")
            write(closing)
        }
        closeObject()
    }

    /// A rejection of the log as an object, with what became of it; nil is that nobody can say now.
    public mutating func write(_ stored: StoredRejection, life: RejectionLife?) {
        let batch = stored.batch
        openObject()
        field("position", stored.position)
        field("batch_id", batch.id)
        field("table", batch.table)
        field("source", batch.source)
        key("line")
        if let line = stored.line { integer(line) } else { null() }
        key("received_at")
        time(batch.receivedAt)
        field("principal", batch.principal)
        field("state", life?.state?.rawValue)
        write(reasons: stored.rejection.reasons)
        write(
            bytes: stored.rejection.raw, digest: stored.rejection.digest,
            length: stored.rejection.rawLength)
        if stored.isRetry { field("retry_of", stored.root.position) }
        if let closing = life?.closing {
            key("closed")
            write(closing)
        }
        field("index", stored.index)
        field("format", batch.format)
        field("dictionary", batch.dictionary)
        field("idempotency_key", batch.idempotencyKey)
        field(
            "request_digest", batch.requestDigest.isEmpty ? nil : hexadecimal(batch.requestDigest))
        key("retries")
        if let life {
            openArray()
            for position in life.retries { integer(position) }
            closeArray()
        } else {
            null()
        }
        closeObject()
    }

    /// Counts of rejections as an object.
    public mutating func write(_ summary: RejectionSummary) {
        openObject()
        field("total", summary.total)
        for state in RejectionState.allCases {
            field(state.rawValue, summary.states[state] ?? 0)
        }
        write(summary.codes, named: "by_code", each: "code")
        write(summary.tables, named: "by_table", each: "table")
        write(summary.sources, named: "by_source", each: "source")
        if let others = summary.otherSources {
            key("other_sources")
            openObject()
            field("sources", others.sources)
            field("count", others.count.count)
            field("open", others.count.open)
            closeObject()
        }
        let ages = RejectionSummary.Age.allCases.map { age in
            RejectionSummary.Named(age.rawValue, summary.ages[age] ?? .init(count: 0, open: 0))
        }
        write(ages, named: "by_age", each: "age")
        closeObject()
    }

    private mutating func write(
        _ counts: [RejectionSummary.Named], named name: String, each: String
    ) {
        key(name)
        openArray()
        for named in counts {
            openObject()
            field(each, named.name)
            field("count", named.count.count)
            field("open", named.count.open)
            closeObject()
        }
        closeArray()
    }

    /// What was sent, as text where it is text; `length` is there where it was cut. Where the bytes
    /// are not kept, their digest.
    private mutating func write(bytes: [UInt8], digest: [UInt8]?, length: Int64?) {
        if let digest {
            field("raw_digest", hexadecimal(digest))
            if let length { field("raw_length", length) }
            return
        }
        bytes.withUnsafeBytes { bytes in
            if JSONSyntax.isUTF8(bytes) {
                key("raw")
                string(utf8: bytes)
            } else {
                key("raw_base64")
                base64(bytes)
            }
        }
        if let length { field("raw_length", length) }
    }

    private mutating func write(_ closing: ProjectedRejection.Closing) {
        openObject()
        field("state", closing.state.rawValue)
        field("position", closing.position)
        field("batch_id", closing.batchID)
        key("received_at")
        time(closing.receivedAt)
        field("principal", closing.principal)
        field("note", closing.note)
        closeObject()
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}
