/* Between the two halves of streaming: who is connected (postgres_receiver.c), and what passes (postgres_stream.c). */
#ifndef SIM_POSTGRES_STREAM_H
#define SIM_POSTGRES_STREAM_H
#include "tests/sim/postgres_inner.h"

bool stream_link(const struct postgres *a, const struct postgres *b); /* TCP needs both directions */
void stream_begin(struct stream *s);
void stream_break(struct stream *s);       /* the walreceiver ends */
void receiver_again(struct postgres *to);  /* it tries once more, after wal_retrieve_retry_interval */
void receiver_refused(struct postgres *to, const char *reason);
void receiver_learns_history(struct postgres *to, const struct wal *tip); /* the history file of a newer timeline is fetched */
#endif
