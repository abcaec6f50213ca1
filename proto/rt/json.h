/* JSON by jansson, the one place that includes it. Inputs are strict: duplicate keys refused, depth and size bounded,
 * nothing after the document. */
#ifndef RT_JSON_H
#define RT_JSON_H
#include "rt/err.h"
#include "rt/str.h"
#include <jansson.h>

#define JSON_INPUT_MAX (4u << 20)
#define JSON_DEPTH_MAX 32

static inline void json_auto_(json_t **j) { json_decref(*j); }
#define JSON_AUTO __attribute__((cleanup(json_auto_))) json_t

/* NULL with err (ERR_INVALID "line:column: ...") when the text is not one JSON object or array within the limits. */
json_t *json_parse(struct bytes text, struct err *err);
/* Compact, keys in insertion order, real numbers with 15 significant digits; appended. */
void json_write(const json_t *json, struct strbuf *to);
void json_write_pretty(const json_t *json, struct strbuf *to); /* indented by 2, with a newline at the end */
/* Convenience readers: absent, null or of another type gives the default. */
const char *json_text(const json_t *object, const char *key, const char *otherwise);
int64_t json_int(const json_t *object, const char *key, int64_t otherwise);
bool json_bool(const json_t *object, const char *key, bool otherwise);
json_t *json_text_or_null(const char *text); /* JSON null for NULL or "" */
/* A JSON string for any text: bytes that are not UTF-8 become '?', where json_string() would give NULL. */
json_t *json_text_safe(const char *text);
#endif
