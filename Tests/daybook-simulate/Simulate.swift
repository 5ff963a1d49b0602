import ArgumentParser
import Foundation
import Simulator
import Synchronization

@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "daybook-simulate",
        abstract: "Runs the ledger on a simulated disk that fails, and compares it with a model.",
        discussion: """
            Each seed is a run of at least 200 operations: batches, retries, clock jumps, kills,
            power losses, full disks, failing calls, rot. One seed and one commit give the same run.

            EXAMPLES
              daybook-simulate --seeds 20000
              daybook-simulate --seeds 1000000 --jobs 2
              daybook-simulate --seed 4711 --verbose

            EXIT STATUS
              0  every seed held, and every path was taken (if 20,000 seeds or more were run)
              1  a seed failed, or a path was never taken
            """)

    @Option(help: "How many seeds are run.")
    var seeds: UInt64 = 1000

    @Option(help: "The first seed.")
    var from: UInt64 = 0

    @Option(help: "Begin no further seed after so many seconds.")
    var seconds: Double?

    @Option(help: "How many threads run seeds.")
    var jobs = 2

    @Option(help: "Run this seed alone.")
    var seed: UInt64?

    @Flag(help: "With --seed: print every operation and answer.")
    var verbose = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    mutating func validate() throws {
        guard jobs >= 1, jobs <= 64 else { throw ValidationError("--jobs is from 1 to 64") }
        guard seeds >= 1 else { throw ValidationError("--seeds is at least 1") }
    }

    mutating func run() throws {
        let runner = try SeedRunner()
        if let seed { return try runOne(seed, runner) }
        Trap.install()
        let race = SeedRace(runner, seeds: from..<(from + seeds), seconds: seconds)
        let start = ContinuousClock.now
        race.run(jobs: jobs)
        let report = RunReport(
            tally: race.tally, failure: race.failure,
            seconds: (ContinuousClock.now - start) / .seconds(1))
        Output.write(json ? try report.json : report.text)
        if let failure = race.failure {
            Output.note("\nseed \(failure.seed) failed: \(failure.what)\n")
            _ = runner.trace(seed: failure.seed) { Output.note($0) }
            Output.note("\n\(Trap.command(failure.seed))")
        }
        if !report.holds { throw ExitCode.failure }
    }

    private func runOne(_ seed: UInt64, _ runner: SeedRunner) throws {
        let isVerbose = verbose
        guard let what = runner.trace(seed: seed, { if isVerbose { Output.write($0) } }) else {
            return Output.write("seed \(seed) holds")
        }
        Output.note("seed \(seed) failed: \(what)")
        throw ExitCode.failure
    }
}

/// Lines to the terminal.
enum Output {
    static func write(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    static func note(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}

/// Threads that take seeds one after the other, until one fails.
final class SeedRace: Sendable {
    struct Failure: Sendable {
        let seed: UInt64
        let what: String
    }

    private struct State {
        var next: UInt64
        var tally = Tally()
        var failure: Failure?
        var running = 0
    }

    private let runner: SeedRunner
    private let seeds: Range<UInt64>
    private let end: ContinuousClock.Instant?
    private let state: Mutex<State>

    init(_ runner: SeedRunner, seeds: Range<UInt64>, seconds: Double?) {
        self.runner = runner
        self.seeds = seeds
        end = seconds.map { ContinuousClock.now + .seconds($0) }
        state = Mutex(State(next: seeds.lowerBound))
    }

    var tally: Tally { state.withLock { $0.tally } }
    var failure: Failure? { state.withLock { $0.failure } }

    func run(jobs: Int) {
        state.withLock { $0.running = jobs }
        for job in 0..<jobs {
            let thread = Thread { self.work(job) }
            thread.stackSize = 8 << 20
            thread.start()
        }
        let start = ContinuousClock.now
        var lastNote = start
        while state.withLock({ $0.running }) > 0 {
            Thread.sleep(forTimeInterval: 0.05)
            if ContinuousClock.now - lastNote > .seconds(10) {
                lastNote = .now
                let count = state.withLock { $0.next - seeds.lowerBound }
                let seconds = Int((ContinuousClock.now - start) / .seconds(1))
                Output.note("\(count) of \(seeds.count) seeds, \(seconds) s")
            }
        }
    }

    /// Seeds are taken by the hundred: the lock costs nothing then.
    private func work(_ job: Int) {
        while let part = take() {
            var tally = Tally()
            for seed in part {
                if let end, ContinuousClock.now > end { break }
                Trap.running[job] = seed
                if let what = runner.run(seed: seed, into: &tally) {
                    state.withLock { state in
                        // The lowest, so that threads make no difference where they can not.
                        if seed < state.failure?.seed ?? .max {
                            state.failure = Failure(seed: seed, what: what)
                        }
                    }
                    break
                }
            }
            state.withLock { $0.tally.add(tally) }
        }
        Trap.running[job] = .max
        state.withLock { $0.running -= 1 }
    }

    private func take() -> Range<UInt64>? {
        state.withLock { state in
            if state.failure != nil || state.next >= seeds.upperBound { return nil }
            if let end, ContinuousClock.now > end { return nil }
            let first = state.next
            state.next = min(seeds.upperBound, first + 100)
            return first..<state.next
        }
    }
}

/// Says which seeds were running when the program traps: a broken invariant ends the process.
enum Trap {
    static let jobCountMax = 64

    /// The seed that each thread runs; `.max` for none.
    // nonisolated(unsafe): allocated once; each thread writes its own word, the handler reads.
    nonisolated(unsafe) static let running: UnsafeMutablePointer<UInt64> = {
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: jobCountMax)
        words.initialize(repeating: .max, count: jobCountMax)
        return words
    }()

    static func command(_ seed: UInt64) -> String {
        "again: daybook-simulate --seed \(seed) --verbose"
    }

    static func install() {
        _ = running[0]
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT] {
            signal(number) { number in
                // The process is lost: whether this is safe in a handler matters no more.
                for job in 0..<Trap.jobCountMax where Trap.running[job] != .max {
                    Output.note("trapped while seed \(Trap.running[job]) was running")
                    Output.note(Trap.command(Trap.running[job]))
                }
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }
}
