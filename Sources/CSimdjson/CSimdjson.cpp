#include "CSimdjson.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <simdjson.h>

using Implementation = simdjson::internal::dom_parser_implementation;

struct djs_parser {
    std::unique_ptr<Implementation> stage;
    djs_row *rows = nullptr;
    size_t row_capacity = 0;
    djs_field *fields = nullptr;
    size_t field_capacity = 0;

    ~djs_parser() {
        free(rows);
        free(fields);
    }
};

// The walk's steps are small and few: inlined into the loop over fields they keep its registers.
#define HOT inline __attribute__((always_inline))

namespace {

constexpr size_t depth_limit = 512;
// Places are 32-bit; simdjson itself ends at 4 GiB.
constexpr size_t byte_limit = size_t(1) << 31;

inline bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

inline bool is_digit(uint8_t byte) { return uint8_t(byte - '0') <= 9; }

inline bool is_hex(uint8_t byte) {
    return is_digit(byte) || uint8_t((byte | 0x20) - 'a') <= 5;
}

// Whether every backslash in a string begins one of JSON's escapes.
bool escapes_are_valid(const uint8_t *next, const uint8_t *end) {
    while (next < end) {
        if (*next++ != '\\') continue;
        if (next == end) return false;
        uint8_t letter = *next++;
        if (letter == 'u') {
            if (end - next < 4) return false;
            for (int digit = 0; digit < 4; digit++) {
                if (!is_hex(*next++)) return false;
            }
        } else if (!memchr("\"\\/bfnrt", letter, 8)) {
            return false;
        }
    }
    return true;
}

// The end of the JSON number that starts at `next`, or null.
HOT const uint8_t *number_end(const uint8_t *next, const uint8_t *end) {
    if (*next == '-') next++;
    if (next == end || !is_digit(*next)) return nullptr;
    if (*next == '0') {
        next++;
    } else {
        while (next < end && is_digit(*next)) next++;
    }
    if (next < end && *next == '.') {
        const uint8_t *first = ++next;
        while (next < end && is_digit(*next)) next++;
        if (next == first) return nullptr;
    }
    if (next < end && (*next | 0x20) == 'e') {
        next++;
        if (next < end && (*next == '+' || *next == '-')) next++;
        const uint8_t *first = next;
        while (next < end && is_digit(*next)) next++;
        if (next == first) return nullptr;
    }
    return next;
}

// A walk over the index of structural characters. The index ends with the body's length, so a
// comparison with `stop` is all that guards a step; a step is made only from a place before `stop`.
struct Walk {
    djs_parser &parser;
    const uint8_t *body;
    const uint32_t *next;
    uint32_t stop;
    // The first backslash that has not been passed, or the body's end: a body without any (the
    // usual one) is searched once.
    const uint8_t *backslash;
    const uint8_t *body_end;
    size_t row_count = 0;
    size_t field_count = 0;
    const char *fault = nullptr;
    bool has_bad_escape = false;

    Walk(djs_parser &parser, const uint8_t *body, size_t count)
        : parser(parser), body(body), next(nullptr), stop(uint32_t(count)), backslash(body),
          body_end(body + count) {
        find_backslash(body);
    }

    void find_backslash(const uint8_t *from) {
        auto found = static_cast<const uint8_t *>(memchr(from, '\\', size_t(body_end - from)));
        backslash = found ? found : body_end;
    }

    bool is_at_end() const { return *next >= stop; }

    // The character at `next`; zero at the end, though a zero may also stand in the body.
    HOT uint8_t peek() const { return *next < stop ? body[*next] : 0; }

    bool fail(const char *reason) {
        fault = reason;
        return false;
    }

    // The range between the quotes of the string at `next`; steps over it.
    HOT bool string(uint32_t &start, uint32_t &count, bool &escaped) {
        start = *next + 1;
        uint32_t last = *++next - 1;
        while (is_space(body[last])) last--;
        if (last < start || body[last] != '"') return fail("a string does not end");
        count = last - start;
        escaped = false;
        const uint8_t *end = body + last;
        if (__builtin_expect(backslash < end, 0)) {
            if (backslash < body + start) find_backslash(body + start);
            if (backslash < end) {
                escaped = true;
                if (!escapes_are_valid(body + start, end)) has_bad_escape = true;
                find_backslash(end);
            }
        }
        return true;
    }

    // The range of the number or literal at `next`; steps over it.
    HOT bool atom(uint32_t &start, uint32_t &count, uint8_t &kind) {
        start = *next++;
        const uint8_t *limit = body + *next, *from = body + start, *end;
        size_t room = size_t(limit - from);
        if (*from == '-' || is_digit(*from)) {
            kind = DJS_NUMBER;
            end = number_end(from, limit);
            if (!end) return fail("a number is not JSON");
        } else if (room >= 4 && memcmp(from, "null", 4) == 0) {
            kind = DJS_NULL;
            end = from + 4;
        } else if (room >= 4 && memcmp(from, "true", 4) == 0) {
            kind = DJS_TRUE;
            end = from + 4;
        } else if (room >= 5 && memcmp(from, "false", 5) == 0) {
            kind = DJS_FALSE;
            end = from + 5;
        } else {
            return fail("a value was expected");
        }
        count = uint32_t(end - from);
        while (end < limit && is_space(*end)) end++;
        if (end != limit) return fail("a number or literal has more letters than it should");
        return true;
    }

    // Any value; steps over it and checks all of it.
    HOT bool value(uint32_t &start, uint32_t &count, uint8_t &kind, bool &escaped) {
        escaped = false;
        switch (peek()) {
        case '"':
            kind = DJS_STRING;
            return string(start, count, escaped);
        case '{':
        case '[':
            start = *next;
            kind = body[*next] == '{' ? DJS_OBJECT : DJS_ARRAY;
            if (!container()) return false;
            count = next[-1] + 1 - start;
            return true;
        case 0:
            return fail("the text ends too early");
        default:
            return atom(start, count, kind);
        }
    }

    bool key_and_colon() {
        uint32_t start, count;
        bool escaped;
        if (peek() != '"') return fail("a field's name was expected");
        if (!string(start, count, escaped)) return false;
        if (peek() != ':') return fail("a colon was expected");
        next++;
        return true;
    }

    // A nested container with all that it holds, without recursion.
    __attribute__((noinline)) bool container() {
        bool is_object[depth_limit];
        size_t depth = 0;
        for (;;) {
            // At a value.
            uint8_t byte = peek();
            if (byte == '{' || byte == '[') {
                if (depth == depth_limit) return fail("values are nested deeper than 512");
                bool object = is_object[depth++] = byte == '{';
                next++;
                if (peek() == (object ? '}' : ']')) {
                    next++;
                    depth--;
                } else {
                    if (object && !key_and_colon()) return false;
                    continue;
                }
            } else {
                uint32_t start, count;
                uint8_t kind;
                bool escaped;
                if (byte == 0) return fail("the text ends too early");
                if (byte == '"' ? !string(start, count, escaped) : !atom(start, count, kind))
                    return false;
            }
            // Behind a value.
            for (;;) {
                if (depth == 0) return true;
                bool object = is_object[depth - 1];
                byte = peek();
                if (byte == ',') {
                    next++;
                    if (object && !key_and_colon()) return false;
                    break;
                }
                if (byte != (object ? '}' : ']')) return fail("a comma or a bracket was expected");
                next++;
                depth--;
            }
        }
    }

    // The fields of the object at `next`.
    bool object(djs_row &row) {
        next++;
        djs_field *field = parser.fields + field_count;
        djs_field *first = field;
        if (peek() == '}') {
            next++;
        } else {
            for (;;) {
                bool key_escaped, value_escaped;
                if (peek() != '"') return fail("a field's name was expected");
                if (!string(field->key_start, field->key_count, key_escaped)) return false;
                if (peek() != ':') return fail("a colon was expected");
                next++;
                if (!value(field->value_start, field->value_count, field->kind, value_escaped))
                    return false;
                field->flags = (value_escaped ? DJS_VALUE_ESCAPED : 0)
                               | (key_escaped ? DJS_KEY_ESCAPED : 0);
                field++;
                uint8_t byte = peek();
                if (byte != ',' && byte != '}') return fail("a comma or } was expected");
                next++;
                if (byte == '}') break;
            }
        }
        row.field_count = uint32_t(field - first);
        field_count += row.field_count;
        return true;
    }

    // The row at `next`.
    bool row(djs_row &row) {
        row.start = *next;
        row.first_field = uint32_t(field_count);
        row.field_count = 0;
        row.line = 0;
        row.fault = nullptr;
        has_bad_escape = false;
        if (peek() == '{') {
            row.kind = DJS_OBJECT;
            if (!object(row)) return false;
            row.count = next[-1] + 1 - row.start;
        } else {
            uint32_t start;
            bool escaped;
            if (!value(start, row.count, row.kind, escaped)) return false;
            if (row.kind == DJS_STRING) row.count += 2;
        }
        if (has_bad_escape) row.fault = "a string has an escape that JSON does not know";
        return true;
    }

    djs_row *new_row() {
        if (row_count == parser.row_capacity) {
            size_t capacity = parser.row_capacity ? parser.row_capacity * 2 : 1024;
            void *memory = realloc(parser.rows, capacity * sizeof(djs_row));
            if (!memory) return nullptr;
            parser.rows = static_cast<djs_row *>(memory);
            parser.row_capacity = capacity;
        }
        return &parser.rows[row_count];
    }
};

const char *stage_fault(simdjson::error_code code) {
    switch (code) {
    case simdjson::UTF8_ERROR: return "the text is not UTF-8";
    case simdjson::UNESCAPED_CHARS: return "a string has a control character in it";
    case simdjson::UNCLOSED_STRING: return "a string does not end";
    case simdjson::EMPTY: return "there is no value";
    default: return "the text is not JSON";
    }
}

// Room for every field that an index of `count` structural characters can name: a field has four.
bool reserve_fields(djs_parser &parser, size_t count) {
    size_t needed = count / 4 + 2;
    if (needed <= parser.field_capacity) return true;
    free(parser.fields);
    parser.field_capacity = 0;
    parser.fields = static_cast<djs_field *>(malloc(needed * sizeof(djs_field)));
    if (!parser.fields) return false;
    parser.field_capacity = needed;
    return true;
}

simdjson::error_code reserve_stage(djs_parser &parser, size_t count) {
    if (!parser.stage) {
        return simdjson::get_active_implementation()->create_dom_parser_implementation(
            count < 65536 ? 65536 : count, 1, parser.stage);
    }
    return parser.stage->capacity() < count ? parser.stage->set_capacity(count)
                                            : simdjson::SUCCESS;
}

int malformed(djs_batch *batch, const char *fault, size_t place) {
    batch->fault = fault;
    batch->fault_place = place;
    return DJS_MALFORMED;
}

void publish(const djs_parser &parser, const Walk &walk, djs_batch *batch) {
    batch->rows = parser.rows;
    batch->row_count = walk.row_count;
    batch->fields = parser.fields;
    batch->field_count = walk.field_count;
}

struct Line {
    size_t start, end;
};

// One line by itself, where `next` stands at its first structural character.
bool read_line(Walk &walk, djs_row &row, Line line) {
    walk.stop = uint32_t(line.end);
    size_t fields_before = walk.field_count;
    bool is_read = walk.row(row) && (walk.is_at_end() || walk.fail("more follows the value"));
    if (!is_read) {
        walk.field_count = fields_before;
        row.field_count = 0;
        row.fault = walk.fault;
    }
    return is_read;
}

} // namespace

djs_parser *djs_new(void) { return new (std::nothrow) djs_parser(); }

void djs_free(djs_parser *parser) { delete parser; }

size_t djs_held_bytes(const djs_parser *parser) {
    return (parser->stage ? parser->stage->capacity() * sizeof(uint32_t) : 0)
           + parser->row_capacity * sizeof(djs_row) + parser->field_capacity * sizeof(djs_field);
}

int djs_rows(djs_parser *parser, const uint8_t *body, size_t count, size_t row_limit,
             djs_batch *batch) {
    *batch = {};
    if (count == 0) return malformed(batch, "there is no value", 0);
    if (count >= byte_limit) return malformed(batch, "the text is too long", byte_limit);
    if (reserve_stage(*parser, count) != simdjson::SUCCESS) return DJS_NO_MEMORY;
    auto error = parser->stage->stage1(body, count, simdjson::stage1_mode::regular);
    if (error) return malformed(batch, stage_fault(error), 0);
    if (!reserve_fields(*parser, parser->stage->n_structural_indexes)) return DJS_NO_MEMORY;

    Walk walk(*parser, body, count);
    walk.next = parser->stage->structural_indexes.get();
    uint8_t first = walk.peek();
    if (first != '[' && first != '{')
        return malformed(batch, "neither an array nor an object", *walk.next);
    if (first == '[') walk.next++;
    if (first == '[' && walk.peek() == ']') {
        walk.next++;
        return walk.is_at_end() ? DJS_NO_ROWS
                                : malformed(batch, "more follows the array", *walk.next);
    }
    for (;;) {
        if (walk.row_count == row_limit) return DJS_TOO_MANY_ROWS;
        djs_row *row = walk.new_row();
        if (!row) return DJS_NO_MEMORY;
        if (!walk.row(*row)) return malformed(batch, walk.fault, *walk.next);
        walk.row_count++;
        if (first == '{') break;
        uint8_t byte = walk.peek();
        if (byte != ',' && byte != ']')
            return malformed(batch, "a comma or ] was expected", *walk.next);
        walk.next++;
        if (byte == ']') break;
    }
    if (!walk.is_at_end()) return malformed(batch, "more follows the value", *walk.next);
    publish(*parser, walk, batch);
    return DJS_OK;
}

int djs_lines(djs_parser *parser, const uint8_t *body, size_t count, size_t row_limit,
              djs_batch *batch) {
    *batch = {};
    if (count == 0) return DJS_NO_ROWS;
    if (count >= byte_limit) return malformed(batch, "the text is too long", byte_limit);
    if (reserve_stage(*parser, count) != simdjson::SUCCESS) return DJS_NO_MEMORY;
    // One bad line can spoil the index of all (an open quote): then each line gets its own.
    Implementation &stage = *parser->stage;
    bool is_whole = stage.stage1(body, count, simdjson::stage1_mode::regular) == 0;
    if (!reserve_fields(*parser, is_whole ? stage.n_structural_indexes : count))
        return DJS_NO_MEMORY;

    Walk walk(*parser, body, count);
    walk.next = stage.structural_indexes.get();
    uint32_t number = 0;
    for (size_t start = 0, following; start < count; start = following, number++) {
        auto feed = static_cast<const uint8_t *>(memchr(body + start, '\n', count - start));
        Line line{start, feed ? size_t(feed - body) : count};
        following = feed ? line.end + 1 : count;
        while (line.start < line.end && is_space(body[line.start])) line.start++;
        while (line.end > line.start && is_space(body[line.end - 1])) line.end--;
        if (line.start == line.end) continue;
        if (walk.row_count == row_limit) return DJS_TOO_MANY_ROWS;
        djs_row *row = walk.new_row();
        if (!row) return DJS_NO_MEMORY;
        *row = {};
        uint32_t *index = stage.structural_indexes.get();
        auto error = is_whole ? simdjson::SUCCESS
                              : stage.stage1(body + line.start, line.end - line.start,
                                             simdjson::stage1_mode::regular);
        if (error) {
            row->fault = stage_fault(error);
        } else {
            if (is_whole) {
                while (*walk.next < line.start) walk.next++;
            } else {
                for (uint32_t i = 0; i <= stage.n_structural_indexes; i++)
                    index[i] += uint32_t(line.start);
                walk.next = index;
            }
            read_line(walk, *row, line);
        }
        row->start = uint32_t(line.start);
        row->count = uint32_t(line.end - line.start);
        row->line = number;
        walk.row_count++;
    }
    publish(*parser, walk, batch);
    return walk.row_count ? DJS_OK : DJS_NO_ROWS;
}

uint64_t djs_measure_document(const uint8_t *body, size_t count) {
    static thread_local simdjson::dom::parser parser;
    simdjson::dom::array rows;
    if (parser.parse(body, count, false).get_array().get(rows)) return 0;
    uint64_t sum = 0;
    for (simdjson::dom::object row : rows) {
        for (auto field : row) {
            sum += field.key.size();
            std::string_view text;
            int64_t number;
            if (!field.value.get(text)) {
                sum += text.size();
            } else if (!field.value.get(number)) {
                sum += uint64_t(number);
            }
        }
    }
    return sum;
}
