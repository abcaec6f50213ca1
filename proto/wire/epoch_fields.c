/* Epochs in documents: "1.0@ams", the zero epoch as null or "". */
#include "wire/epoch.h"
#include "rt/str.h"
#include <string.h>

static bool parse_epoch(const char *text, void *out, struct err *err) {
    struct epoch *e = out;
    memset(e, 0, sizeof *e);
    if (text[0] == '\0' || epoch_parse(text, e)) return true;
    return err_set(err, ERR_INVALID, "\"%s\" is not an epoch like 1.0@ams", text);
}

static void format_epoch(const void *in, char *to, size_t size) {
    char text[EPOCH_TEXT_MAX];
    epoch_format(in, text);
    str_copy(to, size, text);
}

const struct field_codec field_epoch = {
    .parse = parse_epoch, .format = format_epoch, .wants = "an epoch, like 1.0@ams"};
