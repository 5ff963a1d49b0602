import Foundation
import Synchronization
import TestSupport

/// What all connections of one round share.
final class RoundState: Sendable {
    private let ended = Atomic(false)
    private let acknowledged = Atomic(0)
    private let full = Atomic(0)

    /// Whether the server of this round was killed.
    var isOver: Bool { ended.load(ordering: .relaxed) }
    func end() { ended.store(true, ordering: .relaxed) }

    /// How many batches were answered with verdicts.
    var acknowledgedCount: Int { acknowledged.load(ordering: .relaxed) }
    /// How many were answered with 507.
    var fullCount: Int { full.load(ordering: .relaxed) }

    func note(_ outcome: Attempt.Outcome) {
        switch outcome {
        case .verdicts: acknowledged.add(1, ordering: .relaxed)
        case .refused(507): full.add(1, ordering: .relaxed)
        case .refused, .unknown: break
        }
    }
}

/// What a connection brings home from a round.
struct ClientResult: Sendable {
    var records: [CallRecord] = []
    /// Answers that contradict what is promised.
    var complaints: [String] = []
    var statuses: [Int: Int] = [:]
    /// Calls that were sent again after the kill before, and were in the log or not.
    var foundCount = 0
    var absentCount = 0
    /// Acknowledged calls that were sent again.
    var replayCount = 0
    var conflictCount = 0
    var twiceCount = 0
}

/// One connection: call after call until the server is gone.
struct KillClient: Sendable {
    let port: Int
    let key: String
    let seed: UInt64
    let numbers: KillNumbers
    let state: RoundState
    /// How long an answer is waited for, and what follows: the end of the round, or, where the
    /// server may be stopped and go on, the same call again.
    let patienceMilliseconds: Int
    let isPersistent: Bool
    /// At most so many calls, so that a slow kill does not make a large ledger.
    let callLimit: Int
    /// Calls of the round before that are tried again with their keys.
    let leftovers: [CallRecord]
    /// Calls that were acknowledged in earlier rounds, to be sent again.
    let older: [CallRecord]

    func run() -> ClientResult {
        var work = Work(client: self, seed: seed)
        for record in leftovers {
            guard work.retry(record) else { break }
        }
        // What was not reached is as unknown as before.
        work.result.records += leftovers.dropFirst(work.retriedCount)
        var count = 0
        while !state.isOver, count < callLimit, work.next() { count += 1 }
        return work.result
    }
}

extension KillClient {
    /// What one connection does, on its own thread.
    private struct Work {
        let client: KillClient
        let connection: PlainConnection
        var maker: CallMaker
        var random: SeededGenerator
        var result = ClientResult()
        var retriedCount = 0
        /// Acknowledged calls, to be sent again or contradicted.
        var known: [CallRecord]

        init(client: KillClient, seed: UInt64) {
            self.client = client
            connection = PlainConnection(port: client.port, key: client.key)
            random = SeededGenerator(seed: seed)
            maker = CallMaker(
                numbers: client.numbers, random: SeededGenerator(seed: seed ^ 0x5555_5555))
            known = client.older
        }

        /// One step; false if the server is gone.
        mutating func next() -> Bool {
            if Int.random(in: 0..<100, using: &random) < 35 {
                usleep(UInt32.random(in: 200...6_000, using: &random))
            }
            let record = known.randomElement(using: &random)
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<5:
                guard let record else { return appendNew() }
                return replay(record)
            case 5..<9:
                guard let record else { return appendNew() }
                return contradict(record)
            case 9..<14: return appendTwice()
            default: return appendNew()
            }
        }

        /// The same key again after a kill.
        mutating func retry(_ record: CallRecord) -> Bool {
            var record = record
            let count = record.attempts.count
            let goesOn = settle(&record)
            retriedCount += 1
            // At the first try: a later one finds what the first one brought.
            if record.attempts.count == count + 1,
                case .verdicts(_, let isReplay) = record.attempts.last?.outcome
            {
                if isReplay { result.foundCount += 1 } else { result.absentCount += 1 }
            }
            keep(record)
            return goesOn
        }

        private mutating func appendNew() -> Bool {
            var record = CallRecord(call: maker.call())
            let goesOn = settle(&record)
            keep(record)
            return goesOn
        }

        /// Sends a call until it has an answer, or none is to be had.
        private mutating func settle(_ record: inout CallRecord) -> Bool {
            for _ in 0..<200 {
                let goesOn = attempt(&record)
                guard goesOn else { return false }
                switch record.attempts.last?.outcome {
                case .verdicts: return true
                case .refused(507):
                    usleep(4_000)
                    // Some go on with something else, and never ask again.
                    if client.state.isOver || Int.random(in: 0..<4, using: &random) == 0 {
                        return true
                    }
                case .refused, nil: return true
                case .unknown:
                    if client.state.isOver { return false }
                    usleep(1_000)
                }
            }
            return true
        }

        /// Sends a call once; false if the server is gone.
        private mutating func attempt(_ record: inout CallRecord) -> Bool {
            let call = record.call
            let sent = ContinuousClock.now
            let reply = connection.ask(
                "POST", call.path, headers: call.headers, body: call.body,
                patienceMilliseconds: client.patienceMilliseconds)
            return take(reply, sent: sent, into: &record)
        }

        private mutating func take(
            _ reply: Reply, sent: ContinuousClock.Instant, into record: inout CallRecord
        ) -> Bool {
            let outcome = outcome(of: reply, to: record)
            record.attempts.append(
                Attempt(sent: sent, ended: ContinuousClock.now, outcome: outcome))
            client.state.note(outcome)
            switch reply {
            case .answer: return true
            case .timedOut: return client.isPersistent && !client.state.isOver
            case .broken: return false
            }
        }

        private mutating func outcome(
            of reply: Reply, to record: CallRecord
        ) -> Attempt.Outcome {
            guard case .answer(let answer) = reply else { return .unknown }
            result.statuses[answer.status, default: 0] += 1
            switch answer.status {
            case 200, 400:
                if record.call.isConflict {
                    complain("another body was taken under a key", record, answer)
                }
                if let first = record.verdicts, first != answer.body {
                    complain("a second answer is another one", record, answer)
                }
                return .verdicts(answer.body, isReplay: answer.isReplay)
            case 422 where record.call.isConflict: return .refused(422)
            case 507: return .refused(507)
            // A server that goes may say so: that nothing was kept, or that nobody knows.
            case 503: return .unknown
            default:
                complain("an answer that is none of those expected", record, answer)
                return .unknown
            }
        }

        /// What was acknowledged is answered again, byte for byte.
        private mutating func replay(_ record: CallRecord) -> Bool {
            var again = record
            let goesOn = attempt(&again)
            if case .verdicts(_, let isReplay) = again.attempts.last?.outcome {
                result.replayCount += 1
                if !isReplay { complain("an acknowledged batch was appended again", record, nil) }
            }
            if case .refused(let status) = again.attempts.last?.outcome {
                complain("an acknowledged batch was answered with \(status)", record, nil)
            }
            return goesOn
        }

        /// Another body under the key of an acknowledged call: 422, and nothing is kept.
        private mutating func contradict(_ record: CallRecord) -> Bool {
            var other = CallRecord(call: maker.call(under: record.call))
            let goesOn = attempt(&other)
            if case .refused(422) = other.attempts.last?.outcome { result.conflictCount += 1 }
            result.records.append(other)
            return goesOn
        }

        /// The same batch over two connections at once.
        private mutating func appendTwice() -> Bool {
            var record = CallRecord(call: maker.call())
            let call = record.call
            let second = PlainConnection(port: client.port, key: client.key)
            let sent = ContinuousClock.now
            let areSent = [connection, second].map {
                $0.send("POST", call.path, headers: call.headers, body: call.body)
            }
            var goesOn = true
            for (index, each) in [connection, second].enumerated() {
                let reply =
                    areSent[index]
                    ? each.receive(patienceMilliseconds: client.patienceMilliseconds) : .broken
                if !take(reply, sent: sent, into: &record) { goesOn = false }
            }
            let firstCount = record.attempts.count {
                if case .verdicts(_, isReplay: false) = $0.outcome { true } else { false }
            }
            if firstCount > 1 { complain("a batch sent twice was appended twice", record, nil) }
            result.twiceCount += 1
            keep(record)
            return goesOn
        }

        private mutating func keep(_ record: CallRecord) {
            result.records.append(record)
            if record.isAcknowledged { known.append(record) }
        }

        private mutating func complain(
            _ what: String, _ record: CallRecord, _ answer: PlainAnswer?
        ) {
            let text = answer.map {
                "\($0.status) \(String(decoding: $0.body.prefix(300), as: UTF8.self))"
            }
            result.complaints.append("\(record.call.key): \(what) \(text ?? "")")
        }
    }
}

/// Work that runs on threads of its own, for it blocks.
final class ThreadedWork<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    private let group = DispatchGroup()

    init(_ works: [@Sendable () -> Value]) {
        for work in works {
            group.enter()
            Thread.detachNewThread { [self] in
                let value = work()
                values.withLock { $0.append(value) }
                group.leave()
            }
        }
    }

    /// What all of them gave, in the order in which they ended.
    func wait() -> [Value] {
        group.wait()
        return values.withLock { $0 }
    }
}
