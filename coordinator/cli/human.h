/* Numbers and texts as people read them. */
#ifndef CLI_HUMAN_H
#define CLI_HUMAN_H
#include "rt/json.h"

#define HUMAN_MAX 1024
/* Without control characters. Good until the eighth call after this one: for the arguments of one print. */
const char *human(const char *text);
/* The same for a text of several lines, appended without a last newline; further lines are indented by 2. */
void human_lines(const char *text, struct strbuf *to);
/* "16 kB", "1.2 GB"; "?" for JSON null or what is no number. */
const char *human_bytes(const json_t *number);
const char *human_size(int64_t bytes);
/* Seconds as "400 ms", "1.4 s", "12 s", "3 min 20 s", "5 h 10 min", "2 d 3 h"; "?" for null. */
const char *human_seconds(const json_t *number);
const char *human_ms(int64_t ms);
#endif
