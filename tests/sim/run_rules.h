/* Which rules of the production tables have decided something. */
#ifndef SIM_RUN_RULES_H
#define SIM_RUN_RULES_H
void rules_open(int workers); /* before the workers are forked */
void rules_use(int worker);   /* decisions of this process count there */
void rules_list(void);        /* prints all of them: id, name, sentence */
void rules_report(void);      /* prints how often each has decided, and those that never did */
#endif
