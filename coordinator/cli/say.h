/* How a command says things: results to stdout, refusals with their cure, progress, and the one question it may ask.
 * With -o json stdout gets exactly one document, whatever happens. */
#ifndef CLI_SAY_H
#define CLI_SAY_H
#include "coordinator/cli/cli.h"
#include "rt/json.h"

/* Prints a document (given away) as JSON. */
void say_document(const struct cli *c, json_t *document);
/* Progress and notices: text to stdout for people; nothing with -o json. */
void say(const struct cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A notice on stderr, for people and scripts alike (with -o json as a JSON line {"notice": ...}). */
void say_notice(const struct cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A progress line on stderr, with -o json only. Gives `line` away. */
void say_progress(const struct cli *c, json_t *line);

/* Why nothing, or not all, was done: {"error": {...}} on stdout with -o json, else sentences on stderr. Returns `exit`.
 * `code` is the word for programs, `cure` may be NULL. */
int say_refusal(const struct cli *c, int exit, const char *code, const char *cure, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The same with an error object ({"code", "message", "checks", "cure", "operation"}) that somebody else made. */
int say_refused(const struct cli *c, int exit, const json_t *error);
/* A new error object; `cure` may be NULL. */
json_t *say_error(const char *code, const char *message, const char *cure);

/* Asks "QUESTION [y/N]" on a terminal unless --yes was given. False: said so already, end with *exit (3). */
bool say_consent(const struct cli *c, const char *question, int *exit);
/* May a terminal show colours? */
bool say_colours(const struct cli *c);
#endif
