import ArgumentParser
import DaybookLedger
import DaybookLog
import DaybookSegments
import DaybookServer
import Foundation

/// `daybook proof …`
struct ProofCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proof",
        abstract: "Prove that a batch is in the ledger, and check such a proof anywhere.",
        discussion: """
            Example: daybook proof get 0190f6c1-… --out batch.proof && daybook proof check \
            batch.proof --key ledger.pub --receipt answer.json

            See docs/proofs.md.
            """,
        subcommands: [ProofGet.self, ProofCheckCommand.self])
}

/// `daybook proof get`
struct ProofGet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Make a proof from the log; a server may be running.",
        discussion: """
            Example: daybook proof get 0190f6c1-… --from-size 120 --out batch.proof

            It reads the log from the batch on. The same over HTTP: GET /v1/batches/ID/proof.
            """)

    @Argument(help: "The batch's id, as the append's answer has it.")
    var batchID: String

    @Option(help: "Add the consistency path from the earlier tree of so many batches.")
    var fromSize: UInt64?

    @Option(help: "Write it to this file. Default: standard output.")
    var out: String?

    @OptionGroup var settings: Settings

    @Flag(help: "The proof is JSON with or without it.")
    var json = false

    func run() throws {
        let log = try LogReader.open(folder: settings.dataFolder)
        let head = log.durable
        guard fromSize.map({ $0 >= 1 && $0 <= head.size }) ?? true else {
            throw CommandFailure(
                .usage, "--from-size is from 1 to \(head.size), the number of batches now")
        }
        guard BackupPlace.trustedKey(settings) != nil else {
            throw CommandFailure(
                .usage,
                "\(settings.dataFolder) has no ledger.key to sign with; start the ledger once")
        }
        guard let receipt = try log.batch(id: batchID) else {
            throw CommandFailure(
                .usage, "the log has no batch \(batchID); see `daybook log cat`")
        }
        let proof = try BatchProof(
            of: receipt, in: log, head: head, from: fromSize, key: try BackupPlace.key(settings))
        guard let out else { return proof.json.withUnsafeBytes { Console.write($0) } }
        do {
            try Data(proof.json).write(to: URL(fileURLWithPath: out), options: .atomic)
        } catch {
            throw CommandFailure(.failed, "\(out): \(error.localizedDescription)")
        }
    }
}

/// `daybook proof check`
struct ProofCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a proof: no server, no log, no ledger is needed.",
        discussion: """
            Example: daybook proof check batch.proof --key ledger.pub --receipt answer.json

            Without --key the signature is checked by the key that the file names itself. Without \
            --receipt what is proven is that a record with this leaf is in the ledger: which \
            batch and positions it has, the file only says. Exit status 1 if anything is not true.
            """)

    @Argument(help: "The proof.")
    var file: String

    @Option(help: "The ledger's public key in PEM, as `daybook keys ledger` printed it.")
    var key: String?

    @Option(help: "The JSON answer to the append.")
    var receipt: String?

    @Option(help: "A signed tree head of another time, kept elsewhere.")
    var anchor: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let proof = try read(file, "proof") { (bytes) throws(ProofFault) in
            try BatchProof(json: bytes)
        }
        let keptReceipt = try receipt.map {
            try read($0, "receipt") { (bytes) throws(ProofFault) in try KeptReceipt(json: bytes) }
        }
        let check = ProofCheck(
            proof, trusted: try key.map(ProofFiles.key), receipt: keptReceipt,
            anchor: try anchor.map { try AnchorFile($0).anchor })
        if json { write(proof, check) } else { report(proof, check) }
        if !check.isGood { throw CommandFailure(.failed, "\(file) does not hold") }
    }

    private func read<Value>(
        _ path: String, _ what: String, _ parse: ([UInt8]) throws(ProofFault) -> Value
    ) throws -> Value {
        let bytes = try ProofFiles.bytes(path)
        do throws(ProofFault) {
            return try parse(bytes)
        } catch {
            throw CommandFailure(.usage, "\(path) is no \(what): \(error)")
        }
    }

    private func report(_ proof: BatchProof, _ check: ProofCheck) {
        let end = proof.position + Position(proof.rowCount)
        let head = proof.path.head
        Console.write(
            "batch \(proof.batchID), positions \(proof.position)..<\(end), in ledger "
                + "\(head.ledger) at position \(head.position)\n")
        for finding in check.findings {
            Console.write(
                "\(finding.isGood ? "ok   " : "FALSE") \(finding.subject.rawValue): "
                    + "\(finding.what)\n")
        }
    }

    private func write(_ proof: BatchProof, _ check: ProofCheck) {
        let head = proof.path.head
        Console.writeJSON { json in
            json.openObject()
            json.field("ok", check.isGood)
            json.field("key_is", key == nil ? "claimed" : "given")
            json.field("public_key", proof.key.description)
            json.field("ledger", head.ledger.description)
            json.field("batch_id", proof.batchID)
            json.field("position", proof.position)
            json.field("rows", proof.rowCount)
            json.field("leaf", proof.path.leaf.description)
            json.field("leaf_index", proof.path.index)
            json.field("tree_size", head.size)
            json.field("tree_position", head.position)
            json.field("root", head.root.description)
            json.key("checks")
            json.openArray()
            for finding in check.findings {
                json.openObject()
                json.field("check", finding.subject.rawValue)
                json.field("ok", finding.isGood)
                json.field("what", finding.what)
                json.closeObject()
            }
            json.closeArray()
            json.closeObject()
        }
    }
}
