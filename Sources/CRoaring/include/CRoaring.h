// A set of 64-bit integers: 32-bit roaring bitmaps of CRoaring, keyed by the values' high halves.
// The serialised form is the portable one of the Roaring specification's 64-bit extension.
#ifndef DAYBOOK_CROARING_H
#define DAYBOOK_CROARING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dbr_set dbr_set;

// An empty set; NULL if there is no memory.
dbr_set *dbr_create(void);
void dbr_free(dbr_set *set);

// Adds a value; whether it was new.
bool dbr_add(dbr_set *set, uint64_t value);
// Removes a value; whether it was there.
bool dbr_remove(dbr_set *set, uint64_t value);
bool dbr_contains(dbr_set *set, uint64_t value);
uint64_t dbr_count(const dbr_set *set);

// Makes runs of runs, and gives the length of the serialised form.
size_t dbr_prepare(dbr_set *set);
// Writes exactly as many bytes as dbr_prepare gave.
void dbr_write(const dbr_set *set, uint8_t *bytes);
// Reads what dbr_write wrote; NULL if the bytes are anything else.
dbr_set *dbr_read(const uint8_t *bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
