/* What a route may ask about a request's parameters beyond one by its name. */
#include "net/http_server.h"
#include <event2/keyvalq_struct.h>
#include <sys/queue.h>

const char *http_query_name(const struct http_query *q, size_t index)
{
    const struct evkeyvalq *parameters = q->query_parameters;
    const struct evkeyval *at;
    TAILQ_FOREACH(at, parameters, next)
        if (index-- == 0)
            return at->key;
    return NULL;
}
