/* The models, in the order in which they are run. */
#ifndef PAPER_MODELS_H
#define PAPER_MODELS_H

#include "walk.h"

extern const struct walk_model model_lease;    /* lease.c: 1.1 to 1.6 */
extern const struct walk_model model_restored; /* lease.c: 1.5, 1.6, a store put back */
extern const struct walk_model model_failsafe; /* lease.c: 1.7, 1.8, with the store out of reach */
extern const struct walk_model model_manual_two;   /* manual.c: 2.5, 2.6, 2.8 */
extern const struct walk_model model_manual_to_and_fro;
extern const struct walk_model model_manual_three;
extern const struct walk_model model_leases; /* automatic.c: 2.1 to 2.5 */
extern const struct walk_model model_safe;   /* automatic.c: 2.3, 4.5 */
extern const struct walk_model model_safe_again;
extern const struct walk_model model_safe_three;
extern const struct walk_model model_swapping; /* voters.c: 2.7 */
extern const struct walk_model model_shrinking;
extern const struct walk_model model_modes; /* modes.c: 2.6h */
extern const struct walk_model model_birth; /* birth.c: 3.8 */

#endif
