/* Documents: in the place of the JSON text of a struct stands a handle to what its field table says of it, written once
 * into a compact form. Keeps what reading promises: fields that are not in the table come back as zeros, and what the real
 * reader would refuse (a number out of its range, an enum without a name) is refused here. Texts that are no handles go
 * to the real reader. */
#include "rt/field_inner.h"
#include "tests/sim/ideal.h"
#include "tests/sim/sim.h"
#include "wire/epoch.h"
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)256 << 10)
#define INDEX_FIRST 4096u

struct document {
    uint64_t hash;
    const struct fields *table;
    const unsigned char *form;
    uint32_t len;
    const char *flaw; /* field for which a reader refuses it; NULL: none */
};
static struct document *documents; /* by number; 0 is nobody's */
static uint32_t document_count, document_room;
static uint32_t *index_slots, index_size; /* open addressing, by hash; 0: free */

/* The form that is being written. */
static struct {
    unsigned char *at;
    size_t len, room;
    const char *flaw;
} form;

bool __wrap_field_from_json(const struct fields *table, const char *name, struct bytes text, void *out, struct err *err);
bool __real_field_from_json(const struct fields *table, const char *name, struct bytes text, void *out, struct err *err);
void __wrap_field_to_text(const struct fields *table, const void *in, struct strbuf *to);
void __real_field_to_text(const struct fields *table, const void *in, struct strbuf *to);

/* ---- writing the form ---- */

static unsigned char *more(size_t len) {
    if (form.len + len > form.room) {
        form.room = 2 * (form.len + len);
        form.at = realloc(form.at, form.room);
        if (!form.at)
            abort();
    }
    form.len += len;
    return form.at + form.len - len;
}

/* Seven bits a byte, the sign in the lowest bit: most numbers are small. */
static void put_number(int64_t value) {
    uint64_t left = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
    unsigned char bytes[10];
    size_t len = 0;
    for (; left >= 128; left >>= 7)
        bytes[len++] = (unsigned char)(left | 128);
    bytes[len++] = (unsigned char)left;
    memcpy(more(len), bytes, len);
}

static void put_text(const char *text, size_t size, const char *field) {
    size_t len = strnlen(text, size);
    if (len == size)
        form.flaw = field;
    put_number((int64_t)len);
    memcpy(more(len), text, len);
}

/* What is left out or null when it is zero is not looked at by the reader. */
static void put_int(const struct field *f, const void *member) {
    int64_t value;
    memcpy(&value, member, sizeof value);
    bool is_said = value || !(f->flags & (FIELD_NULL_EMPTY | FIELD_OMIT_EMPTY));
    if (is_said && f->low < f->high && (value < f->low || value > f->high))
        form.flaw = f->name;
    put_number(value);
}

static void put_enum(const struct field *f, int value) {
    int known = 0;
    while (known < value && f->names[known])
        known++;
    if (value < 0 || !f->names[known])
        form.flaw = f->name;
    put_number(value);
}

static void put_epoch(const struct field *f, const struct epoch *e) {
    if (!epoch_is_zero(e) && (e->generation <= 0 || e->step < 0 || !name_is_valid(e->site)))
        form.flaw = f->name;
    put_number(e->generation);
    put_number(e->step);
    put_text(e->site, sizeof e->site, f->name);
}

/* Codecs over one number keep all of it; of the others only the epoch has bytes that mean nothing. */
static void put_custom(const struct field *f, const void *member) {
    if (f->codec == &field_epoch)
        put_epoch(f, member);
    else if (f->size == sizeof(int64_t))
        put_int(f, member);
    else
        memcpy(more(f->size), member, f->size);
}

static void put_table(const struct fields *table, const void *in);

static void put_object(const struct field *f, const void *member) {
    if (f->flags & FIELD_PRESENCE) {
        bool present = *(const bool *)member;
        put_number(present);
        if (!present && f->flags & FIELD_REQUIRED && !(f->flags & FIELD_NULL_EMPTY))
            form.flaw = f->name;
        if (!present)
            return;
    }
    put_table(f->table, member);
}

static void put_elements(const struct field *f, const void *in) {
    const char *element = field_in(f, in);
    uint32_t count = field_count(f, in);
    put_number(count);
    for (; count > 0; count--, element += f->size) {
        if (f->type == FIELD_TYPE_MAP)
            put_text(element, (size_t)f->high, f->name);
        if (f->type == FIELD_TYPE_TEXTS)
            put_text(element, f->size, f->name);
        else
            put_table(f->table, element);
    }
}

static void put_pairs(const struct field *f, const void *in) {
    const struct field_pair *pair = field_in(f, in);
    uint32_t count = field_count(f, in);
    put_number(count);
    for (; count > 0; count--, pair++) {
        put_text(pair->name, sizeof pair->name, f->name);
        put_text(pair->value, sizeof pair->value, f->name);
    }
}

static void put_field(const struct field *f, const void *in) {
    const void *member = field_in(f, in);
    switch (f->type) {
    case FIELD_TYPE_TEXT:
        return put_text(member, f->size, f->name);
    case FIELD_TYPE_INT:
        return put_int(f, member);
    case FIELD_TYPE_BOOL:
        return put_number(*(const bool *)member);
    case FIELD_TYPE_ENUM:
        return put_enum(f, *(const int *)member);
    case FIELD_TYPE_CUSTOM:
        return put_custom(f, member);
    case FIELD_TYPE_OBJECT:
        return put_object(f, member);
    case FIELD_TYPE_LIST:
    case FIELD_TYPE_MAP:
    case FIELD_TYPE_TEXTS:
        return put_elements(f, in);
    case FIELD_TYPE_TEXT_MAP:
        return put_pairs(f, in);
    }
}

static void put_table(const struct fields *table, const void *in) {
    for (const struct field *f = table->fields; f->name; f++)
        put_field(f, in);
}

/* ---- reading it ---- */

struct cursor {
    const unsigned char *at;
};

static int64_t take_number(struct cursor *c) {
    uint64_t value = 0;
    unsigned shift = 0;
    for (; *c->at & 128; shift += 7)
        value |= (uint64_t)(*c->at++ & 127) << shift;
    value |= (uint64_t)*c->at++ << shift;
    return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

static void take_bytes(struct cursor *c, void *to, size_t len) {
    memcpy(to, c->at, len);
    c->at += len;
}

static void take_text(struct cursor *c, char *to) { take_bytes(c, to, (size_t)take_number(c)); }

static void take_int(struct cursor *c, void *member) {
    int64_t value = take_number(c);
    memcpy(member, &value, sizeof value);
}

static void take_custom(struct cursor *c, const struct field *f, void *member) {
    if (f->codec == &field_epoch) {
        struct epoch *e = member;
        e->generation = take_number(c);
        e->step = take_number(c);
        take_text(c, e->site);
    } else if (f->size == sizeof(int64_t))
        take_int(c, member);
    else
        take_bytes(c, member, f->size);
}

static void take_table(struct cursor *c, const struct fields *table, void *out);

/* One that is not there is left out, so that its fields have their defaults, or it is null, and they are zeros. */
static void take_object(struct cursor *c, const struct field *f, void *member) {
    if (f->flags & FIELD_PRESENCE) {
        bool present = take_number(c) != 0;
        *(bool *)member = present;
        if (!present && !(f->flags & FIELD_NULL_EMPTY))
            field_defaults(f->table, member);
        if (!present)
            return;
    }
    take_table(c, f->table, member);
}

static void take_elements(struct cursor *c, const struct field *f, void *out) {
    char *element = field_at(f, out);
    uint32_t count = (uint32_t)take_number(c);
    field_count_set(f, out, count);
    for (; count > 0; count--, element += f->size) {
        if (f->type != FIELD_TYPE_LIST)
            take_text(c, element);
        if (f->type != FIELD_TYPE_TEXTS)
            take_table(c, f->table, element);
    }
}

static void take_pairs(struct cursor *c, const struct field *f, void *out) {
    struct field_pair *pair = field_at(f, out);
    uint32_t count = (uint32_t)take_number(c);
    field_count_set(f, out, count);
    for (; count > 0; count--, pair++) {
        take_text(c, pair->name);
        take_text(c, pair->value);
    }
}

static void take_field(struct cursor *c, const struct field *f, void *out) {
    void *member = field_at(f, out);
    switch (f->type) {
    case FIELD_TYPE_TEXT:
        return take_text(c, member);
    case FIELD_TYPE_INT:
        return take_int(c, member);
    case FIELD_TYPE_BOOL:
        *(bool *)member = take_number(c) != 0;
        return;
    case FIELD_TYPE_ENUM:
        *(int *)member = (int)take_number(c);
        return;
    case FIELD_TYPE_CUSTOM:
        return take_custom(c, f, member);
    case FIELD_TYPE_OBJECT:
        return take_object(c, f, member);
    case FIELD_TYPE_LIST:
    case FIELD_TYPE_MAP:
    case FIELD_TYPE_TEXTS:
        return take_elements(c, f, out);
    case FIELD_TYPE_TEXT_MAP:
        return take_pairs(c, f, out);
    }
}

static void take_table(struct cursor *c, const struct fields *table, void *out) {
    for (const struct field *f = table->fields; f->name; f++)
        take_field(c, f, out);
}

/* ---- the table of all documents ---- */

/* Documents live as long as the history: their forms lie one after the other. */
static const unsigned char *keep_form(void) {
    static unsigned char *chunk;
    static size_t left;
    if (form.len > left) {
        left = form.len > CHUNK ? form.len : CHUNK;
        chunk = malloc(left);
        if (!chunk)
            abort();
    }
    unsigned char *kept = chunk;
    memcpy(kept, form.at, form.len);
    chunk += form.len;
    left -= form.len;
    return kept;
}

/* Where the document of this form stands, or where it would. */
static uint32_t *slot_of(const struct fields *table, uint64_t hash) {
    uint32_t slot = (uint32_t)hash & (index_size - 1);
    for (; index_slots[slot]; slot = (slot + 1) & (index_size - 1)) {
        const struct document *d = &documents[index_slots[slot]];
        if (d->hash == hash && d->table == table && d->len == form.len && !memcmp(d->form, form.at, form.len))
            break;
    }
    return &index_slots[slot];
}

static void grow_index(void) {
    free(index_slots);
    index_size = index_size ? 2 * index_size : INDEX_FIRST;
    index_slots = rt_alloc(index_size * sizeof *index_slots);
    for (uint32_t i = 1; i <= document_count; i++) {
        uint32_t slot = (uint32_t)documents[i].hash & (index_size - 1);
        while (index_slots[slot])
            slot = (slot + 1) & (index_size - 1);
        index_slots[slot] = i;
    }
}

static uint32_t add_document(const struct fields *table, uint64_t hash) {
    if (++document_count >= document_room) {
        document_room = document_room ? 2 * document_room : INDEX_FIRST;
        documents = realloc(documents, document_room * sizeof *documents);
        if (!documents)
            abort();
    }
    documents[document_count] = (struct document){.hash = hash, .table = table, .form = keep_form(), .len = (uint32_t)form.len, .flaw = form.flaw};
    sim_mix(hash);
    return document_count;
}

static uint32_t document_of(const struct fields *table, const void *in) {
    form.len = 0;
    form.flaw = NULL;
    put_table(table, in);
    if (2 * (document_count + 1) > index_size)
        grow_index();
    uint64_t hash = ideal_hash(form.at, form.len, 0);
    uint32_t *slot = slot_of(table, hash);
    if (!*slot)
        *slot = add_document(table, hash);
    return *slot;
}

static void read_document(const struct document *d, void *out) {
    struct cursor c = {d->form};
    memset(out, 0, d->table->size);
    take_table(&c, d->table, out);
}

int64_t ideal_documents(void) { return document_count; }

/* ---- in the place of rt/field.h's ---- */

void __wrap_field_to_text(const struct fields *table, const void *in, struct strbuf *to) {
    ideal_put_handle(IDEAL_DOCUMENT, document_of(table, in), to);
}

bool __wrap_field_from_json(const struct fields *table, const char *name, struct bytes text, void *out, struct err *err) {
    uint32_t number = ideal_handle(IDEAL_DOCUMENT, text);
    if (!number)
        return __real_field_from_json(table, name, text, out, err);
    if (number > document_count || documents[number].table != table)
        return err_set(err, ERR_INVALID, "%s: is no %s", name, table->name);
    if (documents[number].flaw)
        return err_set(err, ERR_INVALID, "%s: %s: has a value that no reader takes", name, documents[number].flaw);
    read_document(&documents[number], out);
    return true;
}

/* ---- for people ---- */

void ideal_words(struct bytes handle, struct strbuf *to) {
    const char *type;
    if (ideal_envelope_payload(handle, &handle, &type))
        strbuf_addf(to, "signed %s: ", type);
    uint32_t number = ideal_handle(IDEAL_DOCUMENT, handle);
    if (!number || number > document_count) {
        strbuf_add_bytes(to, handle.at, handle.len);
        return;
    }
    RT_AUTO void *value = rt_alloc(documents[number].table->size);
    read_document(&documents[number], value);
    __real_field_to_text(documents[number].table, value, to);
}
