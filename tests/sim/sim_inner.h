/* What the files of the kernel share; models and worlds use sim.h. */
#ifndef SIM_INNER_H
#define SIM_INNER_H
#include "tests/sim/sim.h"

uint64_t sim_hash_text(const char *text); /* FNV-1a */
uint64_t sim_scramble(uint64_t x);        /* a bijection that leaves no bit as it was (splitmix64) */

/* sim_stack.c: a stack of its own for a coroutine, and going over to it and back. */
struct stack;
struct stack *stack_take(void (*entry)(void)); /* stack_enter begins at entry, which must not return */
void stack_give_back(struct stack *s);         /* what ran on it never goes on */
void stack_enter(struct stack *s);             /* from the loop; returns when it leaves */
void stack_leave(struct stack *s);             /* from the coroutine back to the loop; returns at the next stack_enter */
void stack_leave_for_ever(struct stack *s);

/* Chance of the current life of a process: another one in each life. */
struct dice *process_dice(struct process *p);

/* kernel_files.c */
void files_process_ended(struct process *p); /* its locks are free */
#endif
