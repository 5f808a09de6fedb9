// SPDX-License-Identifier: BSD-2-Clause
#include "loader/undo.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/cleanup.h"
#include "lib/ethtool.h"
#include "lib/log.h"
#include "loader/generation.h"
#include "loader/heritage.h"
#include "loader/enforce.h"
#include "loader/hook_nft.h"
#include "loader/iflist.h"

static int copy_fd(int *fd)
{
	if (*fd < 0)
		return 0;
	*fd = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
	return *fd < 0 ? -errno : 0;
}

static void step_free(struct undo_step *step)
{
	if (step->new_fd >= 0)
		close(step->new_fd);
	if (step->old_fd >= 0)
		close(step->old_fd);
	if (step->map_fd >= 0)
		close(step->map_fd);
	free(step->record);
}

int undo_note(struct undo *undo, const struct undo_step *step)
{
	struct undo_step *grown = reallocarray(undo->step, undo->n + 1, sizeof(*grown));
	struct undo_step *copy;

	if (!grown)
		return -ENOMEM;
	undo->step = grown;
	copy = &grown[undo->n];
	*copy = *step;
	copy->record = NULL;
	if (copy_fd(&copy->new_fd) || copy_fd(&copy->old_fd) || copy_fd(&copy->map_fd))
		return -EMFILE;
	if (step->record) {
		copy->record = malloc(sizeof(*copy->record));
		if (!copy->record)
			return -ENOMEM;
		*copy->record = *step->record;
	}
	undo->n++;
	return 0;
}

void undo_drop_last(struct undo *undo)
{
	step_free(&undo->step[--undo->n]);
}

/* SAs may have received by a generation that was current: what they received must be on record
 * before the map goes that knows it, unless what runs from now on has the same map. */
static int settle(const struct undo *undo, const char *name)
{
	struct heritage going, staying;
	int err;

	heritage_of(undo->pin_dir, name, &going);
	heritage_find(undo->pin_dir, &staying);
	err = heritage_leave(undo->state_dir, &going, staying.sa_state);
	heritage_close(&going);
	heritage_close(&staying);
	return err;
}

/* Where that cannot be noted, the pins stay: as the current ones if there are none else, so that
 * the next attach goes on with them. */
static int built_back(const struct undo *undo, const char *name, bool was_current)
{
	int err = was_current ? settle(undo, name) : 0;
	char current[32];

	if (!err) {
		generation_remove(undo->pin_dir, name);
		return 0;
	}
	log_error("the pins %s/%s stay, for they know what was received", undo->pin_dir, name);
	if (datapath_current(undo->pin_dir, current))
		generation_set_current(undo->pin_dir, name);
	return err;
}

static int step_back(const struct undo *undo, const struct undo_step *step, bool was_current)
{
	int err = 0;

	switch (step->kind) {
	case UNDO_XDP:
		err = xdp_swap(step->ifindex, step->xdp_mode, step->old_fd, step->new_fd);
		break;
	case UNDO_TC:
		err = tc_swap(step->ifindex, step->tc_point, step->tc_kind, step->old_fd,
			      step->new_fd);
		break;
	case UNDO_IFACE: bpf_map_delete_elem(step->map_fd, &step->ifindex); break;
	case UNDO_VLAN_STRIP: err = ethtool_set_vlan_strip(step->ifname, true); break;
	case UNDO_CURRENT:
		err = generation_set_current(undo->pin_dir, step->name[0] ? step->name : NULL);
		break;
	case UNDO_BUILT: err = built_back(undo, step->name, was_current); break;
	case UNDO_RECORD: err = record_write(undo->run_dir, step->record); break;
	case UNDO_NFT: err = hook_nft_back(undo->run_dir, step->nft_was); break;
	}
	/* An interface that is gone has nothing left to be taken back. */
	return err == -ENODEV ? 0 : err;
}

static void forget_index(const struct undo *undo, __u32 ifindex)
{
	struct datapath dp;

	if (datapath_open(undo->pin_dir, &dp))
		return;
	bpf_map_delete_elem(dp.ifaces, &ifindex);
	datapath_close(&dp);
}

/* An interface that was made anew or renamed since is none that a step knows; the record names it.
 * What the record had and has no more, loses what it carries of ours. */
static int take_off(const struct undo *undo, const struct record *had)
{
	_cleanup_free_ struct iflist_entry *links = NULL;
	struct record now = {0};
	unsigned int n = 0;
	int err = record_read(undo->run_dir, &now), first = 0;

	if (!err)
		err = iflist_get(&links, &n);
	if (err)
		return err;
	for (unsigned int i = 0; i < n; i++) {
		const struct record_entry *entry = NULL;

		for (unsigned int k = 0; k < had->n && !entry; k++)
			entry = strcmp(had->entry[k].name, links[i].name) ? NULL : &had->entry[k];
		if (!entry || record_find(&now, links[i].name))
			continue;
		err = enforce_remove(&links[i]);
		forget_index(undo, links[i].ifindex);
		if (!err && entry->vlan_strip)
			ethtool_set_vlan_strip(links[i].name, true);
		if (!err)
			log_info("%s: detached", links[i].name);
		else if (err != -ENOENT)
			first = first ? first : err;
	}
	return first;
}

int undo_run(struct undo *undo, unsigned int keep)
{
	bool was_current = false, recorded = false;
	struct record had = {0};
	char current[32];
	int first = 0;

	while (undo->n > keep) {
		struct undo_step *step = &undo->step[undo->n - 1];
		int err = 0, back;

		if (step->kind == UNDO_RECORD)
			recorded = !record_read(undo->run_dir, &had);
		/* The hooks that it knows are as before. */
		if (recorded && (step->kind == UNDO_BUILT || step->kind == UNDO_NFT)) {
			err = take_off(undo, &had);
			recorded = false;
		}
		back = step_back(undo, step, was_current);
		err = back ? back : err;
		if (err) {
			log_error("%s%staking a step back failed: %s", step->ifname,
				  step->ifname[0] ? ": " : "", strerror(-err));
			first = first ? first : err;
		}
		was_current = was_current || step->kind == UNDO_CURRENT;
		undo_drop_last(undo);
	}
	if (!keep && datapath_current(undo->pin_dir, current))
		generation_sweep(undo->pin_dir, NULL);
	return first;
}

void undo_free(struct undo *undo)
{
	while (undo->n)
		undo_drop_last(undo);
	free(undo->step);
	undo->step = NULL;
}
