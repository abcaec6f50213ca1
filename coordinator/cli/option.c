/* Parsing by hand and not by getopt_long: abbreviations are refused (a script's --c must not change its meaning when an
 * option is added), and a wrong one is answered with the right one. */
#include "coordinator/cli/option.h"
#include "coordinator/cli/habit.h"
#include "rt/field.h"
#include <stdio.h>
#include <string.h>

enum option_type { TYPE_FLAG, TYPE_TEXT, TYPE_TIME, TYPE_LATER };
struct option {
    const char *name;
    char letter;
    enum option_type type;
    unsigned bit;
    size_t offset;
    const char *value, *doc;
};
static const struct option options[] = {
#define X(symbol, text, letter_, member, doc_)                                                                         \
    {.name = text, .letter = (letter_), .type = TYPE_FLAG, .bit = (symbol), .offset = offsetof(struct option_values, member), .doc = (doc_)},
    OPTION_FLAGS(X)
#undef X
#define X(symbol, text, letter_, value_, member, doc_)                                                                 \
    {.name = text, .letter = (letter_), .type = TYPE_TEXT, .bit = (symbol), .offset = offsetof(struct option_values, member), .value = (value_), .doc = (doc_)},
    OPTION_TEXTS(X)
#undef X
#define X(symbol, text, letter_, value_, member, doc_)                                                                 \
    {.name = text, .letter = (letter_), .type = TYPE_TIME, .bit = (symbol), .offset = offsetof(struct option_values, member), .value = (value_), .doc = (doc_)},
    OPTION_TIMES(X)
#undef X
#define X(symbol, text) {.name = text, .type = TYPE_LATER, .bit = (symbol)},
    OPTION_LATER(X)
#undef X
};
#define OPTION_COUNT (sizeof options / sizeof *options)

static const struct option *by_name(const char *name, size_t len) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strlen(options[i].name) == len && strncmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

static const struct option *by_letter(char letter) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options[i].letter == letter)
            return &options[i];
    return NULL;
}

static bool unknown(const char *given, struct err *err) {
    const char *instead = habit_option(given);
    if (instead)
        return err_set(err, ERR_INVALID, "there is no %s here: %s", given, instead);
    const char *names[OPTION_COUNT];
    for (size_t i = 0; i < OPTION_COUNT; i++)
        names[i] = options[i].name;
    const char *near = str_nearest(given + strspn(given, "-"), names, OPTION_COUNT);
    return err_set(err, ERR_INVALID, "unknown option %s%s%s%s", given, near ? ": did you mean --" : "", near ? near : "", near ? "?" : "");
}

static bool set_time(const struct option *o, struct option_values *values, const char *text, struct err *err) {
    int64_t ms;
    struct err wanted = {0};
    if (!field_duration_ms.parse(text, &ms, &wanted))
        return err_set(err, ERR_INVALID, "--%s wants %s, not \"%s\"", o->name, field_duration_ms.wants, text);
    memcpy((char *)values + o->offset, &ms, sizeof ms);
    return true;
}

static bool set_text(const struct option *o, struct option_values *values, const char *text, struct err *err) {
    memcpy((char *)values + o->offset, &text, sizeof text);
    if (o->bit != OPTION_OUTPUT)
        return *text || err_set(err, ERR_INVALID, "--%s is empty", o->name);
    values->json = str_eq(text, "json");
    return values->json || str_eq(text, "text") || err_set(err, ERR_INVALID, "--output is text or json, not \"%s\"", text);
}

static bool set(const struct option *o, struct option_values *values, const char *text, struct err *err) {
    if ((values->given & o->bit) && o->type != TYPE_FLAG)
        return err_set(err, ERR_INVALID, "--%s is given twice", o->name);
    values->given |= o->bit;
    if (o->type == TYPE_FLAG)
        memcpy((char *)values + o->offset, &(bool){true}, sizeof(bool));
    return o->type == TYPE_FLAG || (o->type == TYPE_TEXT ? set_text(o, values, text, err) : set_time(o, values, text, err));
}

struct scan {
    char **argv;
    int argc, at;
};

/* The option of one argument, and the value that stands in it ("--to=fra", "-ojson"), NULL if none. */
static const struct option *recognise(const char *text, const char **value) {
    if (text[1] != '-') {
        *value = text[2] ? text + 2 : NULL;
        return by_letter(text[1]);
    }
    size_t len = strcspn(text + 2, "=");
    *value = text[2 + len] ? text + 2 + len + 1 : NULL;
    return by_name(text + 2, len);
}

static bool take(struct scan *s, struct option_values *values, struct err *err) {
    const char *text = s->argv[s->at], *value;
    const struct option *o = recognise(text, &value);
    if (!o)
        return unknown(text, err);
    if (o->type == TYPE_LATER)
        return err_set(err, ERR_UNSUPPORTED, "--%s is not built yet", o->name);
    if (o->type == TYPE_FLAG && value)
        return err_set(err, ERR_INVALID, "--%s takes no value", o->name);
    if (o->type != TYPE_FLAG && !value) {
        if (s->at + 1 >= s->argc)
            return err_set(err, ERR_INVALID, "--%s wants a value: %s", o->name, o->value);
        value = s->argv[++s->at];
    }
    return set(o, values, value, err);
}

bool option_parse(int argc, char **argv, struct option_values *values, const char **words, size_t *word_count, struct err *err) {
    *values = (struct option_values){.deadline_ms = OPTION_NOT_GIVEN, .timeout_ms = OPTION_NOT_GIVEN};
    *word_count = 0;
    bool fine = true, over = false;
    struct err further;
    for (struct scan s = {argv, argc, 1}; s.at < argc; s.at++) {
        const char *text = argv[s.at];
        if (!over && str_eq(text, "--"))
            over = true;
        else if (!over && text[0] == '-' && text[1])
            fine = take(&s, values, fine ? err : &further) && fine; /* goes on: -o json may stand behind the mistake */
        else if (*word_count < OPTION_WORDS_MAX)
            words[(*word_count)++] = text;
        else
            fine = err_set(fine ? err : &further, ERR_INVALID, "more than %d words", OPTION_WORDS_MAX);
    }
    return fine;
}

bool option_check(const struct option_values *values, unsigned taken, const char *command, struct err *err) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if ((values->given & options[i].bit) && !(taken & options[i].bit))
            return err_set(err, ERR_INVALID, "%s takes no --%s", command, options[i].name);
    return true;
}

void option_usage(unsigned set, struct strbuf *to) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];
        if (!(set & o->bit) || o->type == TYPE_LATER)
            continue;
        char left[64], letter[8] = "    ";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
        strbuf_addf(to, "  %-26s %s\n", left, o->doc);
    }
}
