import DaybookLog
import Testing

@Suite("Histograms")
struct HistogramTests {
    @Test("A value that is a bound belongs to that bucket, one above all to the last")
    func buckets() {
        var histogram = Histogram(bounds: [-1, 0, 2.5])
        for value in [-7, -1, -0.5, 0, 2.5, 2.5000001, 1e300] { histogram.add(value) }
        #expect(histogram.counts == [2, 2, 1, 2])
        #expect(histogram.count == 7 && histogram.sum == 1e300)
        #expect(Histogram(bounds: []).counts == [0])
    }

    @Test("Any values are counted as a plain count of them says")
    func random() {
        var histogram = Histogram.seconds
        let values = (0..<2_000).map { _ in Double.random(in: 0...0.5) * .random(in: 0...40) }
        for value in values { histogram.add(value) }
        var below = 0
        for (bound, count) in zip(histogram.bounds, histogram.counts) {
            below += Int(count)
            #expect(below == values.count { $0 <= bound })
        }
        #expect(histogram.count == 2_000)
        #expect(abs(histogram.sum - values.reduce(0, +)) < 1e-6)
    }

    @Test("Durations are seconds")
    func durations() {
        var histogram = Histogram.seconds
        histogram.add(.microseconds(100))
        histogram.add(.milliseconds(1_500))
        #expect(histogram.counts.first == 1 && abs(histogram.sum - 1.5001) < 1e-12)
    }
}
