// SPDX-License-Identifier: BSD-2-Clause
#include "loader/enforce.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/ethtool.h"
#include "lib/log.h"
#include "loader/dispatcher.h"
#include "loader/ports.h"
#include "loader/probe.h"
#include "xipsec/loader.h"

int enforce_program(const struct generation *gen, enum xipsec_role role)
{
	return role == XIPSEC_ROLE_PROTECTED ? gen->red : gen->black;
}

static __u32 map_id(int fd)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

static bool works_on(__u32 prog_id, __u32 wanted_map)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(prog_id);
	__u32 ids[32] = {0};
	struct bpf_prog_info info = {.nr_map_ids = 32, .map_ids = (__u64)(unsigned long)ids};
	__u32 len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return false;
	for (__u32 i = 0; i < info.nr_map_ids && i < 32; i++) {
		if (wanted_map && ids[i] == wanted_map)
			return true;
	}
	return false;
}

bool enforce_runs(const struct generation *gen, enum xipsec_role role, const struct xdp_state *xdp)
{
	if (!xdp->prog_id || xdp->role != role)
		return false;
	if (xdp->dispatcher)
		return xdp->n_ours == 1 && works_on(xdp->prog_id, map_id(gen->dp.ifaces));
	return xdp->prog_id == session_prog_id(enforce_program(gen, role));
}

static int check_driver(const struct session *s, const struct iflist_entry *link)
{
	char driver[32] = "";

	if (s->flags & LOADER_GENERIC)
		return 0;
	ethtool_driver(link->name, driver);
	if (probe_driver_metadata(driver, probe_kernel()))
		return 0;
	log_error("%s: the XDP of driver %s has no metadata area, by which verdicts reach the "
		  "workers; attach it with --generic (slower)",
		  link->name, driver);
	return -EOPNOTSUPP;
}

/* Programs of others that live in a dispatcher can be joined. A dispatcher in which nothing lives
 * any more passes everything: it is replaced where it is what became of ours, and only there. */
static bool may_join(struct session *s, const struct iflist_entry *link,
		     const struct xdp_state *xdp)
{
	if (!xdp->dispatcher)
		return false;
	if (!xdp->n_others)
		return record_find(&s->record, link->name) || session_role_of(link);
	return probe_extension() != PROBE_EXTENSION_NONE && dispatcher_is_pinned(link->ifindex);
}

static void tell_foreign(const struct iflist_entry *link, const struct xdp_state *xdp)
{
	const char *why = "";

	if (xdp->dispatcher)
		why = probe_extension() == PROBE_EXTENSION_NONE
			      ? "this kernel takes no extension programs, by which both could run; "
			      : "its pins below /sys/fs/bpf/xdp are gone, so nothing can join it; ";
	log_error("%s: the XDP program \"%s\" (id %u) is attached there and is not ours; %sit is "
		  "not replaced: take it off first (`%s %s %s`)",
		  link->name, xdp->prog_name, xdp->prog_id, why,
		  xdp->dispatcher ? "xdp-loader unload" : "ip link set dev", link->name,
		  xdp->dispatcher ? "--all" : "xdp off");
}

/* A link that is wider than one frame needs packets in several, which AF_XDP has since Linux 6.6.
 */
static int check_mtu(const struct iflist_entry *link)
{
	unsigned int kernel = probe_kernel();

	if (link->mtu <= PORTS_FRAME_MTU)
		return 0;
	if (!probe_multi_buffer()) {
		log_error("%s: MTU %u is over %d, the most that fits one frame; packets in several "
			  "frames need Linux 6.6 (this is %u.%u): `ip link set %s mtu %d` first",
			  link->name, link->mtu, PORTS_FRAME_MTU, kernel >> 16, kernel >> 8 & 255,
			  link->name, PORTS_FRAME_MTU);
		return -EMSGSIZE;
	}
	if (link->mtu > XIPSEC_MTU_MAX) {
		log_error("%s: MTU %u is over %d, the most that a worker puts together: "
			  "`ip link set %s mtu %d` first",
			  link->name, link->mtu, XIPSEC_MTU_MAX, link->name, XIPSEC_MTU_MAX);
		return -EMSGSIZE;
	}
	return 0;
}

/* A queue beyond has no place in the map xsks: what it brings would be dropped. */
static int check_queues(const struct iflist_entry *link)
{
	int queues = ethtool_queues(link->name);

	if (queues <= XIPSEC_QUEUES_MAX)
		return 0;
	log_error("%s: it has %d receive queues, and %d are the most: `ethtool -L %s combined %d` "
		  "first",
		  link->name, queues, XIPSEC_QUEUES_MAX, link->name, XIPSEC_QUEUES_MAX);
	return -E2BIG;
}

int enforce_check(struct session *s, const struct target *target)
{
	const struct iflist_entry *link = &target->link;
	struct xdp_state xdp;
	enum xipsec_role now;
	int err;

	if (link->loopback) {
		log_error("%s is the loopback: it stays inside this host and takes no role",
			  link->name);
		return -EINVAL;
	}
	if (link->type != ARPHRD_ETHER) {
		log_error("%s has no Ethernet header (link type %u), which the programs read: it "
			  "takes no role",
			  link->name, link->type);
		return -EINVAL;
	}
	err = target->adopted ? 0 : check_mtu(link);
	if (!err && !target->adopted)
		err = check_queues(link);
	if (err)
		return err;
	err = xdp_query(link->ifindex, &xdp);
	if (err) {
		log_error("%s: asking for its XDP program: %s", link->name, strerror(-err));
		return err;
	}
	if (xdp.prog_id && !xdp.role && !may_join(s, link, &xdp)) {
		tell_foreign(link, &xdp);
		return -EBUSY;
	}
	now = session_role_of(link);
	if (now && now != target->role) {
		log_error("%s is attached as %s: `xipsec detach %s` first", link->name,
			  role_name(now), link->name);
		return -EBUSY;
	}
	return now ? 0 : check_driver(s, link);
}

/* ------------------------------------------------------------------ hooks */

/* Tags that the NIC takes off are invisible to XDP: a tagged frame would be judged as an untagged
 * one. */
static int vlan_strip_off(struct session *s, const struct iflist_entry *link)
{
	struct undo_step step = {.kind = UNDO_VLAN_STRIP, .new_fd = -1, .old_fd = -1, .map_fd = -1};
	bool on = false;
	int err = ethtool_vlan_strip(link->name, &on);

	if (err == -EOPNOTSUPP || (!err && !on))
		return 0;
	snprintf(step.ifname, sizeof(step.ifname), "%s", link->name);
	if (!err)
		err = undo_note(&s->undo, &step);
	if (!err)
		err = ethtool_set_vlan_strip(link->name, false);
	if (err) {
		log_error("%s: VLAN tags are stripped on receive, which hides them from XDP, and "
			  "it cannot be switched off (`ethtool -K %s rxvlan off`): %s",
			  link->name, link->name, strerror(-err));
		return err;
	}
	err = 0;
	if (!record_find(&s->record, link->name))
		err = session_note(s, link->name, XIPSEC_ROLE_NONE);
	if (!err)
		record_find(&s->record, link->name)->vlan_strip = true;
	return err;
}

static int hook_place(struct session *s, const struct iflist_entry *link,
		      const struct tc_place *place, int new_fd)
{
	struct undo_step step = {.kind = UNDO_TC,
				 .ifindex = link->ifindex,
				 .tc_point = place->point,
				 .new_fd = new_fd,
				 .map_fd = -1};
	_cleanup_close_ int old_fd = -1;
	struct tc_state now;
	int err = tc_query_place(link->ifindex, place, &now);

	if (err)
		return err;
	if (now.prog_id && now.prog_id == session_prog_id(new_fd))
		return 0;
	if (now.prog_id) {
		old_fd = bpf_prog_get_fd_by_id(now.prog_id);
		if (old_fd < 0)
			return -errno;
	}
	step.old_fd = old_fd;
	step.tc_kind = now.kind;
	if (!now.prog_id)
		step.tc_kind = probe_tcx(link->ifindex) ? TC_KIND_TCX : TC_KIND_CLSACT;
	snprintf(step.ifname, sizeof(step.ifname), "%s", link->name);
	err = undo_note(&s->undo, &step);
	if (err)
		return err;
	err = tc_swap(link->ifindex, place->point, step.tc_kind, new_fd, old_fd);
	if (err) {
		undo_drop_last(&s->undo);
		log_error("%s: attaching %s to TC %s (%s): %s%s", link->name, place->prog_name,
			  place->point == TC_EGRESS ? "egress" : "ingress",
			  tc_kind_name(step.tc_kind), strerror(-err),
			  err == -EEXIST ? "; a filter of priority 1, handle 1 is there and is not "
					   "ours: `tc filter del` it first"
					 : "");
	}
	return err;
}

static int hook_tc(struct session *s, const struct target *target)
{
	int err = 0;

	for (unsigned int i = 0; i < TC_PLACES && !err; i++) {
		if (tc_place[i].role == target->role)
			err = hook_place(s, &target->link, &tc_place[i], s->gen.tc[i]);
	}
	return err;
}

int enforce_hooks(struct session *s, const struct target *target)
{
	enum xdp_mode mode = XDP_MODE_OFF;
	struct xdp_state xdp = {0};
	struct tc_state tc = {0};
	int err = vlan_strip_off(s, &target->link);

	if (!err)
		err = hook_tc(s, target);
	if (!err)
		err = enforce_xdp(s, target, &mode);
	if (err)
		return err;
	tc_query_place(target->link.ifindex, &tc_place[tc_behind(target->role)], &tc);
	xdp_query(target->link.ifindex, &xdp);
	log_info("%s: attached as %s (XDP %s%s, TC %s, %s)", target->link.name,
		 role_name(target->role), xdp_mode_name(mode),
		 xdp.dispatcher ? " in libxdp's dispatcher" : "", tc_kind_name(tc.kind),
		 s->gen.name);
	return 0;
}

int enforce_remove(const struct iflist_entry *link)
{
	struct xdp_state xdp;
	int err = xdp_query(link->ifindex, &xdp), found = 0;

	/* More than once only where a switch in a dispatcher died half-way. */
	while (!err && xdp.prog_id && xdp.role) {
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(xdp.prog_id);

		err = fd < 0 ? -errno : xdp_swap(link->ifindex, xdp.mode, -1, fd);
		if (!err)
			err = xdp_query(link->ifindex, &xdp);
		found = 1;
	}
	/* What became of the dispatcher that ours was in, when its pins were cleared. */
	if (!err && xdp.dispatcher && !xdp.n_others && session_role_of(link)) {
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(xdp.main_id);

		err = fd < 0 ? -errno : xdp_swap(link->ifindex, xdp.mode, -1, fd);
	}
	if (err)
		return err;
	for (unsigned int i = TC_PLACES; i--;) {
		_cleanup_close_ int fd = -1;
		struct tc_state tc;

		err = tc_query_place(link->ifindex, &tc_place[i], &tc);
		if (err)
			return err;
		if (!tc.prog_id)
			continue;
		fd = bpf_prog_get_fd_by_id(tc.prog_id);
		err = fd < 0 ? -errno : tc_swap(link->ifindex, tc_place[i].point, tc.kind, -1, fd);
		if (err)
			return err;
		found = 1;
	}
	return found ? 0 : -ENOENT;
}
