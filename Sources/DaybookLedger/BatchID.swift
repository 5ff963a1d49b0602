import DaybookLog

/// The id of a batch: a UUIDv7 that carries the millisecond at which the batch was received.
///
/// Source: RFC 9562, section 5.7, with the microseconds in the field for added precision (section
/// 6.2, method 3), so that ids sort as the batches do.
struct BatchID: Equatable {
    let high: UInt64
    let low: UInt64

    init(receivedAt: Microseconds, random: UInt64) {
        precondition(receivedAt >= 0, "a batch is received after 1970")
        let (milliseconds, microseconds) = receivedAt.quotientAndRemainder(dividingBy: 1000)
        high = UInt64(milliseconds) << 16 | 0x7000 | UInt64(microseconds * 4096 / 1000)
        low = random & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    }

    /// Reads 36 characters; nil if they are no UUIDv7.
    init?(_ text: String) {
        let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }
        guard text.utf8.count == 36, digits.count == 32,
            let high = UInt64(String(decoding: digits.prefix(16), as: UTF8.self), radix: 16),
            let low = UInt64(String(decoding: digits.suffix(16), as: UTF8.self), radix: 16),
            high & 0xF000 == 0x7000, low >> 62 == 0b10
        else { return nil }
        self.high = high
        self.low = low
    }

    /// When a batch with this id was received.
    var receivedAt: Range<Microseconds> {
        let milliseconds = Microseconds(high >> 16)
        return milliseconds * 1000..<(milliseconds + 1) * 1000
    }

    /// 36 characters: lower-case hexadecimal digits in groups.
    var text: String {
        String(unsafeUninitializedCapacity: 36) { bytes in
            var place = 0
            for index in 0..<32 {
                if index == 8 || index == 12 || index == 16 || index == 20 {
                    bytes[place] = UInt8(ascii: "-")
                    place += 1
                }
                let word = index < 16 ? high : low
                let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - index % 16 * 4)) & 0xF
                bytes[place] = digit < 10 ? 0x30 + digit : 0x57 + digit
                place += 1
            }
            return place
        }
    }
}

extension Ledger {
    /// A new batch id, a UUIDv7 of 36 characters, for who writes a batch without a ledger.
    public static func batchID(receivedAt time: Microseconds) -> String {
        BatchID(receivedAt: time, random: .random(in: 0...(.max))).text
    }
}
