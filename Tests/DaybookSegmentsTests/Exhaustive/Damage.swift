import DaybookLog
import Foundation
import TestSupport

@testable import DaybookSegments

/// Every way in which a small log can be damaged once, each as the files that are left.
struct Damage {
    typealias Files = [String: [UInt8]]

    let log: SmallLog
    /// Another ledger of the same shape.
    let stranger: SmallLog

    private static let looksAtAll =
        ProcessInfo.processInfo.environment["DAYBOOK_EXHAUSTIVE"] != nil

    private var names: [String] { log.files.keys.sorted() }

    private func bytes(_ name: String) -> [UInt8] { log.files[name] ?? [] }

    /// Every file cut at every byte.
    ///
    /// - Parameter tailOnly: only the active segment from its first block on, and the head file:
    ///   all else is the same whatever the ending.
    func cuts(tailOnly: Bool, _ visit: (String, Files) throws -> Void) rethrows {
        for name in names where !(tailOnly && name == log.sealed) {
            let first = tailOnly ? log.frames[name]?[0] ?? 0 : 0
            for length in first..<bytes(name).count {
                var files = log.files
                files[name] = Array(bytes(name)[..<length])
                try visit("\(name) cut to \(length)", files)
            }
        }
    }

    /// Every bit of the files flipped, in every `parts`th byte from `part` on.
    ///
    /// - Parameter tailOnly: only the last block and what follows it.
    /// - Parameter visit: is told which bit of the byte's eight is to be looked at from all sides.
    func flips(
        part: Int, of parts: Int, tailOnly: Bool, _ visit: (String, Bool, Files) throws -> Void
    ) rethrows {
        var files = log.files
        for name in names where !tailOnly || name == log.active {
            let first = tailOnly ? log.lastBlock.bytes.lowerBound : 0
            for place in stride(from: first + part, to: bytes(name).count, by: parts) {
                for bit in 0..<8 {
                    files[name]?[place] ^= 1 << UInt8(bit)
                    let isFirst = bit == place % 8 || Damage.looksAtAll
                    try visit("\(name) byte \(place) bit \(bit)", isFirst, files)
                    files[name]?[place] ^= 1 << UInt8(bit)
                }
            }
        }
    }

    /// Every aligned sector of 512 bytes zeroed, and every two of a file.
    func zeroedSectors(_ visit: (String, Files) throws -> Void) rethrows {
        let sectors = names.flatMap { name in
            stride(from: 0, to: bytes(name).count, by: 512).map { (name, $0) }
        }
        for (place, one) in sectors.enumerated() {
            for other in sectors[place...] where other.0 == one.0 {
                var files = log.files
                for (name, start) in [one, other] {
                    let end = min(start + 512, bytes(name).count)
                    files[name]?.replaceSubrange(
                        start..<end, with: Array(repeating: 0, count: end - start))
                }
                // What was zero before is no damage.
                if files == log.files { continue }
                try visit("sectors \(one) and \(other) zeroed", files)
            }
        }
    }

    /// Any two blocks swapped, in one segment and over two.
    func swappedBlocks(_ visit: (String, Files) throws -> Void) rethrows {
        for (place, one) in log.blocks.enumerated() {
            for (number, other) in log.blocks.enumerated().dropFirst(place + 1) {
                var files = log.files
                // The later one first, for the earlier one moves it.
                files[other.segment]?.replaceSubrange(
                    other.bytes, with: bytes(one.segment)[one.bytes])
                files[one.segment]?.replaceSubrange(
                    one.bytes, with: bytes(other.segment)[other.bytes])
                try visit("blocks \(place) and \(number) swapped", files)
            }
        }
    }

    /// Each file lost, each segment there again under another name, both swapped, each replaced by
    /// a stranger's.
    func segments(_ visit: (String, Files) throws -> Void) rethrows {
        for name in names {
            var files = log.files
            files[name] = nil
            try visit("\(name) lost", files)
            files[name] = stranger.files[name]
            try visit("\(name) of another ledger", files)
        }
        for source in [log, stranger] {
            for name in log.segments {
                for base in 0..<(log.end + 4) {
                    let other = SegmentFile.name(basePosition: base)
                    if log.files[other] != nil { continue }
                    var files = log.files
                    files[other] = source.files[name]
                    try visit("\(name) also as \(other)", files)
                    files[name] = nil
                    if source.end == log.end { try visit("\(name) only as \(other)", files) }
                }
            }
        }
        var files = log.files
        (files[log.sealed], files[log.active]) = (files[log.active], files[log.sealed])
        try visit("segments swapped", files)
    }

    /// Every block written where it does not belong, in place of what should be there; as an
    /// additional write, and as the only one.
    func misdirectedBlocks(_ visit: (String, Files) throws -> Void) rethrows {
        for (place, block) in log.blocks.enumerated() {
            let content = bytes(block.segment)[block.bytes]
            for name in log.segments {
                let frames = log.frames[name] ?? []
                for target in Set(frames + frames.map { $0 + 512 } + [0]).sorted() {
                    if name == block.segment, target == block.bytes.lowerBound { continue }
                    var files = log.files
                    write(content, at: target, to: name, in: &files)
                    if files != log.files {
                        try visit("block \(place) also at \(target) of \(name)", files)
                    }
                    files = log.files
                    let zeros = Array(repeating: UInt8(0), count: content.count)[...]
                    write(zeros, at: block.bytes.lowerBound, to: block.segment, in: &files)
                    write(content, at: target, to: name, in: &files)
                    try visit("block \(place) only at \(target) of \(name)", files)
                }
            }
        }
    }

    private func write(
        _ content: ArraySlice<UInt8>, at offset: Int, to name: String, in files: inout Files
    ) {
        var bytes = files[name] ?? []
        let end = offset + content.count
        if bytes.count < end { bytes += Array(repeating: 0, count: end - bytes.count) }
        bytes.replaceSubrange(offset..<end, with: content)
        files[name] = bytes
    }

    /// Bytes behind the end of every file: zeros, noise, and frames of ours that stood elsewhere.
    func growth(
        _ generator: inout SeededGenerator, _ visit: (String, Files) throws -> Void
    ) rethrows {
        var tails: [(String, [UInt8])] = [1, 3, 4, 8, 187, 512, 4096, 1 << 20].map {
            ("\($0) zeros", Array(repeating: 0, count: $0))
        }
        for count in [1, 3, 4, 8, 187, 512, 4096] {
            let noise = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            tails.append(("\(count) bytes of noise", noise))
        }
        for (place, block) in log.blocks.enumerated() {
            tails.append(("block \(place) again", Array(bytes(block.segment)[block.bytes])))
        }
        tails.append(("a bare tag", Array("DAYBKBLKDAYBKFTRDAYBKATT".utf8)))
        tails.append(("a footer without an end", [0x53, 0x2A, 0x4D, 0x18, 0, 0, 0x70, 0]
            + Array("DAYBKFTR".utf8)))
        for name in names {
            for (what, tail) in tails {
                var files = log.files
                files[name] = bytes(name) + tail
                try visit("\(name) with \(what) behind its end", files)
            }
        }
    }
}
