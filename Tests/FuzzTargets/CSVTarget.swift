import Avro
import DaybookIntake

/// A CSV file or body: two bytes of choices, then the text.
enum CSVTarget {
    static func run(_ input: inout FuzzInput) throws {
        let choice = input.byte()
        let judge = SampleTables.shared.judge(choice & 7)
        let header: CSVHeader =
            switch choice >> 4 & 3 {
            case 0: .absent
            case 1: .present
            case 2: .columns(judge.table.columns.reversed().map(\.name))
            default: .columns([judge.table.columns[0].name])
            }
        let piece = Int(input.byte()) + 1
        let check = try BatchCheck(judge)
        let whole = file(input.rest, judge, header, piece: .max)
        let pieces = file(input.rest, judge, header, piece: piece)
        switch (whole, pieces) {
        case (.success(let whole), .success(let pieces)):
            for step in whole { if let batch = step.batch { try check.run(batch) } }
            try Cutting.compare(whole, pieces)
        case (.failure(let one as IntakeError), .failure(let other as IntakeError)):
            try require(one == other, "\(one), or in pieces \(other)")
        case (.failure(let error), _), (_, .failure(let error)):
            throw FuzzFault("one way of showing the file ends with: \(error)")
        }
        if let batch = try? judge.judgeCSV(Bytes(copying: input.rest), header: header) {
            try check.run(batch)
        }
        try records(input.rest)
    }

    private static func file(
        _ bytes: UnsafeRawBufferPointer, _ judge: Judge, _ header: CSVHeader, piece: Int
    ) -> Result<[IntakeStep], any Error> {
        Result {
            var decoder = try CSVDecoder(judge: judge, header: header)
            return try Cutting.steps(of: bytes, piece: piece) { bytes, isLast in
                try decoder.next(bytes, isLast: isLast, rowLimit: 5)
            }
        }
    }

    /// Small tables that somebody edited.
    private static func records(_ bytes: UnsafeRawBufferPointer) throws {
        var last = 0
        do {
            try CSVRecords.forEach(in: bytes) { line, fields in
                try require(line > last, "lines are counted upwards")
                try require(!fields.isEmpty, "a record has a field")
                last = line
            }
        } catch is CSVRecords.Fault {}
    }
}
