// JSON to flat tables of rows and fields, without an object for either.
//
// Over simdjson's first stage (vectorised, chosen at run time: UTF-8 validation and the index of
// structural characters); the walk over that index is ours. Every place and count is in bytes of
// the body, so the caller reads values where they stand. Nothing is read outside the body.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum djs_kind {
    DJS_STRING = 1,
    DJS_NUMBER = 2,
    DJS_TRUE = 3,
    DJS_FALSE = 4,
    DJS_NULL = 5,
    DJS_OBJECT = 6,
    DJS_ARRAY = 7
};

enum {
    /// The value is a string with backslashes in it.
    DJS_VALUE_ESCAPED = 1,
    /// The key has backslashes in it.
    DJS_KEY_ESCAPED = 2
};

/// One member of a row's object. A string's range is what stands between its quotes.
typedef struct {
    uint32_t key_start, key_count;
    uint32_t value_start, value_count;
    uint8_t kind;
    uint8_t flags;
} djs_field;

/// One element of the body's array, the body itself, or one line.
typedef struct {
    uint32_t start, count;
    uint32_t first_field, field_count;
    /// The line it stands on, from 0 (`djs_lines` only).
    uint32_t line;
    /// What it is; a row that is no object has no fields.
    uint8_t kind;
    /// Why the row is not JSON though the others are (static text), or null.
    const char *fault;
} djs_row;

enum djs_status {
    DJS_OK = 0,
    /// The body is not JSON, or not JSON of this form.
    DJS_MALFORMED = 1,
    DJS_TOO_MANY_ROWS = 2,
    DJS_NO_ROWS = 3,
    DJS_NO_MEMORY = 4
};

/// The answer; its memory belongs to the parser and holds until the parser's next use.
typedef struct {
    const djs_row *rows;
    size_t row_count;
    const djs_field *fields;
    size_t field_count;
    /// Static text saying what is wrong, and near which byte, if the status is `DJS_MALFORMED`.
    const char *fault;
    size_t fault_place;
} djs_batch;

typedef struct djs_parser djs_parser;

/// A parser for one thread at a time, or null without memory.
djs_parser *djs_new(void);
void djs_free(djs_parser *parser);

/// How many bytes of memory the parser keeps for its next use.
size_t djs_held_bytes(const djs_parser *parser);

/// Reads an array of at most `row_limit` rows, or one object as one row.
///
/// All of the body is checked. A string with a false escape makes its row's `fault`; anything else
/// that is not JSON, or containers nested deeper than 512, makes the whole body `DJS_MALFORMED`.
int djs_rows(djs_parser *parser, const uint8_t *body, size_t count, size_t row_limit,
             djs_batch *batch);

/// Reads one value a line (NDJSON); blank lines are passed over. A line that is not JSON has a
/// `fault` and no fields.
int djs_lines(djs_parser *parser, const uint8_t *body, size_t count, size_t row_limit,
              djs_batch *batch);

/// Parses the body with simdjson's own document parser and reads every field: the yardstick of the
/// benchmark. The body needs 64 readable bytes behind it. The sum of what was read; 0 on failure.
uint64_t djs_measure_document(const uint8_t *body, size_t count);

#ifdef __cplusplus
}
#endif
