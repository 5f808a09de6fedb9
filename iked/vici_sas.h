/* SPDX-License-Identifier: BSD-2-Clause */
/* IKE SAs and their children as VICI lists them, key by key as strongSwan does. */
#ifndef IKED_VICI_SAS_H
#define IKED_VICI_SAS_H

#include "iked/engine.h"
#include "lib/vici_msg.h"

/* What xipsecd counted of one of a child's SAs. */
struct vici_usage {
	__u64 bytes, packets;
	__u64 idle; /* seconds since the last packet; ~0: none yet */
};

/* By the SA's name at xipsecd; false: not known, nothing is written of it. */
struct vici_usages {
	bool (*find)(void *ctx, const char *name, struct vici_usage *out);
	void *ctx;
};

/* Which SAs a message means: ike, child, ike-id, child-id. `match` looks at the texts here. */
struct vici_names {
	char ike[CONN_NAME_LEN], child[CONN_NAME_LEN];
	struct engine_match match;
};

void vici_names_read(struct bytes message, struct vici_names *out);

/* The section of one IKE SA, "CONN { ... child-sas { NAME-ID { ... } } }". `only`: of that child
 * alone (by name or id, 0 and NULL: all). `usages` NULL: no counters. */
void vici_put_ike(struct vici_writer *w, const struct ike_sa *ike, const struct engine_match *only,
		  const struct vici_usages *usages);

/* How many of its SAs fit: itself, or with a child in `match` its children. */
unsigned int vici_matches(const struct ike_sa *ike, const struct engine_match *match);

/* Does it fit? `noblock` and other keys of the request do not count. */
bool vici_match_ike(const struct ike_sa *ike, const struct engine_match *match);

/* Events. What stands in ike-updown; ike-rekey: `old` and `ike` beside each other. */
void vici_put_ike_brief(struct vici_writer *w, const struct ike_sa *ike);
void vici_put_ike_rekey(struct vici_writer *w, const struct ike_sa *old, const struct ike_sa *ike);
/* child-updown: its IKE SA with this child alone. child-rekey: `old` and `child` beside each other.
 */
void vici_put_child_brief(struct vici_writer *w, const struct child_sa *child);
void vici_put_child_rekey(struct vici_writer *w, const struct child_sa *old,
			  const struct child_sa *child);

#endif
