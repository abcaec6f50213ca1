/* Stacks for coroutines, and going from one to another. On x86-64 a few instructions; elsewhere ucontext, which asks the
 * kernel for the signal mask at each switch and costs ten times as much. Stacks are used again, newest first. */
#include "tests/sim/sim_inner.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if !defined(__x86_64__) || defined(SIM_UCONTEXT)
#define BY_UCONTEXT 1
#include <ucontext.h>
#else
#define BY_UCONTEXT 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBERS 1
#endif
#endif
#ifndef FIBERS
#define FIBERS 0
#endif
#if FIBERS
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/* The large locals of the daemons lie here (LARGE_LOCAL). Only what is touched costs memory. */
#define STACK_SIZE ((size_t)8 << 20)

struct stack {
    char *low; /* above the guard page */
    void (*entry)(void);
    struct stack *next_free;
#if BY_UCONTEXT
    ucontext_t loop, own;
#else
    void *loop, *own; /* stack pointers; all else that must be kept lies there */
#endif
#if FIBERS
    void *fake_loop, *fake_own;
    const void *loop_low;
    size_t loop_size;
#endif
};
static struct stack *free_stacks;

/* ---- memory ---- */

static struct stack *make(void) {
    struct stack *s = calloc(1, sizeof *s);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *at = mmap(NULL, STACK_SIZE + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (!s || at == MAP_FAILED || mprotect(at, page, PROT_NONE) != 0)
        abort();
    s->low = at + page;
    return s;
}

void stack_give_back(struct stack *s) {
    s->next_free = free_stacks;
    free_stacks = s;
#if FIBERS
    __asan_unpoison_memory_region(s->low, STACK_SIZE); /* frames that never returned have left their marks */
#endif
}

/* ---- switching ---- */

#if FIBERS
static void fiber_goes(void **keep, const void *low, size_t size) { __sanitizer_start_switch_fiber(keep, low, size); }
static void fiber_comes(void *kept, const void **from, size_t *size) { __sanitizer_finish_switch_fiber(kept, from, size); }
#endif

static struct stack *entering;
__attribute__((noreturn)) static void begin_on_own_stack(void) {
    struct stack *s = entering;
#if FIBERS
    fiber_comes(NULL, &s->loop_low, &s->loop_size);
#endif
    s->entry();
    abort();
}

#if BY_UCONTEXT
static void prepare(struct stack *s) {
    getcontext(&s->own);
    s->own.uc_stack.ss_sp = s->low;
    s->own.uc_stack.ss_size = STACK_SIZE;
    s->own.uc_link = NULL;
    makecontext(&s->own, begin_on_own_stack, 0);
}
static void go_in(struct stack *s) { swapcontext(&s->loop, &s->own); }
static void go_out(struct stack *s) { swapcontext(&s->own, &s->loop); }
#else
/* Keeps on this stack what a call must keep (System V ABI, 3.2.1), and goes on with what lies on the other one. */
void sim_stack_switch(void **here, void *there);
__asm__(".text\n"
        ".type sim_stack_switch, @function\n"
        "sim_stack_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size sim_stack_switch, . - sim_stack_switch\n");
static void prepare(struct stack *s) {
    void **top = (void **)(void *)(s->low + STACK_SIZE - 64); /* aligned to 16; the entry's return address is none */
    *--top = NULL;
    *--top = (void *)(uintptr_t)begin_on_own_stack;
    for (int i = 0; i < 6; i++)
        *--top = NULL;
    s->own = top;
}
static void go_in(struct stack *s) { sim_stack_switch(&s->loop, s->own); }
static void go_out(struct stack *s) { sim_stack_switch(&s->own, s->loop); }
#endif

struct stack *stack_take(void (*entry)(void)) {
    struct stack *s = free_stacks;
    if (s)
        free_stacks = s->next_free;
    else
        s = make();
    s->entry = entry;
    prepare(s);
#if FIBERS
    s->fake_own = NULL;
#endif
    return s;
}

void stack_enter(struct stack *s) {
    entering = s;
#if FIBERS
    fiber_goes(&s->fake_loop, s->low, STACK_SIZE);
#endif
    go_in(s);
#if FIBERS
    fiber_comes(s->fake_loop, NULL, NULL);
#endif
}

void stack_leave(struct stack *s) {
#if FIBERS
    fiber_goes(&s->fake_own, s->loop_low, s->loop_size);
#endif
    go_out(s);
#if FIBERS
    fiber_comes(s->fake_own, &s->loop_low, &s->loop_size);
#endif
}

void stack_leave_for_ever(struct stack *s) {
#if FIBERS
    fiber_goes(NULL, s->loop_low, s->loop_size);
#endif
    go_out(s);
    abort();
}
