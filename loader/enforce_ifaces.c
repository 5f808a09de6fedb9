// SPDX-License-Identifier: BSD-2-Clause
/* The map ifaces: what the programs know of the interfaces that they run on, and of VLANs above. */
#include "loader/enforce.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include "lib/log.h"

static const struct iflist_entry *link_by_index(const struct session *s, __u32 ifindex)
{
	for (unsigned int i = 0; i < s->n_links; i++) {
		if (s->links[i].ifindex == ifindex)
			return &s->links[i];
	}
	return NULL;
}

static bool next_iface(int map, __u32 *ifindex, bool first, struct xipsec_iface *iface)
{
	__u32 next;

	while (!bpf_map_get_next_key(map, first ? NULL : ifindex, &next)) {
		*ifindex = next;
		first = false;
		if (!bpf_map_lookup_elem(map, ifindex, iface))
			return true;
	}
	return false;
}

static int free_slot(int map)
{
	struct xipsec_iface iface;
	__u32 used = 0, ifindex = 0;

	for (bool more = next_iface(map, &ifindex, true, &iface); more;
	     more = next_iface(map, &ifindex, false, &iface)) {
		if (iface.slot < XIPSEC_SLOTS_MAX)
			used |= 1U << iface.slot;
	}
	for (int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++) {
		if (!(used >> slot & 1))
			return slot;
	}
	return -ENOSPC;
}

/* What a full hash map answers is no sentence. */
static const char *map_why(int err)
{
	static char text[120];

	if (err != -E2BIG)
		return strerror(-err);
	snprintf(text, sizeof(text),
		 "%d interfaces and VLANs on them are there, the most there can be: take some "
		 "away",
		 XIPSEC_IFACES_MAX);
	return text;
}

/* How many there are. Those that have no room are not ours for the programs: closed. */
static unsigned int set_macs(const struct session *s, __u32 ifindex, struct xipsec_iface *iface)
{
	unsigned int n;

	memset(iface->mac, 0, sizeof(iface->mac));
	n = iflist_macs(s->links, s->n_links, ifindex, iface->mac, XIPSEC_IFACE_MACS);
	iface->n_macs = n < XIPSEC_IFACE_MACS ? n : XIPSEC_IFACE_MACS;
	return n;
}

static void tell_too_many(const struct iflist_entry *link, unsigned int n_macs)
{
	if (n_macs > XIPSEC_IFACE_MACS)
		log_warn("%s: it and the VLANs and macvlans on it have %u MACs, %d are taken; "
			 "frames to the others count as foreign_mac: use fewer macvlans",
			 link->name, n_macs, XIPSEC_IFACE_MACS);
}

static bool has_programs(void *ctx, unsigned int ifindex)
{
	const struct session *s = ctx;
	struct xipsec_iface iface;

	return !bpf_map_lookup_elem(s->gen.dp.ifaces, &ifindex, &iface) && !iface.vlan;
}

static void sweep_vlans(struct session *s)
{
	struct xipsec_iface iface;
	__u32 ifindex = 0;
	bool more = next_iface(s->gen.dp.ifaces, &ifindex, true, &iface);

	while (more) {
		bool gone = iface.vlan && !link_by_index(s, ifindex);

		if (gone)
			bpf_map_delete_elem(s->gen.dp.ifaces, &ifindex);
		/* Behind a deleted key the walk begins anew. */
		more = next_iface(s->gen.dp.ifaces, &ifindex, gone, &iface);
	}
}

/* Routes name VLANs, programs run on what is below: the map tells them that it is the same way. An
 * entry of a VLAN that is gone, or of one on an interface that was detached, goes. */
static void refresh_vlans(struct session *s)
{
	sweep_vlans(s);
	for (unsigned int i = 0; i < s->n_links; i++) {
		const struct iflist_entry *link = &s->links[i], *base;
		struct xipsec_iface below = {0}, before;
		bool known;

		if (!link->vlan || has_programs(s, link->ifindex))
			continue;
		known = !bpf_map_lookup_elem(s->gen.dp.ifaces, &link->ifindex, &before);
		base = iflist_vlan_base(s->links, s->n_links, link, has_programs, s);
		if (!base || bpf_map_lookup_elem(s->gen.dp.ifaces, &base->ifindex, &below)) {
			if (known)
				bpf_map_delete_elem(s->gen.dp.ifaces, &link->ifindex);
			continue;
		}
		below.vlan = 1;
		memset(below.mac, 0, sizeof(below.mac));
		below.n_macs = 0;
		if (known && !memcmp(&below, &before, sizeof(below)))
			continue;
		if (bpf_map_update_elem(s->gen.dp.ifaces, &link->ifindex, &below, BPF_ANY))
			log_error("%s: the map ifaces takes no entry, so packets that its routes "
				  "protect are dropped: %s",
				  link->name, map_why(-errno));
	}
}

void enforce_refresh(struct session *s)
{
	struct xipsec_iface before, iface;
	unsigned int n_macs;

	refresh_vlans(s);
	for (unsigned int i = 0; i < s->n_links; i++) {
		const struct iflist_entry *link = &s->links[i];

		if (bpf_map_lookup_elem(s->gen.dp.ifaces, &link->ifindex, &before) || before.vlan)
			continue;
		iface = before;
		n_macs = set_macs(s, link->ifindex, &iface);
		if (!memcmp(&iface, &before, sizeof(iface)))
			continue;
		tell_too_many(link, n_macs);
		if (bpf_map_update_elem(s->gen.dp.ifaces, &link->ifindex, &iface, BPF_EXIST))
			log_error("%s: its new MAC cannot be written to the map ifaces, so what "
				  "comes to that is dropped: %s",
				  link->name, strerror(errno));
		else
			log_info("%s: MACs changed; it takes frames to %u of them", link->name,
				 iface.n_macs);
	}
}

/* Direction of failure: closed, as much as policies are: no rule that asks for an interface matches
 * what comes by this one. */
static __u16 dev_of(const struct session *s, const char *name)
{
	int dev = datapath_dev_id(&s->gen.dp, name);

	if (dev >= 0)
		return (__u16)dev;
	log_error("%s: no policy with `dev` speaks of it: %s", name, datapath_id_why(dev));
	return 0;
}

int enforce_register(struct session *s, struct target *target)
{
	const struct iflist_entry *link = &target->link;
	struct undo_step step = {.kind = UNDO_IFACE,
				 .ifindex = link->ifindex,
				 .new_fd = -1,
				 .old_fd = -1,
				 .map_fd = s->gen.dp.ifaces};
	struct xipsec_iface iface = {.role = target->role};
	int err, slot;

	if (!bpf_map_lookup_elem(s->gen.dp.ifaces, &link->ifindex, &iface) && !iface.vlan &&
	    iface.role == target->role) {
		if (strncmp(iface.name, link->name, sizeof(iface.name)) == 0)
			return 0;
		/* Renamed; the slot is kept by the name, should it be made anew. */
		memset(iface.name, 0, sizeof(iface.name));
		snprintf(iface.name, sizeof(iface.name), "%s", link->name);
		iface.dev = dev_of(s, link->name);
		return bpf_map_update_elem(s->gen.dp.ifaces, &link->ifindex, &iface, BPF_EXIST)
			       ? -errno
			       : 0;
	}
	slot = free_slot(s->gen.dp.ifaces);
	if (slot < 0) {
		log_error("%s: %d interfaces are attached already, the most there can be: `xipsec "
			  "detach` one",
			  link->name, XIPSEC_SLOTS_MAX);
		return slot;
	}
	memset(&iface, 0, sizeof(iface));
	iface.role = target->role;
	iface.slot = (__u32)slot;
	iface.dev = dev_of(s, link->name);
	snprintf(iface.name, sizeof(iface.name), "%s", link->name);
	tell_too_many(link, set_macs(s, link->ifindex, &iface));
	err = undo_note(&s->undo, &step);
	if (err)
		return err;
	if (bpf_map_update_elem(s->gen.dp.ifaces, &link->ifindex, &iface, BPF_ANY)) {
		err = -errno;
		log_error("%s: the map ifaces takes no entry: %s", link->name, map_why(err));
		undo_drop_last(&s->undo);
		return err;
	}
	target->registered = true;
	refresh_vlans(s);
	return 0;
}

void enforce_forget(struct session *s, const struct target *target)
{
	bpf_map_delete_elem(s->gen.dp.ifaces, &target->link.ifindex);
}

void enforce_forget_gone(struct session *s)
{
	int map = s->gen.dp.ifaces;
	__u32 gone[XIPSEC_SLOTS_MAX * 2], ifindex = 0;
	struct xipsec_iface iface;
	unsigned int n = 0;

	for (bool more = next_iface(map, &ifindex, true, &iface); more;
	     more = next_iface(map, &ifindex, false, &iface)) {
		if (!link_by_index(s, ifindex) && n < sizeof(gone) / sizeof(gone[0]))
			gone[n++] = ifindex;
	}
	for (unsigned int i = 0; i < n; i++) {
		const struct iflist_entry *anew;

		if (bpf_map_lookup_elem(map, &gone[i], &iface))
			continue;
		iface.name[sizeof(iface.name) - 1] = 0;
		anew = iface.vlan ? NULL : session_link(s, iface.name);
		if (anew)
			bpf_map_update_elem(map, &anew->ifindex, &iface, BPF_NOEXIST);
		bpf_map_delete_elem(map, &gone[i]);
	}
	enforce_refresh(s);
}
