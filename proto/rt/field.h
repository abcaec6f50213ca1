/* Field tables. One table per configuration struct and message drives reading (YAML and JSON), writing (JSON, keys in
 * table order), range checks, all errors in one run with place and path, near-miss suggestions, the reference page
 * and redaction.
 *
 * Structs are flat C structs of fixed size, so that a document is one value that can be copied and compared:
 *   text in char arrays, numbers in int64_t, bool in bool, enums in int, lists as an array beside a uint32_t count.
 *
 *   static const struct field lease_fields[] = {
 *       FIELD_TEXT(struct lease, store_id, FIELD_REQUIRED, "identity of the store"),
 *       FIELD_INT64(struct lease, seq, 0, 0, INT64_MAX, FIELD_REQUIRED, "sending number"),
 *       FIELD_CHOICE(struct lease, state, lease_state_names, 0, "held or released"),
 *       FIELD_TEXTS(struct lease, electors, elector_count, 0, "who may take"),
 *       FIELD_END };
 *   static const struct fields lease_table = FIELDS("lease", struct lease, lease_fields);
 */
#ifndef RT_FIELD_H
#define RT_FIELD_H
#include "rt/node.h"
#include <stddef.h>
#include <stdint.h>

enum field_type {
    FIELD_TYPE_TEXT,   /* char[size]; too long is an error */
    FIELD_TYPE_INT,    /* int64_t, low..high */
    FIELD_TYPE_BOOL,   /* bool */
    FIELD_TYPE_ENUM,   /* int, index into names[] (NULL-terminated) */
    FIELD_TYPE_CUSTOM, /* codec over `size` bytes: LSNs, epochs, durations, sizes, hashes */
    FIELD_TYPE_OBJECT, /* nested struct with its own table */
    FIELD_TYPE_LIST,   /* list of objects: array of structs, at most `max`, count at count_offset */
    FIELD_TYPE_MAP,    /* map name -> object, as FIELD_TYPE_LIST; the key is stored in the char array at offset 0 of each element */
    FIELD_TYPE_TEXTS,  /* list of texts: array of char[size] */
    FIELD_TYPE_TEXT_MAP, /* map name -> scalar text as written: array of struct field_pair */
};

enum field_flag {
    FIELD_REQUIRED = 1,
    FIELD_SECRET = 2,    /* never written by field_write with redaction, never quoted in errors */
    FIELD_NULL_EMPTY = 4, /* zero or empty is written as JSON null, and null reads as that: "unknown is null" */
    FIELD_LATER = 8,     /* known, refused by name: "not built yet: ..." unless its default is written; the doc says what it will be; never written */
    FIELD_OMIT_EMPTY = 16, /* zero, empty or false is not written at all */
    FIELD_PRESENCE = 32, /* OBJECT: the nested struct's first member is `bool present`, set when the key is there */
};

struct field_pair {
    char name[64];
    char value[256];
};

/* A codec parses text into `size` bytes at `out` and formats it back. Its error text is what it wants, as a noun ("a time
 * with a unit, like 10s"): the message becomes `wants ..., not "10"`. One of int64_t may have a range in low..high. JSON numbers arrive as their text. as_number: write as a JSON number, not a string. */
struct field_codec {
    bool (*parse)(const char *text, void *out, struct err *err);
    void (*format)(const void *in, char *to, size_t size);
    bool as_number;
    const char *wants; /* "a time with a unit, like 10s" */
};
extern const struct field_codec field_duration_ms; /* int64_t ms; "250ms" "10s" "5m" "2h" "1d"; bare 0 only */
extern const struct field_codec field_size_bytes;  /* int64_t; "8kB" "16MB" "20GB" "1TB" (powers of 1024, as PostgreSQL) ; bare 0 only */
extern const struct field_codec field_wall_ms;     /* int64_t ms since 1970 as RFC 3339 */
extern const struct field_codec field_hex32;       /* uint8_t[32] as 64 hex digits */

struct fields;
struct field {
    const char *name; /* key in the document; NULL ends the table */
    enum field_type type;
    unsigned flags;
    size_t offset, size; /* size: of the member (TEXT, CUSTOM), of one element (LIST, MAP, TEXTS) */
    size_t count_offset; /* LIST, MAP, TEXTS, TEXT_MAP */
    uint32_t max;
    int64_t low, high;
    const char *otherwise; /* default as text, applied when the key is absent (NULL: zero) */
    const char *const *names;
    const struct field_codec *codec;
    const struct fields *table;
    const char *doc;
};
struct fields {
    const char *name; /* for messages and the reference page */
    size_t size;      /* of the struct */
    const struct field *fields;
};
#define FIELDS(text, type, array) {.name = (text), .size = sizeof(type), .fields = (array)}
#define FIELD_END {.name = NULL}
#define FIELD_MEMBER_(T, m) .name = #m, .offset = offsetof(T, m), .size = sizeof(((T *)0)->m)
#define FIELD_ELEMENT_(T, m, n)                                                                                        \
    .name = #m, .offset = offsetof(T, m), .size = sizeof(((T *)0)->m[0]), .count_offset = offsetof(T, n),              \
    .max = sizeof(((T *)0)->m) / sizeof(((T *)0)->m[0])
#define FIELD_TEXT(T, m, f, d) {FIELD_MEMBER_(T, m), .type = FIELD_TYPE_TEXT, .flags = (f), .doc = (d)}
#define FIELD_INT64(T, m, def, lo, hi, f, d)                                                                           \
    {FIELD_MEMBER_(T, m), .type = FIELD_TYPE_INT, .otherwise = (def), .low = (lo), .high = (hi), .flags = (f), .doc = (d)}
#define FIELD_BOOL(T, m, def, f, d) {FIELD_MEMBER_(T, m), .type = FIELD_TYPE_BOOL, .otherwise = (def), .flags = (f), .doc = (d)}
#define FIELD_CHOICE(T, m, n, f, d) {FIELD_MEMBER_(T, m), .type = FIELD_TYPE_ENUM, .names = (n), .flags = (f), .doc = (d)}
#define FIELD_CUSTOM(T, m, c, def, f, d)                                                                               \
    {FIELD_MEMBER_(T, m), .type = FIELD_TYPE_CUSTOM, .codec = (c), .otherwise = (def), .flags = (f), .doc = (d)}
#define FIELD_OBJECT(T, m, t, f, d) {FIELD_MEMBER_(T, m), .type = FIELD_TYPE_OBJECT, .table = (t), .flags = (f), .doc = (d)}
#define FIELD_LIST(T, m, n, t, f, d) {FIELD_ELEMENT_(T, m, n), .type = FIELD_TYPE_LIST, .table = (t), .flags = (f), .doc = (d)}
/* The elements of a map begin with `char name[...]`: the key. */
#define FIELD_MAP(T, m, n, t, f, d)                                                                                    \
    {FIELD_ELEMENT_(T, m, n), .type = FIELD_TYPE_MAP, .high = sizeof(((T *)0)->m[0].name), .table = (t), .flags = (f), .doc = (d)}
#define FIELD_TEXTS(T, m, n, f, d) {FIELD_ELEMENT_(T, m, n), .type = FIELD_TYPE_TEXTS, .flags = (f), .doc = (d)}
#define FIELD_TEXT_MAP(T, m, n, f, d) {FIELD_ELEMENT_(T, m, n), .type = FIELD_TYPE_TEXT_MAP, .flags = (f), .doc = (d)}

/* Problems found in one document, in order of place. */
struct field_problem {
    uint32_t line, column;
    char path[192];
    char message[512];
};
#define FIELD_PROBLEMS_MAX 100
struct field_problems {
    const char *name; /* file */
    uint32_t count;   /* further ones are counted in `more` */
    uint32_t more;
    struct field_problem at[FIELD_PROBLEMS_MAX];
};
void field_problem_add(struct field_problems *p, const struct node *where, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* "name:line:column: path: message" a line (places that are unknown left out), appended, sorted by place. */
void field_problems_write(struct field_problems *p, struct strbuf *to);

/* Fills *out (zeroed first, defaults applied) from a map. True if no problem was found; unknown keys are problems with
 * a suggestion. `path` is the prefix for messages ("" at the top). */
bool field_read(const struct fields *table, const struct node *map, const char *path, void *out, struct field_problems *problems);
/* As field_read for unsigned messages between versions: unknown keys are ignored. */
bool field_read_lenient(const struct fields *table, const struct node *map, const char *path, void *out, struct field_problems *problems);
/* Parses one JSON object straight into a struct; the first problem becomes the error. Unknown keys are ignored. */
bool field_from_json(const struct fields *table, const char *name, struct bytes text, void *out, struct err *err);
/* Struct to a new JSON object. `redact` replaces secrets by "***". */
json_t *field_to_json(const struct fields *table, const void *in, bool redact);
/* Struct to compact JSON text, appended: the canonical bytes that get signed and hashed. */
void field_to_text(const struct fields *table, const void *in, struct strbuf *to);
/* Markdown reference: key, type, default, meaning, nested tables after. */
void field_reference(const struct fields *table, struct strbuf *to);
/* Applies defaults to a zeroed struct. */
void field_defaults(const struct fields *table, void *out);
#endif
