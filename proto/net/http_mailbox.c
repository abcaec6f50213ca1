/* The mailbox between HTTP thread and loop thread: two short queues behind one lock. The eventfd is readable exactly
 * while letters wait, because both change under the lock. */
#include "net/http_mailbox.h"
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct box {
    struct http_letter letter; /* first: the owner holds a pointer to it */
    struct box *next;
};

struct http_mailbox {
    pthread_mutex_t lock;
    size_t max, alive;
    int fd;
    struct box *letters, **letters_end;
    struct http_mail_answer *answers, **answers_end;
};

struct http_mailbox *http_mailbox_new(size_t max, struct err *err) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        err_sys(err, errno, "HTTP server: eventfd of the mailbox");
        return NULL;
    }
    struct http_mailbox *m = rt_alloc(sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    m->max = max;
    m->fd = fd;
    m->letters_end = &m->letters;
    m->answers_end = &m->answers;
    return m;
}

static void box_free(struct box *box) {
    strbuf_free(&box->letter.body);
    rt_free(box);
}

void http_mailbox_free(struct http_mailbox *m) {
    if (!m)
        return;
    for (struct http_letter *letter; (letter = http_mailbox_take(m));)
        http_mailbox_discard(m, letter);
    for (struct http_mail_answer *answer; (answer = http_mailbox_next_answer(m));)
        http_mail_answer_free(answer);
    close(m->fd);
    pthread_mutex_destroy(&m->lock);
    rt_free(m);
}

int http_mailbox_fd(const struct http_mailbox *m) {
    return m->fd;
}

struct http_letter *http_mailbox_blank(struct http_mailbox *m) {
    pthread_mutex_lock(&m->lock);
    bool full = m->alive >= m->max;
    if (!full)
        m->alive++;
    pthread_mutex_unlock(&m->lock);
    return full ? NULL : rt_alloc(sizeof(struct box));
}

void http_mailbox_put(struct http_mailbox *m, struct http_letter *letter) {
    struct box *box = (struct box *)letter;
    pthread_mutex_lock(&m->lock);
    if (!m->letters)
        eventfd_write(m->fd, 1);
    *m->letters_end = box;
    m->letters_end = &box->next;
    pthread_mutex_unlock(&m->lock);
}

void http_mailbox_discard(struct http_mailbox *m, struct http_letter *letter) {
    pthread_mutex_lock(&m->lock);
    m->alive--;
    pthread_mutex_unlock(&m->lock);
    box_free((struct box *)letter);
}

/* Takes *at out of the queue. Under the lock. */
static struct box *unlink_box(struct http_mailbox *m, struct box **at) {
    struct box *box = *at;
    *at = box->next;
    if (m->letters_end == &box->next)
        m->letters_end = at;
    box->next = NULL;
    eventfd_t ignored;
    if (!m->letters)
        eventfd_read(m->fd, &ignored);
    return box;
}

struct http_letter *http_mailbox_take(struct http_mailbox *m) {
    pthread_mutex_lock(&m->lock);
    struct box *box = m->letters ? unlink_box(m, &m->letters) : NULL;
    pthread_mutex_unlock(&m->lock);
    return box ? &box->letter : NULL;
}

void http_mailbox_withdraw(struct http_mailbox *m, uint64_t id) {
    struct box *found = NULL;
    pthread_mutex_lock(&m->lock);
    for (struct box **at = &m->letters; *at; at = &(*at)->next)
        if ((*at)->letter.id == id) {
            found = unlink_box(m, at);
            m->alive--;
            break;
        }
    pthread_mutex_unlock(&m->lock);
    if (found)
        box_free(found);
}

void http_mailbox_answer(struct http_mailbox *m, struct http_letter *letter, int status, const char *content_type,
                         struct bytes body) {
    struct http_mail_answer *answer = rt_alloc(sizeof *answer);
    answer->id = letter->id;
    answer->status = status;
    answer->content_type = content_type ? rt_strdup(content_type) : NULL;
    if (body.len > 0)
        strbuf_add_bytes(&answer->body, body.at, body.len);
    pthread_mutex_lock(&m->lock);
    m->alive--;
    *m->answers_end = answer;
    m->answers_end = &answer->next;
    pthread_mutex_unlock(&m->lock);
    box_free((struct box *)letter);
}

struct http_mail_answer *http_mailbox_next_answer(struct http_mailbox *m) {
    pthread_mutex_lock(&m->lock);
    struct http_mail_answer *answer = m->answers;
    if (answer && !(m->answers = answer->next))
        m->answers_end = &m->answers;
    pthread_mutex_unlock(&m->lock);
    return answer;
}

void http_mail_answer_free(struct http_mail_answer *answer) {
    rt_free(answer->content_type);
    strbuf_free(&answer->body);
    rt_free(answer);
}
