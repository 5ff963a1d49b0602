import Avro
import DaybookIntake

/// The part of a file that is being cut into batches, and the decoder that cuts.
///
/// Batches are cut by the file's bytes alone: at a number of rows, or earlier at a number of bytes.
/// However the bytes arrive, the same file gives the same batches.
struct ImportBuffer: ~Copyable {
    private enum Decoder: ~Copyable {
        case csv(CSVDecoder)
        case ndjson(NDJSONDecoder)
        case avro(AvroDecoder)

        /// The next step, and how many bytes have to be there for the one after it.
        mutating func next(
            _ rest: UnsafeRawBufferPointer, isLast: Bool, rowLimit: Int
        ) throws(IntakeError) -> (step: IntakeStep, wanted: Int) {
            switch consume self {
            case .csv(var csv):
                let result = Result { () throws(IntakeError) in
                    try csv.next(rest, isLast: isLast, rowLimit: rowLimit)
                }
                self = .csv(csv)
                let step = try result.get()
                return (step, ImportBuffer.wanted(after: step, of: rest))
            case .ndjson(var ndjson):
                let step = ndjson.next(rest, isLast: isLast, rowLimit: rowLimit)
                self = .ndjson(ndjson)
                return (step, ImportBuffer.wanted(after: step, of: rest))
            case .avro(var avro):
                let result = Result { () throws(IntakeError) in
                    try avro.next(rest, isLast: isLast, rowLimit: rowLimit)
                }
                let wanted = avro.wantedByteCount
                self = .avro(avro)
                return (try result.get(), wanted)
            }
        }
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
        case .avro: decoder = .avro(AvroDecoder(judge: judge))
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
        (step, wanted) = try decoder.next(rest, isLast: isComplete, rowLimit: rowLimit)
        start += step.consumedByteCount
        return step
    }

    /// Without a batch it takes more than there is, and so much more that it is not looked at
    /// too often.
    private static func wanted(after step: IntakeStep, of rest: UnsafeRawBufferPointer) -> Int {
        step.batch == nil
            ? (rest.count - step.consumedByteCount) * 2 + firstWanted : firstWanted
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
