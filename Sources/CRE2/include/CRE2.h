#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A compiled regular expression. It does not change, and any number of threads may match with it.
typedef struct cre2_pattern cre2_pattern;

/// Compiles `length` bytes of UTF-8 in RE2's syntax; the program and its automata take at most
/// `memory_byte_count` bytes. Returns NULL on a mistake, with RE2's words for it in `error` (cut to
/// `error_capacity` and ended by a zero byte).
cre2_pattern *cre2_compile(
    const char *text, size_t length, int64_t memory_byte_count,
    char *error, size_t error_capacity);

/// Whether the whole of `length` bytes matches. Bytes that are no UTF-8 match nothing.
bool cre2_matches_whole(const cre2_pattern *pattern, const void *bytes, size_t length);

void cre2_free(cre2_pattern *pattern);

#ifdef __cplusplus
}
#endif
