/* Memory that is there or the process is not: a daemon that cannot get a few kilobytes cannot keep its promises, and
 * its supervisor restarts it. */
#include "rt/str.h"
#include <stdlib.h>
#include <string.h>

void *rt_alloc(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    if (!memory) abort();
    return memory;
}

char *rt_strdup(const char *text) {
    char *copy = strdup(text);
    if (!copy) abort();
    return copy;
}

void rt_free(void *memory) {
    free(memory);
}

void rt_free_cleanup(void *pointer_to_pointer) {
    void *memory;
    memcpy(&memory, pointer_to_pointer, sizeof memory); /* the pointer may be of any type, so no dereference as void * */
    free(memory);
}
