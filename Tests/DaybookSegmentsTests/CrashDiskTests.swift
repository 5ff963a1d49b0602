import CrashDisk
import DaybookSegments
import Testing
import TestSupport

/// The rules of the device model, one after the other; their numbers are those above `CrashDisk`.
@Suite("The crash disk")
struct CrashDiskTests {
    private static let sector = 512

    private func write(
        _ bytes: [UInt8], at offset: Int = 0, to file: any DiskFile
    ) throws(DiskError) {
        var done = 0
        while done < bytes.count {
            let rest = Array(bytes[done...])
            let result = rest.withUnsafeBytes { buffer in
                Result { () throws(DiskError) in
                    try file.write(buffer, at: UInt64(offset + done))
                }
            }
            done += try result.get()
        }
    }

    private func code(_ body: () throws -> Void) -> Int32? {
        do { try body() } catch { return (error as? DiskError)?.code }
        return nil
    }

    /// What is found over many power losses after the same calls.
    private func outcomes(
        _ count: Int = 400, of name: String = "a", _ calls: (CrashDisk) throws -> Void
    ) throws -> Set<[UInt8]?> {
        var dice = SeededGenerator()
        var found: Set<[UInt8]?> = []
        for _ in 0..<count {
            let disk = CrashDisk(seed: dice.next())
            try calls(disk)
            disk.crash(using: &dice)
            found.insert(disk.bytes(of: name))
        }
        return found
    }

    private func synced(_ bytes: [UInt8]) -> (CrashDisk) throws -> any DiskFile {
        { disk in
            let file = try disk.open("a", .create)
            try write(bytes, to: file)
            try file.sync()
            try disk.syncFolder()
            return file
        }
    }

    @Test("1: What was synced is there after a power loss")
    func syncedContent() throws {
        let bytes = (0..<3000).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try outcomes { _ = try synced(bytes)($0) } == [bytes])
    }

    @Test("1: Each unsynced sector is kept, dropped or trashed by itself")
    func unsyncedSectors() throws {
        let old = [UInt8](repeating: 1, count: 3 * Self.sector)
        let new = [UInt8](repeating: 2, count: 3 * Self.sector)
        let found = try outcomes { disk in try write(new, to: try synced(old)(disk)) }
        let states = found.compactMap(\.self).map { bytes in
            stride(from: 0, to: bytes.count, by: Self.sector).map { start in
                let sector = bytes[start..<(start + Self.sector)]
                return sector.allSatisfy { $0 == 1 } ? 1 : sector.allSatisfy { $0 == 2 } ? 2 : 3
            }
        }
        // Every mixture of three, and at some place garbage.
        for number in 0..<27 {
            let mixture = [number % 3 + 1, number / 3 % 3 + 1, number / 9 + 1]
            if !mixture.contains(3) { #expect(states.contains(mixture), "\(mixture)") }
        }
        #expect(states.contains { $0.contains(3) })
        #expect(found.allSatisfy { $0?.count == old.count })
    }

    @Test("1: The bytes of a sector that a write does not change are never harmed")
    func powerSafeOverwrite() throws {
        let old = [UInt8](repeating: 7, count: 100)
        let found = try outcomes { disk in
            try write([UInt8](repeating: 9, count: 300), at: 100, to: try synced(old)(disk))
        }
        #expect(found.allSatisfy { $0?.prefix(100).elementsEqual(old) ?? false })
        #expect(found.contains { $0?.dropFirst(100).contains { $0 != 9 && $0 != 0 } ?? false })
    }

    @Test("2: The length of an unsynced file is the old, the new, or any between")
    func lengths() throws {
        let grown = try outcomes { disk in
            let file = try synced([UInt8](repeating: 1, count: 10))(disk)
            try write([UInt8](repeating: 2, count: 8), at: 10, to: file)
        }
        #expect(Set(grown.compactMap { $0?.count }) == Set(10...18))
        let cut = try outcomes { disk in
            try synced([UInt8](repeating: 1, count: 18))(disk).truncate(to: 10)
        }
        #expect(Set(cut.compactMap { $0?.count }) == Set(10...18))
        // Where the new length was lost the content may be back too.
        #expect(cut.contains([UInt8](repeating: 1, count: 18)))
    }

    @Test("3: A new name that was not synced is there or not, and so is its content")
    func newNames() throws {
        let found = try outcomes { disk in
            let file = try disk.open("a", .create)
            try write([1, 2, 3], to: file)
            try file.sync()
        }
        #expect(found == [nil, [1, 2, 3]])
    }

    @Test("3: A rename is one step: either name, never none, never both")
    func renames() throws {
        var dice = SeededGenerator()
        var names: Set<[String]> = []
        for _ in 0..<100 {
            let disk = CrashDisk()
            _ = try synced([1])(disk)
            try disk.rename("a", to: "b")
            try disk.rename("b", to: "c")
            disk.crash(using: &dice)
            names.insert(try disk.names())
        }
        #expect(names == [["a"], ["b"], ["c"]])
    }

    @Test("3: A rename over a file leaves the old file or the new one")
    func replacement() throws {
        let found = try outcomes { disk in
            _ = try synced([1])(disk)
            let file = try disk.open("b", .create)
            try write([2], to: file)
            try file.sync()
            try disk.rename("b", to: "a")
        }
        #expect(found == [[1], [2]])
    }

    @Test("3: A removed name that was not synced may come back, with its content")
    func removals() throws {
        let found = try outcomes { disk in
            _ = try synced([1, 2])(disk)
            try disk.remove("a")
        }
        #expect(found == [nil, [1, 2]])
    }

    @Test("3: Names that were synced stay")
    func syncedNames() throws {
        let found = try outcomes(of: "b") { disk in
            _ = try synced([1])(disk)
            try disk.rename("a", to: "b")
            try disk.syncFolder()
        }
        #expect(found == [[1]])
    }

    @Test("4: After a failed sync the cache shows the new content, and no later sync writes it")
    func failedSync() throws {
        let old = [UInt8](repeating: 1, count: 8 * Self.sector)
        let new = [UInt8](repeating: 2, count: 8 * Self.sector)
        var wasStale = false
        var dice = SeededGenerator()
        for _ in 0..<20 {
            let disk = CrashDisk(seed: dice.next())
            let file = try synced(old)(disk)
            try write(new, to: file)
            disk.lay(DiskFault(.error(ErrorNumber.input), of: .sync))
            #expect(code { try file.sync() } == ErrorNumber.input)
            try file.sync()
            #expect(disk.bytes(of: "a") == new)
            disk.crash(using: &dice)
            let found = try #require(disk.bytes(of: "a"))
            wasStale = wasStale || found != new
            #expect(found.allSatisfy { $0 == 1 || $0 == 2 })
        }
        #expect(wasStale)
    }

    @Test("4: What is written again after a failed sync is durable with the next")
    func writtenAgain() throws {
        let new = [UInt8](repeating: 2, count: 8 * Self.sector)
        let found = try outcomes(50) { disk in
            let file = try synced([UInt8](repeating: 1, count: 8 * Self.sector))(disk)
            try write(new, to: file)
            disk.lay(DiskFault(.error(ErrorNumber.input), of: .sync))
            #expect(code { try file.sync() } == ErrorNumber.input)
            try write(new, to: file)
            try file.sync()
        }
        #expect(found == [new])
    }

    @Test("5: Sectors may be written back without being asked for")
    func writtenBack() throws {
        var dice = SeededGenerator()
        var lengths: Set<Int?> = []
        for _ in 0..<50 {
            let disk = CrashDisk()
            let file = try disk.open("a", .create)
            try write([1, 2, 3], to: file)
            for _ in 0..<20 { disk.writeBack(using: &dice) }
            disk.crash(using: &dice)
            lengths.insert(disk.byteCount(of: "a"))
        }
        #expect(lengths == [3])
    }

    @Test("6: A full disk takes what fits, then nothing, and writes in place go on")
    func space() throws {
        let disk = CrashDisk()
        disk.spaceByteCount = 10
        let file = try disk.open("a", .create)
        #expect(code { try write([UInt8](repeating: 1, count: 12), to: file) } == 28)
        #expect(try file.byteCount() == 10)
        try write([2, 2], at: 3, to: file)
        try file.truncate(to: 4)
        try write([3], at: 4, to: file)
        #expect(disk.usedByteCount == 5)
        try disk.remove("a")
        #expect(disk.usedByteCount == 0)
    }

    @Test("7: The k-th call of a kind fails, so often as it is told to, and no other")
    func faults() throws {
        let disk = CrashDisk()
        let file = try disk.open("a", .create)
        disk.lay(
            DiskFault(.error(ErrorNumber.input), of: .write, file: "a", after: 1, times: 2))
        disk.lay(DiskFault(.error(ErrorNumber.noSpace), of: .write, file: "b"))
        #expect((0..<5).map { _ in code { try write([1], to: file) } } == [nil, 5, 5, nil, nil])
        #expect(disk.firedCount == 2)
        disk.lay(DiskFault(.error(ErrorNumber.input), after: 2))
        let calls: [() throws -> Void] = [
            { _ = try disk.names() }, { _ = try file.byteCount() }, { try disk.syncFolder() },
        ]
        #expect(calls.map { code($0) } == [nil, nil, 5])
    }

    @Test("7: A short write takes some; a lost one reports success and is never on the medium")
    func shortAndLost() throws {
        let disk = CrashDisk()
        let file = try synced([1, 1, 1, 1])(disk)
        disk.lay(DiskFault(.short(1), of: .write))
        let count = try [2, 2].withUnsafeBytes { try file.write($0, at: 0) }
        #expect(count == 1)
        try file.sync()
        disk.lay(DiskFault(.lost, of: .write))
        try write([3, 3, 3], at: 1, to: file)
        try file.sync()
        let held = try #require(disk.bytes(of: "a"))
        #expect(held.suffix(3) == [3, 3, 3])
        var dice = SeededGenerator()
        disk.crash(using: &dice)
        #expect(disk.bytes(of: "a")?.contains(3) == false)
    }

    @Test("7: A misdirected sync leaves the old content here and the new elsewhere")
    func misdirected() throws {
        let disk = CrashDisk()
        let file = try synced([UInt8](repeating: 1, count: 4 * Self.sector))(disk)
        try write([UInt8](repeating: 2, count: Self.sector), to: file)
        disk.lay(DiskFault(.misdirected(sectors: 2), of: .sync))
        try file.sync()
        var dice = SeededGenerator()
        disk.crash(using: &dice)
        let found = try #require(disk.bytes(of: "a"))
        #expect((0..<4).map { found[$0 * Self.sector] } == [1, 1, 2, 1])
    }

    @Test("7: A process that dies within a write has written a part, and does nothing more")
    func death() throws {
        let disk = CrashDisk()
        let file = try disk.open("a", .create)
        disk.lay(DiskFault(.death(afterByteCount: 2), of: .write))
        #expect(code { try write([1, 2, 3], to: file) } == ErrorNumber.input)
        #expect(code { try file.truncate(to: 0) } == ErrorNumber.input)
        #expect(disk.isDead)
        disk.kill()
        #expect(disk.bytes(of: "a") == [1, 2])
        #expect(code { _ = try file.byteCount() } == ErrorNumber.badDescriptor)
        #expect(try disk.open("a", .read).byteCount() == 2)
    }

    @Test("8: Rot turns bits over, in the cache and on the medium")
    func rot() throws {
        let found = try outcomes(20) { disk in
            _ = try synced([1, 2, 3])(disk)
            disk.rot("a", at: 1, mask: 0x80)
            #expect(disk.bytes(of: "a") == [1, 0x82, 3])
        }
        #expect(found == [[1, 0x82, 3]])
    }

    @Test("A copy is a disk of its own, with what is not synced")
    func copies() throws {
        let disk = CrashDisk()
        let file = try synced([1])(disk)
        try write([2], to: file)
        let copy = disk.copy()
        try write([3], to: file)
        #expect(copy.bytes(of: "a") == [2])
        var dice = SeededGenerator()
        var found: Set<[UInt8]?> = []
        for _ in 0..<100 {
            let again = copy.copy()
            again.crash(using: &dice)
            found.insert(again.bytes(of: "a"))
        }
        #expect(found.isSuperset(of: [[1], [2]]))
        #expect(copy.bytes(of: "a") == [2])
    }

    @Test("A record has every call, in order")
    func record() throws {
        let disk = CrashDisk()
        disk.startRecord()
        let file = try disk.open("a", .create)
        try write([1, 2], at: 3, to: file)
        try file.sync()
        #expect(disk.record.map(\.call) == [.open, .write, .sync])
        #expect(disk.record[1].offset == 3 && disk.record[1].byteCount == 2)
        #expect(disk.callCount(changesOnly: true) == 3)
    }
}
