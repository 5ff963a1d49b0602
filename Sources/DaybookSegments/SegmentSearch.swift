import DaybookLog

/// Finds the segments of a folder in order, up to the first that is missing, damaged or foreign.
///
/// A closed segment without a readable header counts as found where everything else proves it.
struct SegmentSearch {
    private(set) var files: [SegmentFile] = []
    /// Headers that cannot be read, of closed segments whose blocks all hold.
    private(set) var damage: [Corruption] = []
    /// What is wrong with the next one; nil if all are there.
    private(set) var fault: LogError?

    private let disk: any LogDisk
    private let names: [String]
    private let witness: LedgerID?
    private let known: LogSchema?
    /// The last of the files, if its header was made up and nothing has confirmed its end yet.
    private var unconfirmed: HeaderlessSegment?

    /// Opens every segment's headers and checks that no segment is missing, foreign or twice there.
    ///
    /// - Parameter witness: whose ledger the head file is, which decides if segments are of two.
    /// - Parameter known: a schema that the first segment probably has.
    init(
        names: [String], disk: any LogDisk, witness: LedgerID?, known: LogSchema? = nil
    ) throws {
        self.disk = disk
        self.names = names.filter { SegmentFile.basePosition(name: $0) != nil }.sorted()
        self.witness = witness
        self.known = known
        var stop: (name: String, what: String)?
        for name in self.names {
            stop = try take(name)
            if stop != nil || fault != nil { break }
        }
        let isOfOne = files.allSatisfy { $0.header.ledger == files[0].header.ledger }
        let ledger = isOfOne ? files.first?.header.ledger : witness ?? files[0].header.ledger
        for (number, file) in files.enumerated() {
            guard let what = misfit(file, number: UInt64(number), ledger: ledger) else { continue }
            files.removeSubrange(number...)
            damage.removeAll { damaged in !files.contains { $0.name == damaged.file } }
            let end = try endPosition()
            let isMissing = file.header.ledger == ledger && file.header.segment > UInt64(number)
            let name = isMissing ? SegmentFile.name(basePosition: end) : file.name
            fault = corrupt(name, position: end, what: what)
            return
        }
        guard let (name, what) = stop else { return }
        fault = corrupt(name, position: try endPosition(), what: what)
    }

    /// Opens the next segment; why the log ends before it, if it does.
    private mutating func take(_ name: String) throws -> (name: String, what: String)? {
        do {
            let schema = files.last?.schema ?? known
            let file = try SegmentFile.open(name, on: disk, known: schema).0
            if let before = unconfirmed, !before.ends(before: file.header) {
                files.removeLast()
                damage.removeLast()
                return (before.file.name, before.reason)
            }
            unconfirmed = nil
            files.append(file)
        } catch SegmentFault.disk(let error) {
            throw error
        } catch SegmentFault.frame(.unsupportedVersion(let version)) {
            fault = .unsupportedVersion(file: name, version: version)
        } catch {
            // The last may be active: no header after it says where it ends.
            guard name != names.last,
                let segment = try HeaderlessSegment.find(
                    name, fault: error, after: files.last, ledger: witness,
                    schemas: try schemas(), disk: disk)
            else { return (name, HeaderlessSegment.words(error)) }
            unconfirmed = segment
            files.append(segment.file)
            damage.append(segment.damage)
        }
        return nil
    }

    /// Those of all segments that can be opened, once each.
    private func schemas() throws -> [LogSchema] {
        var found = [known].compactMap(\.self)
        for name in names {
            do {
                let file = try SegmentFile.open(name, on: disk, known: found.last).0
                if !found.contains(file.schema) { found.append(file.schema) }
            } catch SegmentFault.disk(let error) {
                throw error
            } catch {
                continue
            }
        }
        return found
    }

    /// Why a segment that is valid in itself is not number `number` of the ledger.
    private func misfit(_ file: SegmentFile, number: UInt64, ledger: LedgerID?) -> String? {
        let header = file.header
        if header.ledger != ledger { return "it belongs to ledger \(header.ledger)" }
        if header.segment > number {
            return "segment \(number) is missing: \(file.name) is segment \(header.segment)"
        }
        if header.segment < number {
            return "segment \(header.segment) is there again, where segment \(number) should be"
        }
        if number > 0 { return nil }
        let isFirst =
            header.basePosition == 0 && header.firstBlock == 0 && header.frontier.size == 0
            && header.lastReceivedAt == 0
        return isFirst ? nil : "the first segment begins in mid-ledger"
    }

    /// The position after the last event of the files, as far as it is valid; 0 for none.
    private func endPosition() throws -> Position {
        guard let file = files.last else { return 0 }
        let handle = try disk.open(file.name, .read)
        if let footer = try SegmentChain.footer(of: file, file: handle) {
            return footer.endPosition
        }
        return try SegmentTail(file, file: handle).scanner.state.position
    }

    private func corrupt(_ name: String, position: Position, what: String) -> LogError {
        .corrupt(Corruption(file: name, offset: 0, position: position, what: what))
    }
}
