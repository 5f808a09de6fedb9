// SPDX-License-Identifier: BSD-2-Clause
#include "loader/attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/ethtool.h"
#include "lib/log.h"
#include "loader/confirm.h"
#include "loader/dispatcher.h"
#include "loader/enforce.h"
#include "loader/heritage.h"
#include "loader/hold_signals.h"
#include "loader/hook_nft.h"
#include "loader/probe.h"
#include "loader/session.h"
#include "loader/spd.h"
#include "loader/spd_names.h"

/* ------------------------------------------------------------------ attach */

static int add_one(struct session *s, const char *name, enum xipsec_role role)
{
	const struct iflist_entry *link = session_link(s, name);

	if (!link) {
		log_error("%s: there is no such interface in this network namespace", name);
		return -ENODEV;
	}
	if (!(s->flags & LOADER_UPGRADE) && session_is_attached(s, link, role) &&
	    record_find(&s->record, name))
		return -EALREADY;
	return session_target(s, link, role) ? 0 : -ENOSPC;
}

/* What the config names and the host does not have yet (a VLAN, a bond, a NIC that comes late) goes
 * into the record, and xipsecd attaches it as it comes: one missing interface must not keep the
 * others, and with them the network, down. */
static int add_missing(struct session *s, const struct config_iface *iface, unsigned int *noted)
{
	const struct record_entry *entry = record_find(&s->record, iface->name);
	int err;

	log_warn("%s: there is no such interface yet; xipsecd attaches it as %s when it appears",
		 iface->name, role_name(iface->role));
	if (entry && entry->role == iface->role)
		return 0;
	err = session_note(s, iface->name, iface->role);
	if (!err)
		++*noted;
	return err;
}

/* *noted: interfaces that are missing and were not on record. */
static int add_all(struct session *s, unsigned int *noted)
{
	const struct config *config = s->config;
	int first = 0;

	if (!config->n_ifaces && s->record.n)
		return 0; /* --all --upgrade of what was attached by name */
	if (!config->n_ifaces) {
		log_error("the config names no interface: `datapath { interfaces { NAME { role = "
			  "... } } }`");
		return -EINVAL;
	}
	for (unsigned int i = 0; i < config->n_ifaces; i++) {
		const struct config_iface *iface = &config->ifaces[i];
		int err = session_link(s, iface->name) ? add_one(s, iface->name, iface->role)
						       : add_missing(s, iface, noted);

		if (err && err != -EALREADY)
			first = first ? first : err;
	}
	return first;
}

/* What carries our programs and is not on record: an attach was killed half-way, or it was renamed.
 * Made anew under that name it would be open, so the record takes it in. A name that it had before
 * stays there too: it may come back under that one. */
static int add_strays(struct session *s)
{
	for (unsigned int i = 0; i < s->n_links; i++) {
		const struct iflist_entry *link = &s->links[i];
		struct xipsec_iface known = {0};
		enum xipsec_role role;

		if (record_find(&s->record, link->name))
			continue;
		role = session_role_of(link);
		if (!role)
			continue;
		if (!session_target(s, link, role))
			return -ENOSPC;
		if (s->open && !bpf_map_lookup_elem(s->gen.dp.ifaces, &link->ifindex, &known) &&
		    strncmp(known.name, link->name, sizeof(known.name)) != 0)
			log_warn("%s, which was %.15s, is looked after under its new name too",
				 link->name, known.name);
		else
			log_warn("%s carries our programs and was not on record: taken in",
				 link->name);
	}
	return 0;
}

/* Commits, or leaves behind who may take it back. -EINTR: a signal came before, and it has been
 * taken back. */
static int settle_attach(struct session *s, unsigned int confirm)
{
	int err = 0;

	if (held_signal_waits()) {
		log_error("interrupted: what was done is taken back");
		err = -EINTR;
	} else if (confirm) {
		err = confirm_wait(s, confirm);
		if (err)
			log_error("cannot wait for the confirmation: %s", strerror(-err));
	}
	if (err)
		undo_run(&s->undo, 0);
	else if (confirm)
		log_info("taken back in %u s unless `xipsec confirm` comes first", confirm);
	else
		session_commit(s);
	return err;
}

static int attach_in(struct session *s, const struct loader_attach *what)
{
	unsigned int noted = 0;
	int failed = 0, err;

	if (confirm_pending(s->config->run_dir)) {
		log_error("an attach waits for `xipsec confirm`: confirm it, or wait until it is "
			  "taken back");
		return -EBUSY;
	}
	if (what->ifname) {
		err = add_one(s, what->ifname, what->role);
		if (err == -EALREADY)
			log_error("%s is attached already as %s", what->ifname,
				  role_name(what->role));
		if (err)
			return err;
	} else {
		failed = add_all(s, &noted);
		err = add_strays(s);
		if (err)
			return err;
		if (!s->n_targets && !s->record.n)
			return failed;
		if (!s->n_targets && !failed && !noted && s->open && !(s->flags & LOADER_UPGRADE)) {
			enforce_refresh(s);
			log_info("all interfaces of the config that exist are attached already");
			return -EALREADY;
		}
	}
	err = session_apply(s);
	if (!err)
		err = settle_attach(s, what->confirm);
	if (err)
		return err;
	for (unsigned int i = 0; i < s->n_targets && !failed; i++)
		failed = s->target[i].err;
	return failed;
}

int loader_attach(const struct config *config, const struct loader_attach *what)
{
	struct held_signals held;
	struct session s;
	int err;

	err = session_begin(&s, config, what->flags);
	hold_signals(&held); /* not before: a lock may have to be waited for */
	if (!err)
		err = attach_in(&s, what);
	/* Nothing to do, unless somebody flushed nftables. */
	if (err == -EALREADY && hook_nft_sync(&s.record, s.links, s.n_links) > 0)
		log_info("the nftables table " HOOK_NFT_TABLE " was put back");
	session_end(&s);
	release_signals(&held);
	return err;
}

/* ------------------------------------------------------------------ detach */

static bool any_of_ours(const struct session *s)
{
	for (unsigned int i = 0; i < s->n_links; i++) {
		if (session_role_of(&s->links[i]))
			return true;
	}
	return false;
}

static void forget_name(struct session *s, const char *name)
{
	__u32 ifindex, next;
	bool first = true;

	while (s->open && !bpf_map_get_next_key(s->gen.dp.ifaces, first ? NULL : &ifindex, &next)) {
		struct xipsec_iface iface;

		ifindex = next;
		first = false;
		if (!bpf_map_lookup_elem(s->gen.dp.ifaces, &ifindex, &iface) &&
		    !strncmp(iface.name, name, sizeof(iface.name))) {
			bpf_map_delete_elem(s->gen.dp.ifaces, &ifindex);
			first = true;
		}
	}
}

static int detach_one(struct session *s, const char *name)
{
	const struct iflist_entry *link = session_link(s, name);
	struct record_entry *entry = record_find(&s->record, name);
	int err = link ? enforce_remove(link) : -ENOENT;

	if (err && (err != -ENOENT || !entry)) {
		if (err != -ENOENT)
			log_error("%s: taking the programs off: %s", name, strerror(-err));
		else if (!link)
			log_error("%s: there is no such interface in this network namespace", name);
		else
			log_error("%s is not attached", name);
		return err;
	}
	if (link && entry && entry->vlan_strip)
		ethtool_set_vlan_strip(name, true);
	forget_name(s, name);
	record_remove(&s->record, name);
	log_info("%s: detached", name);
	return 0;
}

static int detach_all(struct session *s)
{
	int first = 0, found = 0, err;

	for (unsigned int i = 0; i < s->n_links; i++) {
		if (!session_role_of(&s->links[i]))
			continue;
		found = 1;
		err = detach_one(s, s->links[i].name);
		first = first ? first : err;
	}
	for (unsigned int i = s->record.n; i--;) {
		char name[16];

		snprintf(name, sizeof(name), "%s", s->record.entry[i].name);
		if (session_link(s, name) && session_role_of(session_link(s, name)))
			continue; /* it failed above, and was told */
		found = 1;
		detach_one(s, name);
	}
	if (!found)
		log_error("nothing is attached");
	return found ? first : -ENOENT;
}

/* The last one out takes the pins away; sequence records in state_dir stay for ever, and know then
 * what was received: an xipsecd that is dead cannot tell any more. */
static int leave(const struct session *s, const struct heritage *heritage)
{
	const struct config *config = s->config;
	int err = heritage_settle(config->state_dir, heritage);

	if (err && err != -EBUSY)
		return err;
	generation_set_current(config->pin_dir, NULL);
	generation_sweep(config->pin_dir, NULL);
	return 0;
}

int loader_detach(const struct config *config, const char *ifname)
{
	struct held_signals held;
	struct heritage heritage;
	struct session s;
	int err, werr, nerr, lerr = 0;

	err = session_begin(&s, config, 0);
	hold_signals(&held);
	/* Held while the programs go that hold it. */
	heritage_find(config->pin_dir, &heritage);
	if (!err && confirm_pending(config->run_dir)) {
		log_error("an attach waits for `xipsec confirm`: confirm it, or wait until it is "
			  "taken back");
		err = -EBUSY;
	}
	if (err)
		goto out;
	err = ifname ? detach_one(&s, ifname) : detach_all(&s);
	werr = record_write(config->run_dir, &s.record);
	if (werr)
		log_error("%s/ifaces: %s", config->run_dir, strerror(-werr));
	nerr = hook_nft_sync(&s.record, s.links, s.n_links);
	if (!s.record.n && !any_of_ours(&s))
		lerr = leave(&s, &heritage);
	err = err ?: werr ?: lerr ?: nerr < 0 ? nerr : 0;
out:
	heritage_close(&heritage);
	session_end(&s);
	release_signals(&held);
	return err;
}

/* ------------------------------------------------------------------ for xipsecd */

/* Interfaces of the record that are there and are not as they should be. */
static int add_broken(struct session *s)
{
	for (unsigned int i = 0; i < s->record.n; i++) {
		const struct record_entry *entry = &s->record.entry[i];
		const struct iflist_entry *link = session_link(s, entry->name);

		if (!link || session_is_attached(s, link, entry->role))
			continue;
		if (!session_target(s, link, entry->role))
			return -ENOSPC;
	}
	return 0;
}

/* Without a guard of ours nothing stops its plaintext: down it goes, and that is told. */
static void hold_closed(const struct target *target)
{
	struct xdp_state xdp;
	struct tc_state tc;
	int err;

	if (!xdp_query(target->link.ifindex, &xdp) && xdp.role &&
	    !tc_query_place(target->link.ifindex,
			    &tc_place[target->role == XIPSEC_ROLE_PROTECTED ? TC_REDTC : TC_GUARD],
			    &tc) &&
	    tc.prog_id)
		return;
	err = iflist_set_down(target->link.name);
	log_error("%s: its programs cannot be attached: %s", target->link.name,
		  err ? strerror(-err) : "set down, so that nothing passes in the clear");
}

static int repair_in(struct session *s)
{
	int done = 0, err = add_broken(s), first;

	if (!err)
		err = add_strays(s);
	if (err)
		return err;
	/* A waiting process holds this generation's programs to put them back: leave it alone. */
	if (!s->open && confirm_pending(s->config->run_dir))
		return -EBUSY;
	if (!s->n_targets) {
		if (s->open)
			enforce_forget_gone(s);
		return 0;
	}
	first = session_apply(s);
	for (unsigned int i = 0; i < s->n_targets; i++) {
		struct target *target = &s->target[i];

		target->err = target->err ? target->err : first;
		done += !target->err;
		if (target->err)
			hold_closed(target);
		err = err ? err : target->err;
	}
	if (!first && !confirm_pending(s->config->run_dir))
		session_commit(s);
	return err ? err : done;
}

/* A program in libxdp's dispatcher hangs on a link, the link on its pin. While xipsecd lives, it
 * holds these links too, so that clearing bpffs opens nothing. Every change of an XDP hook is a
 * link event, which leads here again. */
static void hold_dispatchers(const struct session *s)
{
	__u32 ids[TARGETS_MAX];
	unsigned int n = 0;
	struct xdp_state xdp;

	for (unsigned int i = 0; i < s->n_links && n < TARGETS_MAX; i++) {
		if (!xdp_query(s->links[i].ifindex, &xdp) && xdp.dispatcher && xdp.role)
			ids[n++] = xdp.main_id;
	}
	dispatcher_hold(ids, n);
}

int attach_repair(const struct config *config)
{
	struct session s;
	int err;

	err = session_begin(&s, config, 0);
	if (!err) {
		err = repair_in(&s);
		/* Also what failed is told to nftables: it carries no guard. */
		if (hook_nft_sync(&s.record, s.links, s.n_links) > 0)
			log_info("the nftables table " HOOK_NFT_TABLE " was brought up to date");
	}
	if (s.n_links)
		hold_dispatchers(&s);
	session_end(&s);
	return err;
}

static void describe(struct attach_iface *iface, const struct iflist_entry *links, unsigned int n)
{
	struct xdp_state xdp = {0};
	int queues;

	for (unsigned int i = 0; i < n; i++) {
		if (links[i].ifindex != iface->ifindex)
			continue;
		queues = ethtool_queues(links[i].name);
		snprintf(iface->name, sizeof(iface->name), "%s", links[i].name);
		iface->queues = queues > 0 ? (unsigned int)queues : 1;
		iface->mtu = links[i].mtu;
		iface->up = links[i].up;
		xdp_query(iface->ifindex, &xdp);
		iface->generic = xdp.mode == XDP_MODE_GENERIC_SKB;
		return;
	}
	iface->ifindex = 0;
}

static unsigned int list_known(int map, struct attach_iface *list, const struct iflist_entry *links,
			       unsigned int n_links)
{
	unsigned int n = 0;
	__u32 ifindex, next;
	bool first = true;

	while (n < XIPSEC_SLOTS_MAX && !bpf_map_get_next_key(map, first ? NULL : &ifindex, &next)) {
		struct xipsec_iface iface;

		ifindex = next;
		first = false;
		if (bpf_map_lookup_elem(map, &ifindex, &iface) || iface.vlan)
			continue;
		list[n] = (struct attach_iface){
			.role = iface.role, .slot = iface.slot, .ifindex = ifindex, .queues = 1};
		snprintf(list[n].name, sizeof(list[n].name), "%.15s", iface.name);
		describe(&list[n++], links, n_links);
	}
	return n;
}

int attach_ifaces(const struct config *config, struct attach_iface **out, unsigned int *n)
{
	_cleanup_free_ struct iflist_entry *links = NULL;
	_cleanup_free_ struct attach_iface *list = NULL;
	unsigned int n_links = 0, count;
	struct record record = {0};
	struct datapath dp;
	int err = datapath_open(config->pin_dir, &dp);

	if (err)
		return err;
	list = calloc(2 * XIPSEC_SLOTS_MAX, sizeof(*list));
	err = list ? iflist_get(&links, &n_links) : -ENOMEM;
	if (!err)
		err = record_read(config->run_dir, &record);
	if (err) {
		datapath_close(&dp);
		return err;
	}
	count = list_known(dp.ifaces, list, links, n_links);
	datapath_close(&dp);
	for (unsigned int i = 0; i < record.n; i++) {
		bool known = false;

		for (unsigned int k = 0; k < count; k++)
			known = known || !strcmp(list[k].name, record.entry[i].name);
		if (known)
			continue;
		list[count] = (struct attach_iface){.role = record.entry[i].role, .queues = 1};
		snprintf(list[count++].name, sizeof(list[0].name), "%s", record.entry[i].name);
	}
	*out = take_ptr(list);
	*n = count;
	return 0;
}

/* ------------------------------------------------------------------ reload */

int loader_wait(const struct config *config)
{
	_cleanup_close_ int lock = datapath_lock(config->run_dir);

	return lock < 0 ? lock : 0;
}

int loader_reload(const struct config *config, int (*ready)(void *ctx), void *ctx,
		  __u32 *spd_generation)
{
	const struct spd_ready first = {ready, ctx};
	_cleanup_close_ int lock = -1;
	struct xipsec_globals globals = {0};
	struct datapath dp;
	char gen_dir[320];
	__u32 zero = 0;
	int err;

	session_quiet();
	err = probe_rights();
	if (err)
		return err;
	lock = datapath_lock(config->run_dir);
	if (lock < 0) {
		log_error("%s/loader.lock: %s", config->run_dir, strerror(-lock));
		return lock;
	}
	err = datapath_open(config->pin_dir, &dp);
	if (err) {
		if (err == -ENOENT)
			log_error("nothing is attached below %s: `xipsec attach` first",
				  config->pin_dir);
		else if (err == -EPROTO)
			log_error("the pins below %s are of another version: `xipsec attach "
				  "--all --upgrade` first",
				  config->pin_dir);
		else
			log_error("%s: %s", config->pin_dir, strerror(-err));
		return err;
	}
	err = spd_load(config, &dp, config->pin_dir, ready ? &first : NULL, spd_generation);
	snprintf(gen_dir, sizeof(gen_dir), "%s/%s", config->pin_dir, dp.generation);
	if (!err && !bpf_map_lookup_elem(dp.globals, &zero, &globals)) /* for people only */
		spd_names_write(gen_dir, config, globals.spd_generation);
	datapath_close(&dp);
	return err;
}
