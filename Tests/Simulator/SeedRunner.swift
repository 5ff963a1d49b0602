/// Runs seeds. Any number of threads may share one.
public final class SeedRunner: Sendable {
    private let workload: Workload

    /// Makes what all runs share: the dictionary and the batches that clients may send.
    public init() throws { workload = try Workload() }

    /// Runs one seed and counts what happened.
    ///
    /// - Returns: what did not hold, in a sentence; nil if everything did.
    public func run(seed: UInt64, into tally: inout Tally) -> String? {
        let simulation = Simulation(seed: seed, workload: workload)
        defer { tally.add(simulation.tally) }
        do { try simulation.run() } catch { return "\(error)" }
        return nil
    }

    /// Runs one seed, and gives `line` what happened, an operation or an answer a line.
    public func trace(seed: UInt64, _ line: @escaping (String) -> Void) -> String? {
        let simulation = Simulation(seed: seed, workload: workload)
        simulation.trace = line
        do { try simulation.run() } catch { return "\(error)" }
        return nil
    }
}
