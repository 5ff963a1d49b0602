#include "CRE2.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <re2/re2.h>

struct cre2_pattern {
    re2::RE2 expression;

    cre2_pattern(re2::StringPiece text, const re2::RE2::Options &options)
        : expression(text, options) {}
};

cre2_pattern *cre2_compile(
    const char *text, size_t length, int64_t memory_byte_count,
    char *error, size_t error_capacity) {
    re2::RE2::Options options;
    options.set_encoding(re2::RE2::Options::EncodingUTF8);
    options.set_max_mem(memory_byte_count);
    options.set_log_errors(false);
    // Groups are read as plain groups: only whether the whole matches is ever asked, and without
    // submatches RE2 answers that with its automaton alone.
    options.set_never_capture(true);
    auto *pattern = new (std::nothrow) cre2_pattern(re2::StringPiece(text, length), options);
    if (pattern != nullptr && pattern->expression.ok()) return pattern;
    if (error_capacity > 0) {
        const char *words = pattern ? pattern->expression.error().c_str() : "out of memory";
        size_t count = std::min(std::strlen(words), error_capacity - 1);
        std::memcpy(error, words, count);
        error[count] = 0;
    }
    delete pattern;
    return nullptr;
}

bool cre2_matches_whole(const cre2_pattern *pattern, const void *bytes, size_t length) {
    re2::StringPiece value(static_cast<const char *>(bytes), length);
    return pattern->expression.Match(value, 0, length, re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

void cre2_free(cre2_pattern *pattern) { delete pattern; }
