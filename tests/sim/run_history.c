/* One history in a child process: whatever it does (fail, crash, hang, eat memory), the runner lives on and knows. */
#include "rt/str.h"
#include "tests/sim/run.h"
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define HISTORY_SECONDS 60 /* of real time; a usual one takes a tenth of a second */
#define HISTORY_MEMORY ((rlim_t)3 << 30)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

void __gcov_dump(void) __attribute__((weak)); /* there in a build for coverage only */

void history_open(void) {
    sim_result = mmap(NULL, sizeof *sim_result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sim_result == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
}

/* ---- in the child ---- */

static void fail_with(const char *invariant, const char *text) {
    sim_result->failed = true;
    sim_result->at = sim_now;
    sim_result->events = sim_events();
    str_copy(sim_result->invariant, sizeof sim_result->invariant, invariant);
    str_copy(sim_result->text, sizeof sim_result->text, text);
}

/* The history is stuck inside one event: what it stands in is left as it is. */
static void on_alarm(int number) {
    (void)number;
    const struct process *p = process_self();
    fail_with("I25 hang", p ? p->name : "no process runs");
    _exit(1);
}

static void limit(void) {
    struct rlimit no_core = {0, 0}, memory = {HISTORY_MEMORY, HISTORY_MEMORY};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &no_core);
    if (!SANITIZED)
        setrlimit(RLIMIT_AS, &memory);
    signal(SIGALRM, on_alarm);
    alarm(HISTORY_SECONDS);
}

/* Heap and mappings begin elsewhere, and fresh memory is not zero. */
static void move_layout(uint64_t seed) {
    size_t size = 4096 * (size_t)(seed % 251 + 1) + 16 * (size_t)(seed % 13);
    mallopt(M_PERTURB, 0x5a);
    char *heap = malloc(size % 100000 + 48), *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (heap && map != MAP_FAILED)
        heap[0] = map[0] = 1; /* both stay for the child's life */
}

__attribute__((noreturn)) static void play(const struct script *p, const struct manner *how) {
    limit();
    if (how->other_layout)
        move_layout(p->seed);
    if (how->story_fd)
        dup2(how->story_fd, STDOUT_FILENO);
    sim_telling = how->telling;
    world_play(p);
    sim_result->at = sim_now;
    sim_result->events = sim_events();
    sim_result->fingerprint = sim_fingerprint();
    fflush(stdout);
    if (__gcov_dump)
        __gcov_dump();
    _exit(0);
}

/* ---- in the runner ---- */

static void note_death(int status) {
    char text[96];
    if (!WIFSIGNALED(status) && (WEXITSTATUS(status) == 0 || sim_result->failed))
        return;
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, sizeof text, "the process ended with %d", WEXITSTATUS(status));
    fail_with("crash", text);
}

void history_play(const struct script *p, const struct manner *how, struct sim_result *out) {
    int status = 0;
    memset(sim_result, 0, sizeof *sim_result);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        play(p, how);
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("fork");
        exit(2);
    }
    note_death(status);
    *out = *sim_result;
}

/* ---- determinism ---- */

static FILE *story_of(const struct script *p, bool other_layout) {
    struct sim_result unused;
    FILE *story = tmpfile();
    if (!story) {
        perror("tmpfile");
        exit(2);
    }
    history_play(p, &(struct manner){.telling = true, .story_fd = fileno(story), .other_layout = other_layout}, &unused);
    rewind(story);
    return story;
}

static void tell_where_they_part(const struct script *p, bool other_layout, char *to, size_t size) {
    FILE *first = story_of(p, false), *second = story_of(p, other_layout);
    char a[512] = "", b[512] = "";
    int line = 0;
    bool same = true;
    while (same) {
        bool more = fgets(a, sizeof a, first) != NULL, too = fgets(b, sizeof b, second) != NULL;
        line++;
        if (!more && !too)
            break;
        same = more == too && str_eq(a, b);
    }
    a[strcspn(a, "\n")] = b[strcspn(b, "\n")] = 0;
    if (same)
        snprintf(to, size, "%s: the stories are the same, the fingerprints are not", other_layout ? "other addresses" : "played twice");
    else
        snprintf(to, size, "%s: line %d is \"%.200s\" and \"%.200s\"", other_layout ? "other addresses" : "played twice", line, a, b);
    fclose(first);
    fclose(second);
}

static bool is_same(const struct sim_result *a, const struct sim_result *b) {
    return a->failed == b->failed && a->fingerprint == b->fingerprint && a->events == b->events && a->at == b->at && str_eq(a->text, b->text);
}

void history_play_again(const struct script *p, struct sim_result *out) {
    struct sim_result again;
    history_play(p, &(struct manner){0}, out);
    for (int other = 0; other <= 1 && !str_eq(out->invariant, "I25 hang"); other++) {
        history_play(p, &(struct manner){.other_layout = other}, &again);
        if (is_same(out, &again))
            continue;
        out->failed = true;
        str_copy(out->invariant, sizeof out->invariant, "I0 deterministic");
        tell_where_they_part(p, other, out->text, sizeof out->text);
        return;
    }
}
