/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of xipsecd's SPD that come and go with SAs (lib/standin.h): while an outbound SA of a
 * child with a dynamic selector is there, a PROTECT rule for what it makes known stands before the
 * DISCARD that stands in for it. Each set of addresses is a child of its own to the programs, so
 * that several peers of one connection have each their own SA: CONN/CHILD for the first,
 * CONN/CHILD/1 and so on for those that are there beside it (no name of the config holds two
 * slashes).
 *
 * Direction of failure: a rule that cannot be put in is a DISCARD still; one that cannot be taken
 * out protects by no SA, which drops, too. Either is tried again.
 */
#ifndef LOADER_STANDINS_H
#define LOADER_STANDINS_H

#include <stdbool.h>
#include "xipsec/sa.h"

struct config;
struct daemon;
struct standins;

/* NULL: no memory. */
struct standins *standins_new(void);
void standins_free(struct standins *standins);

/* The id by which the programs know the child of that SA, or -errno. */
int standins_child_id(struct daemon *d, const struct xipsec_sa *sa);

/* Packets of that child have an outbound SA from now on, or have none. */
void standins_child_up(struct daemon *d, __u32 id, bool up);

/* Another generation is open: before its SAs move there. */
void standins_move(struct daemon *d);

/* Makes all rules of SAs anew, by the config: after the policies were switched, or where it could
 * not be done before. */
void standins_sync(struct daemon *d);

/* The editor of the SPD in force that is kept open here; it is not to be closed. 0 or -errno. */
struct spd_editor;
int standins_editor(struct daemon *d, struct spd_editor **out);

/* The same, where something is left to do: call it now and then. */
void standins_again(struct daemon *d);

/* Takes away the SAs whose child's addresses are in `config` now, which is to be taken over, and
 * which share their child with another peer's. */
void standins_withdraw(struct daemon *d, const struct config *config);

#endif
