import Avro
import DaybookIntake

/// The part of a file that is being cut into batches, and the decoder that cuts.
///
/// Batches are cut by the file's bytes alone: at a number of rows, or earlier at a number of bytes.
/// However the bytes arrive, the same file gives the same batches.
struct ImportBuffer: ~Copyable {
    private enum Decoder {
        case csv(CSVDecoder)
        case ndjson(NDJSONDecoder)
    }

    private var decoder: Decoder
    private let rowLimit: Int
    private var sink = ByteSink(capacity: 1 << 20)
    /// Where the undecoded bytes start.
    private var start = 0
    /// Whether all of the file is here.
    private var isComplete = false
    /// Without so many bytes it is not worth looking for a batch again.
    private var wanted = ImportBuffer.firstWanted

    private static let firstWanted = 1 << 19

    init(_ format: ImportRequest.Format, judge: Judge, rowLimit: Int) throws(IntakeError) {
        switch format {
        case .csv(let header): decoder = .csv(try CSVDecoder(judge: judge, header: header))
        case .ndjson: decoder = .ndjson(NDJSONDecoder(judge: judge))
        }
        self.rowLimit = rowLimit
    }

    /// Whether more of the file has to come before the next batch is cut.
    var isHungry: Bool { !isComplete && sink.count - start < wanted }

    /// Takes the next bytes of the file; nil at its end.
    mutating func feed(_ bytes: Bytes?) {
        precondition(!isComplete, "nothing comes after the end")
        guard let bytes else {
            isComplete = true
            return
        }
        if start > 0 {
            let rest = sink.count - start
            sink.withMutableBytes { all in
                UnsafeMutableRawBufferPointer(rebasing: all[..<rest])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: all[start...]))
            }
            sink.truncate(to: rest)
            start = 0
        }
        bytes.withUnsafeBytes { sink.append(raw: $0) }
    }

    /// The next batch, or a step without one: then either the buffer is hungry, or all is done.
    mutating func next() throws(IntakeError) -> IntakeStep {
        let rest = UnsafeRawBufferPointer(rebasing: sink.unsafeBytes[start...])
        let step: IntakeStep
        switch decoder {
        case .csv(var csv):
            step = try csv.next(rest, isLast: isComplete, rowLimit: rowLimit)
            decoder = .csv(csv)
        case .ndjson(var ndjson):
            step = ndjson.next(rest, isLast: isComplete, rowLimit: rowLimit)
            decoder = .ndjson(ndjson)
        }
        start += step.consumedByteCount
        wanted =
            step.batch == nil ? (sink.count - start) * 2 + Self.firstWanted : Self.firstWanted
        return step
    }

    /// Whether the whole file has been cut.
    var isDone: Bool { isComplete && start == sink.count }
}

extension ByteSink {
    /// Calls `body` with the bytes written so far, to be changed in place.
    fileprivate mutating func withMutableBytes(
        _ body: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        body(unsafeMutableBytes)
    }
}
