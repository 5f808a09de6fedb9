/* SPDX-License-Identifier: BSD-2-Clause */
/* One interface in a session: its checks, its place in `ifaces`, its two hooks. */
#ifndef LOADER_ENFORCE_H
#define LOADER_ENFORCE_H

#include "loader/session.h"

/* Descriptor of the XDP program of a role; it stays the generation's. */
int enforce_program(const struct generation *gen, enum xipsec_role role);

/* Does the hook run the XDP program of this generation: itself, or in a dispatcher one that works
 * on this generation's maps? */
bool enforce_runs(const struct generation *gen, enum xipsec_role role, const struct xdp_state *xdp);

/* May this interface be attached at all? Nothing is changed; tells why not. */
int enforce_check(struct session *s, const struct target *target);

/* Gives it a slot and an entry in `ifaces` (noted for undo). */
int enforce_register(struct session *s, struct target *target);

/* Writes anew the MACs in `ifaces` that are not those of the links. */
void enforce_refresh(struct session *s);

/* VLAN stripping, TC, XDP (noted for undo; the caller runs it on failure). */
int enforce_hooks(struct session *s, const struct target *target);

/* XDP alone (enforce_xdp.c): in libxdp's dispatcher where kernel and libxdp can do that and nobody
 * wants it otherwise, else as the only program, which is told. *mode: how it is attached. */
int enforce_xdp(struct session *s, const struct target *target, enum xdp_mode *mode);

/* Its entry in `ifaces` goes. */
void enforce_forget(struct session *s, const struct target *target);

/* Entries of interfaces that are no more go; one that was made anew under its old name keeps the
 * slot; then enforce_refresh(). */
void enforce_forget_gone(struct session *s);

/* Takes programs of ours off an interface, whatever their generation. 0, -ENOENT: there are none,
 * -errno. */
int enforce_remove(const struct iflist_entry *link);

#endif
