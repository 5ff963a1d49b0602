import Avro
import DaybookCatalog
import DaybookLog

/// Finds where the targets of a request stand in the log.
struct TargetSearch {
    private let catalog: Catalog
    private let log: any LogSource
    private let lookup: LogLookup

    init(_ catalog: Catalog, _ log: any LogSource, _ lookup: LogLookup) {
        self.catalog = catalog
        self.log = log
        self.lookup = lookup
    }

    /// The positions of the targets, in the targets' order.
    func ranges(
        of targets: [RetractionRequest.Target]
    ) throws(RetractionError) -> [Range<Position>] {
        var ranges: [Range<Position>] = []
        for target in targets {
            switch target {
            case .batch(let id): ranges.append(try batch(id))
            case .importDigest(let digest):
                let found = try imports { $0.digest == "\(digest)" }
                guard !found.isEmpty else { throw .unknownImport("\(digest)") }
                ranges += found.flatMap(\.ranges)
            case .importName(let name):
                let found = try imports { $0.name == name }
                guard let first = found.first else { throw .unknownImport(name) }
                guard found.count == 1 else {
                    throw .ambiguousImport(name, digests: found.map(\.digest))
                }
                ranges += first.ranges
            case .row(let table, let key): ranges.append(try row(table, key))
            }
        }
        return ranges
    }

    private func batch(_ id: String) throws(RetractionError) -> Range<Position> {
        let found: Receipt?
        do { found = try lookup.batch(id: id) } catch { throw .ledger(error) }
        guard let found else { throw .unknownBatch(id) }
        guard !found.table.isEmpty else { throw .noRows(batch: id) }
        return found.position..<found.endPosition
    }

    private func row(
        _ table: String, _ texts: [String]
    ) throws(RetractionError) -> Range<Position> {
        let key: AskedKey
        do { key = try AskedKey(texts, of: table, in: catalog) } catch { throw .badKey(error) }
        let history: KeyHistory
        do { history = try KeyHistory(of: key, by: catalog, in: log) } catch {
            throw .ledger(error)
        }
        switch history.presence {
        case .absent: throw .unknownRow(table: table, key: key.values)
        case .retracted: throw .nothingLeft
        case .present:
            guard let position = history.standing.last else {
                preconditionFailure("a row that is present stands somewhere")
            }
            return position..<position + 1
        }
    }

    /// A file that was imported, known by its bytes.
    private struct ImportedFile {
        let digest: String
        var ranges: [Range<Position>]
    }

    /// The files that were imported and for which `isWanted` says so, in the order of the log. The
    /// batches of an import carry the file's digest in their idempotency keys, whether it came to
    /// its end or not.
    private func imports(
        _ isWanted: (ImportChunk) -> Bool
    ) throws(RetractionError) -> [ImportedFile] {
        var found: [ImportedFile] = []
        do throws(LogError) {
            try log.forEachBlock(in: 0..<log.durable.position) { (block) throws(LogError) in
                do {
                    try block.forEachBatch { reader in
                        guard let chunk = ImportChunk(reader.facts), isWanted(chunk) else { return }
                        let first = reader.facts.position
                        let range = first..<first + Position(reader.rowCount)
                        if let place = found.firstIndex(where: { $0.digest == chunk.digest }) {
                            found[place].ranges.append(range)
                        } else {
                            found.append(ImportedFile(digest: chunk.digest, ranges: [range]))
                        }
                    }
                } catch {
                    throw .unreadableRecord(at: block.firstPosition, error)
                }
            }
        } catch {
            throw .ledger(.log(error))
        }
        return found
    }
}

/// What a batch of an import says of its file.
struct ImportChunk {
    /// The file's name.
    let name: Substring
    /// SHA-256 of the file in hexadecimal.
    let digest: String

    /// Nil for other batches: their keys are their senders', or there are none.
    init?(_ facts: BatchFacts) {
        guard !facts.table.isEmpty, let colon = facts.source.firstIndex(of: ":"),
            let parts = facts.idempotencyKey?.split(separator: "/"), parts.count >= 5,
            parts[0] == "import", parts[1].utf8.count == 2 * Digest.byteCount
        else { return nil }
        name = facts.source[facts.source.index(after: colon)...]
        digest = String(parts[1])
    }
}
