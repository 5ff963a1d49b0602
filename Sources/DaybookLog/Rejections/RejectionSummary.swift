/// How many rejections there are, by what they have in common.
public struct RejectionSummary: Sendable, Equatable {
    /// So many rejections, and how many of them are open.
    public struct Count: Sendable, Equatable {
        /// Of whatever state.
        public var count: Int64
        /// Of these, the open ones.
        public var open: Int64

        /// A count.
        public init(count: Int64, open: Int64) {
            self.count = count
            self.open = open
        }
    }

    /// The rejections of one name.
    public struct Named: Sendable, Equatable {
        /// A code, a table or a source.
        public let name: String
        /// How many.
        public let count: Count

        /// So many of that name.
        public init(_ name: String, _ count: Count) {
            self.name = name
            self.count = count
        }
    }

    /// The sources that are not named.
    public struct Others: Sendable, Equatable {
        /// How many sources.
        public let sources: Int64
        /// What they have together.
        public let count: Count

        /// So many sources with so many rejections.
        public init(sources: Int64, count: Count) {
            self.sources = sources
            self.count = count
        }
    }

    /// How long ago a rejection was received; every class ends where the next begins.
    public enum Age: String, Sendable, CaseIterable {
        case hour = "under 1 hour"
        case day = "under 1 day"
        case week = "under 7 days"
        case month = "under 30 days"
        case older
    }

    /// No more sources than so many are named, those with the most rejections.
    public static let sourceCountMax = 100

    /// By state; a state without rejections is left out.
    public var states: [RejectionState: Int64] = [:]
    /// By code, most first. A rejection counts at each of its codes.
    public var codes: [Named] = []
    /// By table, most first.
    public var tables: [Named] = []
    /// By source, most first, at most `sourceCountMax`.
    public var sources: [Named] = []
    /// The other sources; nil if all are named.
    public var otherSources: Others?
    /// By age; an age without rejections is left out.
    public var ages: [Age: Count] = [:]

    /// How many there are in all.
    public var total: Int64 { states.values.reduce(0, +) }

    /// Nothing counted yet.
    public init() {}
}
