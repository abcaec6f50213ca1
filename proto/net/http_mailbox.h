/* What the two threads of the HTTP server hand each other: letters to the loop thread, answers back. Every function
 * may be called from either thread; nothing here knows libevent or a socket. */
#ifndef NET_HTTP_MAILBOX_H
#define NET_HTTP_MAILBOX_H
#include "net/http_server.h"

struct http_mailbox;

/* An answer on its way back, owned by whoever took it. */
struct http_mail_answer {
    uint64_t id; /* of the letter */
    int status;
    char *content_type; /* NULL: the default */
    struct strbuf body;
    struct http_mail_answer *next;
};

/* At most `max` letters exist at a time: waiting or taken and not yet answered. NULL with ERR_IO without an eventfd. */
struct http_mailbox *http_mailbox_new(size_t max, struct err *err);
void http_mailbox_free(struct http_mailbox *m); /* with what waits; letters taken must have been answered */
int http_mailbox_fd(const struct http_mailbox *m);

/* The mailbox's own empty letter to fill in, then give to put; NULL when it is full. */
struct http_letter *http_mailbox_blank(struct http_mailbox *m);
void http_mailbox_put(struct http_mailbox *m, struct http_letter *letter);
void http_mailbox_discard(struct http_mailbox *m, struct http_letter *letter); /* instead of put */
struct http_letter *http_mailbox_take(struct http_mailbox *m);
/* Takes a letter back that nobody has taken yet, so that it is not acted upon after its sender was told 504. */
void http_mailbox_withdraw(struct http_mailbox *m, uint64_t id);

void http_mailbox_answer(struct http_mailbox *m, struct http_letter *letter, int status, const char *content_type,
                         struct bytes body);
struct http_mail_answer *http_mailbox_next_answer(struct http_mailbox *m);
void http_mail_answer_free(struct http_mail_answer *answer);
#endif
