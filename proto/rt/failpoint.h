/* Points at which a test may end the process, to prove that it goes on from there: PGREGENT_FAILPOINT=NAME ends it with
 * exit status 86 when that point is reached, NAME:N at the Nth time. Costs one comparison otherwise. */
#ifndef RT_FAILPOINT_H
#define RT_FAILPOINT_H

#define FAILPOINT_STATUS 86
/* Names are literals; every point that is linked in can be listed. */
#define FAILPOINT(name)                                                                                                \
    do {                                                                                                               \
        static const char *const point_ __attribute__((section("failpoints"), used)) = (name);                        \
        failpoint_reach(point_);                                                                                       \
    } while (0)
void failpoint_reach(const char *name);
void failpoint_list(void); /* to stdout, one a line */
#endif
