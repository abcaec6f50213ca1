/* Which rules of the production tables have decided something. */
#ifndef SIM_RUN_RULES_H
#define SIM_RUN_RULES_H
#include <stdbool.h>
#include <stddef.h>
void rules_open(int workers); /* before the workers are forked */
void rules_use(int worker);   /* decisions of this process count there */
void rules_list(void);        /* prints all of them: id, name, sentence */
void rules_report(void);      /* prints how often each has decided, and those that never did */
void rules_show_reached(void); /* prints which have */
void rules_forget(void);
/* Has every rule decided that is left to this kept story? Else `missing` names those that have not. */
bool rules_story_reached(const char *story, char *missing, size_t size);
bool rules_stories_exist(bool (*is_kept)(const char *story)); /* is each story kept that a rule is left to? */
#endif
