import DaybookLog
import DaybookSegments
import TestSupport
import Testing

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
