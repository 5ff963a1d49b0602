#include "CRoaring.h"

#include <roaring/roaring.h>

#include <cstring>
#include <map>
#include <new>

// The bitmap used last is remembered: keys mostly come from one neighbourhood.
struct dbr_set {
    std::map<uint32_t, roaring_bitmap_t *> parts;
    uint32_t last_high = 0;
    roaring_bitmap_t *last = nullptr;

    ~dbr_set() {
        for (auto &part : parts) roaring_bitmap_free(part.second);
    }

    roaring_bitmap_t *find(uint32_t high) {
        if (last != nullptr && last_high == high) return last;
        auto found = parts.find(high);
        if (found == parts.end()) return nullptr;
        last_high = high;
        last = found->second;
        return last;
    }

    roaring_bitmap_t *obtain(uint32_t high) {
        roaring_bitmap_t *part = find(high);
        if (part != nullptr) return part;
        part = roaring_bitmap_create();
        if (part == nullptr) throw std::bad_alloc();
        parts.emplace(high, part);
        last_high = high;
        last = part;
        return part;
    }
};

static uint32_t high_half(uint64_t value) { return static_cast<uint32_t>(value >> 32); }
static uint32_t low_half(uint64_t value) { return static_cast<uint32_t>(value); }

dbr_set *dbr_create(void) { return new (std::nothrow) dbr_set; }

void dbr_free(dbr_set *set) { delete set; }

// Without memory the process ends here; a key that is half taken would be worse.
bool dbr_add(dbr_set *set, uint64_t value) {
    return roaring_bitmap_add_checked(set->obtain(high_half(value)), low_half(value));
}

bool dbr_remove(dbr_set *set, uint64_t value) {
    roaring_bitmap_t *part = set->find(high_half(value));
    if (part == nullptr || !roaring_bitmap_remove_checked(part, low_half(value))) return false;
    if (roaring_bitmap_is_empty(part)) {
        set->parts.erase(high_half(value));
        set->last = nullptr;
        roaring_bitmap_free(part);
    }
    return true;
}

bool dbr_contains(dbr_set *set, uint64_t value) {
    roaring_bitmap_t *part = set->find(high_half(value));
    return part != nullptr && roaring_bitmap_contains(part, low_half(value));
}

uint64_t dbr_count(const dbr_set *set) {
    uint64_t count = 0;
    for (auto &part : set->parts) count += roaring_bitmap_get_cardinality(part.second);
    return count;
}

size_t dbr_prepare(dbr_set *set) {
    size_t count = sizeof(uint64_t);
    for (auto &part : set->parts) {
        roaring_bitmap_run_optimize(part.second);
        count += sizeof(uint32_t) + roaring_bitmap_portable_size_in_bytes(part.second);
    }
    return count;
}

void dbr_write(const dbr_set *set, uint8_t *bytes) {
    uint64_t parts = set->parts.size();
    memcpy(bytes, &parts, sizeof parts);
    bytes += sizeof parts;
    for (auto &part : set->parts) {
        memcpy(bytes, &part.first, sizeof part.first);
        bytes += sizeof part.first;
        bytes += roaring_bitmap_portable_serialize(part.second, reinterpret_cast<char *>(bytes));
    }
}

dbr_set *dbr_read(const uint8_t *bytes, size_t count) {
    uint64_t parts;
    if (count < sizeof parts) return nullptr;
    memcpy(&parts, bytes, sizeof parts);
    size_t place = sizeof parts;
    dbr_set *set = dbr_create();
    if (set == nullptr) return nullptr;
    for (uint64_t i = 0; i < parts; i++) {
        uint32_t high;
        if (count - place < sizeof high) break;
        memcpy(&high, bytes + place, sizeof high);
        place += sizeof high;
        const char *start = reinterpret_cast<const char *>(bytes + place);
        roaring_bitmap_t *part = roaring_bitmap_portable_deserialize_safe(start, count - place);
        if (part == nullptr) break;
        place += roaring_bitmap_portable_size_in_bytes(part);
        if (!set->parts.emplace(high, part).second) {
            roaring_bitmap_free(part);
            break;
        }
    }
    if (set->parts.size() == parts && place == count) return set;
    dbr_free(set);
    return nullptr;
}
