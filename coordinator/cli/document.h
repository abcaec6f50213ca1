/* The documents of explain, slots and history (docs/api.md) as text for people. Pure. */
#ifndef CLI_DOCUMENT_H
#define CLI_DOCUMENT_H
#include "rt/json.h"

void document_explain(const json_t *document, bool colours, struct strbuf *to);
void document_slots(const json_t *document, bool colours, struct strbuf *to);
void document_history(const json_t *document, bool colours, struct strbuf *to);
#endif
