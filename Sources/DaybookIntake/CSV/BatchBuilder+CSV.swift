import DaybookCatalog

/// Which field of a CSV row belongs to which column.
struct CSVMapping: Sendable {
    /// For every column the number of its field, or -1 if the rows do not have it.
    let fieldOf: ContiguousArray<Int>
    let fieldCount: Int

    /// The columns in their own order.
    init(_ table: Table) {
        fieldOf = ContiguousArray(table.columns.indices)
        fieldCount = table.columns.count
    }

    /// The columns in the order of `names`, each of which is a column's name or alias.
    init(_ names: [String], _ table: Table) throws(IntakeError) {
        var fieldOf = ContiguousArray(repeating: -1, count: table.columns.count)
        for (field, name) in names.enumerated() {
            guard let column = table.column(called: name) else {
                if table.unknownFields == .ignore { continue }
                throw .unknownColumn(name, known: table.columns.map(\.name))
            }
            guard fieldOf[column] < 0 else { throw .repeatedColumn(name) }
            fieldOf[column] = field
        }
        self.fieldOf = fieldOf
        fieldCount = names.count
    }

    /// The columns that the table had in the past; those that it has no more are passed over.
    init(past names: [String], _ table: Table) {
        fieldOf = ContiguousArray(
            table.columns.map { column in names.firstIndex(of: column.name) ?? -1 })
        fieldCount = names.count
    }
}

extension Table {
    /// The index of the column that has `name` as its name or an alias.
    func column(called name: String) -> Int? {
        columns.firstIndex { $0.name == name } ?? columns.firstIndex { $0.aliases.contains(name) }
    }
}

extension BatchBuilder {
    /// Judges the row that `scanner` found; places in the original count from `start`.
    mutating func judge(
        _ scanner: borrowing CSVScanner, _ mapping: borrowing CSVMapping,
        _ bytes: UnsafeRawBufferPointer, original: Range<Int>, lineSkip: Int
    ) {
        begin()
        if let fault = scanner.fault {
            reject(.malformedRow, Self.message(fault))
            return closeUnread(original: original, lineSkip: lineSkip)
        }
        guard scanner.fieldCount == mapping.fieldCount else {
            let found = scanner.fieldCount
            let expected = mapping.fieldCount
            reject(.wrongFieldCount, "the row has \(found) fields; it should have \(expected)")
            return closeUnread(original: original, lineSkip: lineSkip)
        }
        for index in 0..<plan.columns.count {
            let place = mapping.fieldOf[index]
            if place < 0 {
                takeMissing(index)
                continue
            }
            let field = scanner.fields[place]
            let text = UnsafeRawBufferPointer(
                start: bytes.baseAddress.unsafelyUnwrapped + field.start, count: field.count)
            if field.isDoubled {
                takeDoubled(index, text)
            } else {
                take(index, .text, text)
            }
        }
        close(original: original, lineSkip: lineSkip)
    }

    private mutating func takeDoubled(_ index: Int, _ text: UnsafeRawBufferPointer) {
        scratch.removeAll()
        var isSecond = false
        for byte in text {
            isSecond = byte == UInt8(ascii: "\"") && !isSecond
            if !isSecond { scratch.append(byte: byte) }
        }
        let plain = scratch.unsafeBytes
        take(index, .text, plain)
    }

    private static func message(_ fault: CSVScanner.Fault) -> String {
        switch fault {
        case .openQuote: "a quote does not close; a quote inside a field is written twice"
        case .textAfterQuote:
            "text follows a closing quote; a quote inside a field is written twice"
        case .tooLong: "the row, or the line it is part of, is longer than a row may be"
        }
    }
}
