// SPDX-License-Identifier: BSD-2-Clause
#include "loader/session.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/log.h"
#include "loader/enforce.h"
#include "loader/hook_nft.h"
#include "loader/probe.h"
#include "loader/spd.h"
#include "xipsec/loader.h"

/* libbpf's own lines say less than ours and come beside them. */
static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[512];

	vsnprintf(line, sizeof(line), fmt, args);
	log_debug("%s", strtok(line, "\n") ?: "");
	return 0;
}

void session_quiet(void)
{
	libbpf_set_print(quiet);
}

__u32 session_prog_id(int fd)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

int session_begin(struct session *s, const struct config *config, unsigned int flags)
{
	int err;

	session_quiet();
	memset(s, 0, sizeof(*s));
	s->config = config;
	s->flags = flags;
	s->lock = -1;
	snprintf(s->undo.pin_dir, sizeof(s->undo.pin_dir), "%s", config->pin_dir);
	snprintf(s->undo.run_dir, sizeof(s->undo.run_dir), "%s", config->run_dir);
	snprintf(s->undo.state_dir, sizeof(s->undo.state_dir), "%s", config->state_dir);
	err = probe_rights();
	if (!err)
		err = probe_bpffs(config->pin_dir);
	if (err)
		return err;
	s->lock = datapath_lock(config->run_dir);
	if (s->lock < 0) {
		log_error("%s/loader.lock: %s", config->run_dir, strerror(-s->lock));
		return s->lock;
	}
	err = record_read(config->run_dir, &s->record);
	s->before = s->record;
	if (!err)
		err = iflist_get(&s->links, &s->n_links);
	if (err) {
		log_error("reading the interfaces and their record: %s", strerror(-err));
		return err;
	}
	s->open = !generation_open(config->pin_dir, &s->gen);
	return 0;
}

void session_end(struct session *s)
{
	undo_free(&s->undo);
	if (s->open)
		generation_close(&s->gen);
	free(s->links);
	if (s->lock >= 0)
		close(s->lock);
}

const struct iflist_entry *session_link(const struct session *s, const char *name)
{
	for (unsigned int i = 0; i < s->n_links; i++) {
		if (!strcmp(s->links[i].name, name))
			return &s->links[i];
	}
	return NULL;
}

struct target *session_target(struct session *s, const struct iflist_entry *link,
			      enum xipsec_role role)
{
	struct target *target = s->target;

	for (; target < s->target + s->n_targets; target++) {
		if (target->link.ifindex == link->ifindex)
			return target;
	}
	if (s->n_targets == TARGETS_MAX) {
		log_error("%s: %d interfaces carry programs of ours or want some, the most that "
			  "are changed at once: `xipsec detach` some first",
			  link->name, TARGETS_MAX);
		return NULL;
	}
	s->n_targets++;
	*target = (struct target){.link = *link, .role = role};
	return target;
}

int session_note(struct session *s, const char *name, enum xipsec_role role)
{
	int err = record_set(&s->record, name, role);

	if (err)
		log_error("%s: %d interfaces are on record already, the most there can be, those "
			  "that are gone or to come included (`xipsec status`): `xipsec detach` "
			  "one",
			  name, XIPSEC_SLOTS_MAX);
	return err;
}

enum xipsec_role session_role_of(const struct iflist_entry *link)
{
	struct xdp_state xdp;
	struct tc_state tc;

	if (!xdp_query(link->ifindex, &xdp) && xdp.role)
		return xdp.role;
	for (unsigned int i = 0; i < TC_PLACES; i++) {
		if (!tc_query_place(link->ifindex, &tc_place[i], &tc) && tc.prog_id)
			return tc_place[i].role;
	}
	return XIPSEC_ROLE_NONE;
}

bool session_is_attached(struct session *s, const struct iflist_entry *link, enum xipsec_role role)
{
	struct xipsec_iface iface;
	struct xdp_state xdp;
	struct tc_state tc;

	if (!s->open || s->built || bpf_map_lookup_elem(s->gen.dp.ifaces, &link->ifindex, &iface) ||
	    iface.role != role)
		return false;
	for (unsigned int i = 0; i < TC_PLACES; i++) {
		if (tc_place[i].role == role &&
		    (tc_query_place(link->ifindex, &tc_place[i], &tc) || !tc.prog_id ||
		     tc.prog_id != session_prog_id(s->gen.tc[i])))
			return false;
	}
	return !xdp_query(link->ifindex, &xdp) && enforce_runs(&s->gen, role, &xdp);
}

/* A new generation takes over every interface that carries programs of ours: the kernel says which
 * those are, whatever build or ABI put them there. */
static int adopt_all(struct session *s)
{
	for (unsigned int i = 0; i < s->n_links; i++) {
		enum xipsec_role role = session_role_of(&s->links[i]);
		struct target *target;

		if (!role)
			continue;
		target = session_target(s, &s->links[i], role);
		if (!target)
			return -ENOSPC;
		target->adopted = true;
		if (target->role != role) {
			log_error("%s is attached as %s: `xipsec detach %s` first",
				  target->link.name, role_name(role), target->link.name);
			return -EBUSY;
		}
	}
	return 0;
}

static int ensure_generation(struct session *s)
{
	struct undo_step step = {.kind = UNDO_BUILT, .new_fd = -1, .old_fd = -1, .map_fd = -1};
	__u32 last = 0;
	int err;

	if (s->open && !(s->flags & LOADER_UPGRADE))
		return 0;
	/* Frames that wait with the old SPD's number must look old to the new one. */
	if (s->open) {
		last = spd_last_generation(&s->gen.dp);
		generation_close(&s->gen);
		s->open = false;
	}
	err = adopt_all(s);
	if (err)
		return err;
	err = generation_build(s->config, last, &s->gen);
	if (err)
		return err;
	s->open = true;
	s->built = true;
	snprintf(step.name, sizeof(step.name), "%s", s->gen.name);
	err = undo_note(&s->undo, &step);
	if (err)
		generation_remove(s->config->pin_dir, s->gen.name);
	return err;
}

static int finish(struct session *s)
{
	struct undo_step step = {.kind = UNDO_CURRENT, .new_fd = -1, .old_fd = -1, .map_fd = -1};
	int err = 0;

	if (s->built) {
		/* -ENOENT leaves the name empty: back to none. */
		datapath_current(s->config->pin_dir, step.name);
		err = undo_note(&s->undo, &step);
		if (!err)
			err = generation_set_current(s->config->pin_dir, s->gen.name);
		if (err) {
			log_error("%s/current: %s", s->config->pin_dir, strerror(-err));
			return err;
		}
		s->built = false;
	}
	for (unsigned int i = 0; i < s->n_targets; i++) {
		if (!s->target[i].err)
			err = session_note(s, s->target[i].link.name, s->target[i].role);
		if (err)
			return err;
	}
	step.kind = UNDO_RECORD;
	step.record = &s->before;
	if (!err)
		err = undo_note(&s->undo, &step);
	if (!err)
		err = record_write(s->config->run_dir, &s->record);
	if (err)
		log_error("%s/ifaces: %s", s->config->run_dir, strerror(-err));
	/* The hooks are in force with or without it. */
	if (!err)
		hook_nft_sync(&s->record, s->links, s->n_links);
	return err;
}

/* One pass over the targets of a role; what fails alone is taken back alone. */
static int enforce_role(struct session *s, enum xipsec_role role)
{
	for (unsigned int i = 0; i < s->n_targets; i++) {
		struct target *target = &s->target[i];
		unsigned int keep = s->undo.n;

		if (target->role != role || target->err)
			continue;
		target->err = enforce_hooks(s, target);
		if (!target->err)
			continue;
		undo_run(&s->undo, keep);
		if (target->registered)
			enforce_forget(s, target);
		if (target->adopted)
			return target->err;
	}
	return 0;
}

/* Before anything is built. Only when no target may be attached is that the end. */
static int check_all(struct session *s)
{
	unsigned int good = 0;
	int err = 0;

	for (unsigned int i = 0; i < s->n_targets; i++) {
		s->target[i].err = enforce_check(s, &s->target[i]);
		good += !s->target[i].err;
		err = err ? err : s->target[i].err;
	}
	return good || (s->flags & LOADER_UPGRADE) ? 0 : err;
}

/* Whatever is taken back, this is what comes last. */
static int note_nft(struct session *s)
{
	struct undo_step step = {.kind = UNDO_NFT, .new_fd = -1, .old_fd = -1, .map_fd = -1};
	struct nft_table table;

	step.nft_was = !hook_nft_read(&table) && table.state != NFT_STATE_ABSENT;
	return undo_note(&s->undo, &step);
}

static int apply(struct session *s)
{
	int err = check_all(s);
	unsigned int stand = 0;

	if (!err)
		err = note_nft(s);
	if (!err)
		err = ensure_generation(s);
	if (err)
		return err;
	enforce_forget_gone(s);
	for (unsigned int i = 0; i < s->n_targets; i++) {
		struct target *target = &s->target[i];

		if (!target->err && target->adopted)
			target->err = enforce_check(s, target);
		if (!target->err)
			target->err = enforce_register(s, target);
		if (target->err && target->adopted)
			return target->err;
	}
	err = enforce_role(s, XIPSEC_ROLE_UNPROTECTED);
	if (!err)
		err = enforce_role(s, XIPSEC_ROLE_PROTECTED);
	if (err)
		return err;
	for (unsigned int i = 0; i < s->n_targets; i++) {
		stand += !s->target[i].err;
		err = s->target[i].err ? s->target[i].err : err;
	}
	return stand || !s->n_targets ? finish(s) : err;
}

int session_apply(struct session *s)
{
	int err = apply(s);

	if (err)
		undo_run(&s->undo, 0);
	return err;
}

void session_commit(struct session *s)
{
	generation_sweep(s->config->pin_dir, s->gen.name);
}
