// SPDX-License-Identifier: BSD-2-Clause
/* Puts our program at the XDP hook of one interface: in libxdp's dispatcher, or alone. */
#include "loader/enforce.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/dispatcher.h"
#include "loader/probe.h"
#include "xipsec/loader.h"

static int xdp_first(const struct session *s, const struct iflist_entry *link, int new_fd,
		     enum xdp_mode *mode)
{
	int native = -EOPNOTSUPP, err;

	if (!(s->flags & LOADER_GENERIC)) {
		native = xdp_swap(link->ifindex, XDP_MODE_NATIVE, new_fd, -1);
		*mode = XDP_MODE_NATIVE;
		/* Only "this driver has none" leads to generic mode; anything else is a fault, or,
		 * in a dispatcher, a reason to be there alone. */
		if (native != -EOPNOTSUPP && (native != -EINVAL || xdp_is_extension(new_fd)))
			return native;
	}
	err = xdp_swap(link->ifindex, XDP_MODE_GENERIC_SKB, new_fd, -1);
	if (err)
		return native == -EINVAL ? native : err;
	*mode = XDP_MODE_GENERIC_SKB;
	if (s->flags & LOADER_GENERIC)
		log_info("%s: XDP in generic mode, as asked for", link->name);
	else
		log_warn("%s: its driver has no native XDP (%s): generic mode, which is slower",
			 link->name, strerror(-native));
	return 0;
}

/* One change of the XDP hook, noted for undo. old_id 0: nothing is taken away. */
static int xdp_change(struct session *s, const struct iflist_entry *link, int new_fd, __u32 old_id,
		      enum xdp_mode *mode)
{
	_cleanup_close_ int old_fd = old_id ? bpf_prog_get_fd_by_id(old_id) : -1;
	struct undo_step step = {.kind = UNDO_XDP,
				 .ifindex = link->ifindex,
				 .new_fd = new_fd,
				 .old_fd = old_fd,
				 .map_fd = -1};
	int err;

	if (old_id && old_fd < 0)
		return -errno;
	snprintf(step.ifname, sizeof(step.ifname), "%s", link->name);
	err = undo_note(&s->undo, &step);
	if (err)
		return err;
	if (*mode != XDP_MODE_OFF)
		err = xdp_swap(link->ifindex, *mode, new_fd, old_fd);
	else
		err = xdp_first(s, link, new_fd, mode);
	if (err) {
		undo_drop_last(&s->undo);
		return err;
	}
	s->undo.step[s->undo.n - 1].xdp_mode = *mode;
	return 0;
}

/* Alone, as the user said now or at an earlier attach? Unasked where SAs of kernel XFRM come in,
 * which no extension spreads over CPUs. */
static bool wants_to_be_alone(struct session *s, const struct target *target)
{
	const struct record_entry *entry = record_find(&s->record, target->link.name);

	if (s->flags & (LOADER_DISPATCHER | LOADER_NO_DISPATCHER))
		return s->flags & LOADER_NO_DISPATCHER;
	if (entry && (entry->dispatcher || entry->no_dispatcher))
		return entry->no_dispatcher;
	return target->role == XIPSEC_ROLE_UNPROTECTED && config_names_xfrm(s->config);
}

/* Beside the programs of others, and where none is, so that they can come. A program that is there
 * alone is replaced where it stands: no way leads from one to the other without a gap. */
static bool wants_dispatcher(struct session *s, const struct target *target,
			     const struct xdp_state *now)
{
	if (now->main_id && (!now->dispatcher || !dispatcher_is_pinned(target->link.ifindex)))
		return false;
	return now->n_others || !wants_to_be_alone(s, target);
}

static const char *dispatcher_why(int err)
{
	if (probe_extension() == PROBE_EXTENSION_NONE)
		return "this kernel takes no extension programs";
	if (probe_extension() == PROBE_EXTENSION_STRICT && (err == -EINVAL || err == -EOPNOTSUPP))
		return "this kernel wants a dispatcher whose slots may change packets, that of "
		       "xdp-tools 1.5.5 or later";
	return strerror(-err);
}

/* Our program as an extension beside those that are in the dispatcher. */
static int hook_extension(struct session *s, const struct target *target,
			  const struct xdp_state *now, enum xdp_mode *mode)
{
	_cleanup_close_ int fd = -1;

	if (probe_extension() == PROBE_EXTENSION_NONE)
		return -EOPNOTSUPP;
	fd = generation_extension(&s->gen, target->role);
	if (fd < 0)
		return fd;
	return xdp_change(s, &target->link, fd, now->role ? now->prog_id : 0, mode);
}

/* So that an interface that is made anew gets it the same way. */
static int note_choice(struct session *s, const char *name)
{
	struct record_entry *entry;
	int err = 0;

	if (!(s->flags & (LOADER_DISPATCHER | LOADER_NO_DISPATCHER)))
		return 0;
	if (!record_find(&s->record, name))
		err = session_note(s, name, XIPSEC_ROLE_NONE);
	if (err)
		return err;
	entry = record_find(&s->record, name);
	entry->no_dispatcher = s->flags & LOADER_NO_DISPATCHER;
	entry->dispatcher = s->flags & LOADER_DISPATCHER;
	return 0;
}

static void tell_alone(const struct session *s, const char *name, int err)
{
	const char *why = dispatcher_why(err);

	if (s->flags & LOADER_DISPATCHER)
		log_warn("%s: no dispatcher: %s; ours is the only XDP program there", name, why);
	else
		log_info("%s: no dispatcher: %s; ours is the only XDP program there", name, why);
}

/* Ours alone, in the place of ours or of a dispatcher in which nothing of others lives. */
static int hook_alone(struct session *s, const struct target *target, const struct xdp_state *now,
		      enum xdp_mode *mode)
{
	const char *name = target->link.name;
	int err;

	if (now->n_others) {
		log_error("%s: programs of others live in a dispatcher whose pins below "
			  "/sys/fs/bpf/xdp are gone: `xdp-loader unload %s --all`, then attach",
			  name, name);
		return -EBUSY;
	}
	err = xdp_change(s, &target->link, enforce_program(&s->gen, target->role), now->main_id,
			 mode);
	if (err)
		log_error("%s: attaching %s to XDP: %s%s", name, xdp_prog_name(target->role),
			  strerror(-err),
			  err == -ERANGE ? "; its driver takes no XDP program at this MTU" : "");
	return err;
}

int enforce_xdp(struct session *s, const struct target *target, enum xdp_mode *mode)
{
	const struct iflist_entry *link = &target->link;
	struct xdp_state now;
	int err = xdp_query(link->ifindex, &now);

	if (err)
		return err;
	*mode = now.mode;
	if (enforce_runs(&s->gen, target->role, &now))
		return note_choice(s, link->name);
	if (wants_dispatcher(s, target, &now)) {
		err = hook_extension(s, target, &now, mode);
		if (!err)
			return note_choice(s, link->name);
		if (now.main_id) {
			log_error("%s: joining libxdp's dispatcher: %s", link->name,
				  dispatcher_why(err));
			return err;
		}
		tell_alone(s, link->name, err);
		*mode = now.mode;
	}
	err = hook_alone(s, target, &now, mode);
	return err ? err : note_choice(s, link->name);
}
