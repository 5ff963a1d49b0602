import DaybookLog
import TestSupport
import Testing

@testable import DaybookSegments

@Suite("Damaged and foreign segments")
struct DamageTests {
    private func fourSegments() throws -> MemoryDisk {
        let disk = MemoryDisk()
        let log = try Sample.open(disk, segmentByteCount: 1)
        for _ in 0..<4 { try Sample.append(log) }
        try log.close()
        return disk
    }

    private func name(_ position: Int) -> String {
        let digits = String(position)
        return String(repeating: "0", count: 20 - digits.count) + digits + ".avro.lz4"
    }

    @Test("A missing segment halts the start")
    func missing() throws {
        for place in [0, 3, 6] {
            let disk = try fourSegments()
            disk.files[name(place)] = nil
            #expect(throws: LogError.self) { try Sample.open(disk) }
        }
    }

    @Test("The newest segment that is missing is noticed by the head file")
    func newestMissing() throws {
        let disk = try fourSegments()
        disk.files[name(9)] = nil
        #expect(throws: LogError.self) { try Sample.open(disk) }
    }

    @Test("Segments that are swapped, twice there, or of another ledger are refused")
    func swapped() throws {
        let swapped = try fourSegments()
        (swapped.files[name(0)], swapped.files[name(3)]) =
            (swapped.files[name(3)], swapped.files[name(0)])
        #expect(throws: LogError.self) { try Sample.open(swapped) }

        let twice = try fourSegments()
        twice.files[name(12)] = twice.files[name(9)]
        #expect(throws: LogError.self) { try Sample.open(twice) }

        let foreign = try fourSegments()
        foreign.files[name(3)] = try fourSegments().files[name(3)]
        #expect(throws: LogError.self) { try Sample.open(foreign) }
    }

    @Test("Rot in a sealed segment is reported; the rest is readable and appends go on")
    func sealedRot() throws {
        let disk = try fourSegments()
        let bytes = try #require(disk.files[name(3)])
        let block = try #require(bytes.firstRange(of: Array("DAYBKBLK".utf8))).lowerBound - 8
        disk.files[name(3)]?[block + 240] ^= 4
        let log = try Sample.open(disk)
        #expect(try Sample.values(log, from: 6) == [6, 7, 8, 9, 10, 11])
        #expect(
            try Sample.values(from: 0, end: 3) { position throws(LogError) in
                try log.blocks(from: position, byteLimit: 1)
            } == [0, 1, 2])
        let error = #expect(throws: LogError.self) { try log.blocks(from: 4, byteLimit: 1) }
        guard case .corrupt(let corruption) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(corruption.file == name(3))
        try Sample.append(log)
        let verification = try LogVerifier.run(disk: disk)
        #expect(verification.problems.map(\.segment) == [name(3)])
    }

    @Test("A footer that is lost or damaged costs a scan, and is written again")
    func footer() throws {
        let disk = try fourSegments()
        let whole = try #require(disk.files[name(0)])
        let footer = try #require(whole.firstRange(of: Array("DAYBKFTR".utf8))).lowerBound - 8
        for length in footer..<whole.count {
            disk.files[name(0)] = Array(whole[..<length])
            let log = try Sample.open(disk)
            #expect(try Sample.values(log) == Array(0..<12))
            if length == footer { #expect(disk.files[name(0)] == whole) }
            try log.close()
        }
    }

    @Test("A header-only segment becomes the active one, and a temporary file goes unused")
    func headerOnly() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        try log.roll(to: Sample.schema)
        disk.files[name(9) + ".tmp"] = [1, 2, 3]
        let again = try Sample.open(disk)
        try Sample.append(again)
        #expect(try Sample.values(again) == Array(0..<6))
        #expect(disk.files.keys.filter { $0.hasSuffix(".avro.lz4") }.count == 2)
    }

    @Test("A crash between sealing a segment and making the next is made good at the start")
    func sealedWithoutNext() throws {
        let disk = try fourSegments()
        let log = try Sample.open(disk, segmentByteCount: 1)
        disk.refuse { $0.name == "rename" ? 5 : nil }
        #expect(throws: LogError.self) { try Sample.append(log) }
        disk.refuse(nil)
        let again = try Sample.open(disk)
        try Sample.append(again)
        #expect(try Sample.values(again) == Array(0..<15))
        #expect(try LogVerifier.run(disk: disk).problems == [])
    }

    @Test("Verification finds every flipped bit of a sealed log")
    func everyByte() throws {
        let disk = try fourSegments()
        let sound = try LogVerifier.run(disk: disk)
        #expect(sound.isSound && sound.eventCount == 12 && sound.batchCount == 4)
        #expect(sound.segmentCount == 4)
        let files = disk.files
        for place in 0..<(files[name(3)]?.count ?? 0) {
            let damaged = MemoryDisk(files: files)
            damaged.files[name(3)]?[place] ^= UInt8(1 << (place % 8))
            let verification = try LogVerifier.run(disk: damaged)
            if verification.isSound { Issue.record("byte \(place) was not missed") }
        }
    }

    @Test("A reader beside the writer sees what is durable and nothing else")
    func besideTheWriter() throws {
        let folder = try TemporaryFolder()
        let log = try SegmentLog.open(folder: folder.path, options: Sample.options())
        try Sample.append(log)
        try Sample.append(log)
        let reader = try LogReader.open(folder: folder.path)
        #expect(reader.durable == log.durable)
        let values = try Sample.values(from: 0, end: 6) { position throws(LogError) in
            try reader.blocks(from: position, byteLimit: 1)
        }
        #expect(values == Array(0..<6))
        #expect(throws: LogError.self) { try LogReader.open(folder: folder.path + "/none") }
        try log.close()
    }
}

@Suite("What is left of a damaged log")
struct SalvageTests {
    private func log(_ blockCount: Int = 9) throws -> MemoryDisk {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        for number in 0..<blockCount {
            if number > 0, number.isMultiple(of: 3) { try log.roll(to: Sample.schema) }
            try Sample.append(log)
        }
        try log.close()
        return disk
    }

    private func corruption(_ disk: MemoryDisk) throws -> Corruption {
        let error = #expect(throws: LogError.self) { try Sample.open(disk) }
        guard case .corrupt(let corruption)? = error else { throw error ?? .closed }
        return corruption
    }

    @Test("A missing segment is named, with the first position that is missing")
    func missing() throws {
        for base in [Position(0), 9] {
            let disk = try log()
            let name = SegmentFile.name(basePosition: base)
            disk.files[name] = nil
            let found = try corruption(disk)
            #expect(found.file == name && found.position == base && found.offset == 0)
        }
    }

    @Test("What stands before a segment that is lost, damaged or foreign can be read; no more")
    func readable() throws {
        let whole = try log()
        let name = SegmentFile.name(basePosition: 9)
        let (lost, damaged, foreign) = (
            MemoryDisk(files: whole.files), MemoryDisk(files: whole.files),
            MemoryDisk(files: whole.files)
        )
        lost.files[name] = nil
        let headers = 0..<Int(try SegmentFile.open(name, on: whole).0.blocksOffset)
        for place in headers { damaged.files[name]?[place] = 0 }
        foreign.files[name] = try log().files[name]
        for disk in [lost, damaged, foreign] {
            let reader = try LogReader(disk: disk)
            #expect(reader.durable.position == 9)
            #expect(reader.corruption == (try corruption(disk)))
            #expect(
                try Sample.values(from: 0, end: 9) { position throws(LogError) in
                    try reader.blocks(from: position, byteLimit: 1)
                } == Array(0..<9))
            #expect(throws: LogError.self) { try reader.blocks(from: 9, byteLimit: 1) }
        }
    }

    @Test("The stranger among two segments is the one that the head file does not know")
    func stranger() throws {
        let disk = try log(6)
        disk.files[Sample.firstSegment] = try log(6).files[Sample.firstSegment]
        let found = try corruption(disk)
        #expect(found.file == Sample.firstSegment && found.position == 0)
        #expect(throws: LogError.self) { try LogReader(disk: disk) }
    }

    @Test("Blocks behind a damaged header in a sealed segment stay readable")
    func behindTheHeader() throws {
        let disk = try log()
        let name = SegmentFile.name(basePosition: 9)
        let bytes = try #require(disk.files[name])
        let block = try #require(bytes.firstRange(of: Array("DAYBKBLK".utf8))).lowerBound - 8
        for place in [block, block + 4, block + 9, block + 100] {
            for isFooterLost in [false, true] {
                let damaged = MemoryDisk(files: disk.files)
                damaged.files[name]?[place] ^= 2
                if isFooterLost { damaged.files[name]?[bytes.count - 1] ^= 2 }
                let log = try Sample.open(damaged)
                #expect(log.recovery.damage.count == (isFooterLost ? 1 : 0))
                #expect(try Sample.values(log, from: 12) == Array(12..<27))
                let error = #expect(throws: LogError.self) {
                    try log.blocks(from: 10, byteLimit: 1)
                }
                guard case .corrupt(let found)? = error else { throw error ?? .closed }
                #expect(found.offset == UInt64(block) && found.position == 9)
            }
        }
    }

    @Test("Fault 13: a bad footer keeps no start, costs no row, is kept aside and written anew")
    func badFooter() throws {
        let disk = try log()
        let name = SegmentFile.name(basePosition: 9)
        let whole = try #require(disk.files[name])
        let footer = try #require(whole.firstRange(of: Array("DAYBKFTR".utf8))).lowerBound - 8
        for place in footer..<whole.count {
            let damaged = MemoryDisk(files: disk.files)
            damaged.files[name]?[place] ^= 0x20
            let bad = try #require(damaged.files[name])
            #expect(try LogVerifier.run(disk: damaged).problems.map(\.segment) == [name])
            let log = try Sample.open(damaged)
            #expect(log.recovery.damage == [] && log.recovery.cut == nil)
            #expect(try Sample.values(log) == Array(0..<27))
            #expect(damaged.files[name] == whole)
            #expect(damaged.files["\(name).torn-\(footer)"] == Array(bad[footer...]))
            #expect(try LogVerifier.run(disk: damaged).isSound)
        }
    }

    @Test("A tail that cannot be kept aside is not cut, and no part of a copy is left")
    func noRoomToKeep() throws {
        let disk = try log(2)
        disk.files[Sample.firstSegment]? += Array(repeating: 7, count: 100)
        let files = disk.files
        for free in [0, 50, 99] {
            disk.state.withLock { $0.freeByteCount = free }
            let error = #expect(throws: LogError.self) { try Sample.open(disk) }
            guard case .diskFull? = error else { throw error ?? .closed }
            #expect(disk.files == files)
        }
        disk.state.withLock { $0.freeByteCount = 100 + Attestation.frameByteCount }
        #expect(try Sample.values(try Sample.open(disk)) == Array(0..<6))
    }

    @Test("Evidence is found wherever it stands, over the edge of what is read at once too")
    func evidenceAnywhere() throws {
        let disk = try log(1)
        let name = Sample.firstSegment
        let bytes = try #require(disk.files[name])
        let (segment, _) = try SegmentFile.open(name, on: disk)
        let attestation = bytes.suffix(Attestation.frameByteCount)
        var damaged = Array(bytes.dropLast(Attestation.frameByteCount))
        damaged[Int(segment.blocksOffset) + 240] ^= 1
        // The rest of the file is looked through in pieces of 64 KiB.
        let edge = (1 << 16) + Int(segment.blocksOffset) - damaged.count
        for gap in [0, 1, 1000] + Array((edge - 20)...(edge + 4)) {
            let noise = Array(repeating: UInt8(68), count: gap)
            let other = MemoryDisk(files: [name: damaged + noise + attestation])
            let found = try corruption(other)
            #expect(found.what.contains("an attestation") && found.position == 0, "\(gap)")
        }
    }
}
