import DaybookSegments
import Foundation

/// A process of this program that appends to a trial's log and says on a pipe what is durable,
/// until it is killed.
struct KilledWriter {
    private let pid: pid_t
    private let pipe: Int32

    /// Starts the writer on the log of the data folder at `path`.
    init(log path: String) throws {
        var ends: [Int32] = [0, 0]
        guard Foundation.pipe(&ends) == 0 else {
            throw CommandFailure(.failed, "pipe: \(String(cString: strerror(errno)))")
        }
        // A writer holds its own end and no other: only so does the pipe end with it.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[1]) }
        do {
            pid = try OwnProcess.start(["torture", "--child", path], output: ends[1])
        } catch {
            close(ends[0])
            throw error
        }
        pipe = ends[0]
    }

    /// Waits until the writer has acknowledged a block, then so many seconds more, and kills it;
    /// returns all that it had acknowledged.
    func kill(
        afterSeconds seconds: Double, timeoutSeconds: Double
    ) throws -> [TrialLog.Acknowledgement] {
        defer { close(pipe) }
        var bytes: [UInt8] = []
        read(into: &bytes, forSeconds: timeoutSeconds, untilFirst: true)
        let hasBegun = !bytes.isEmpty
        if hasBegun { read(into: &bytes, forSeconds: seconds, untilFirst: false) }
        _ = Foundation.kill(pid, SIGKILL)
        let status = OwnProcess.wait(for: pid)
        guard hasBegun else { throw CommandFailure(.failed, "a writer did not begin in time") }
        // A writer that ended by itself has a reason, which it wrote to standard error.
        guard status & 0x7F == SIGKILL else {
            throw CommandFailure(.failed, "a writer ended with status \(status >> 8 & 0xFF)")
        }
        // What it had written before it was killed is still in the pipe.
        read(into: &bytes, forSeconds: timeoutSeconds, untilFirst: false)
        let size = TrialLog.Acknowledgement.byteCount
        return stride(from: 0, through: bytes.count - size, by: size).map {
            TrialLog.Acknowledgement(bytes[$0..<($0 + size)])
        }
    }

    /// Reads from the pipe until the time is over, or its end; with `untilFirst`, until something
    /// came. Meanwhile the pipe does not fill up.
    private func read(into bytes: inout [UInt8], forSeconds seconds: Double, untilFirst: Bool) {
        let end = ContinuousClock.now + .seconds(seconds)
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let left = (end - ContinuousClock.now) / .milliseconds(1)
            guard left > 0 else { return }
            var ready = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
            let found = poll(&ready, 1, Int32(left.rounded(.up)))
            if found < 0, errno == EINTR { continue }
            guard found > 0 else { return }
            let count = Foundation.read(pipe, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes += piece[..<count]
            if untilFirst { return }
        }
    }

    /// What the writer runs: blocks of all sizes, each acknowledged, without end.
    static func run(log path: String) throws -> Never {
        let log = try TrialLog.open(folder: path)
        var generator = SystemRandomNumberGenerator()
        while true {
            let byteCount = Int.random(in: 1...(32 << 10), using: &generator)
            let acknowledged = try TrialLog.append(to: log, byteCount: byteCount)
            acknowledged.bytes.withUnsafeBytes { Console.write($0) }
            // In some pauses the last block is attested, as the server does.
            if UInt8.random(in: 0..<64, using: &generator) == 0 { try log.attest() }
        }
    }
}
