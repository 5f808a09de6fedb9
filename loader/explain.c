// SPDX-License-Identifier: BSD-2-Clause
/* One frame through the programs' twin, and what its answer means in the config's words. Reads
 * only, takes no lock. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "lib/cleanup.h"
#include "lib/config.h"
#include "lib/log.h"
#include "loader/hook_xdp.h"
#include "loader/session.h"
#include "loader/twin.h"
#include "xipsec/loader.h"

#define TRIES 3 /* policies may change between the run and the look at them */

struct loader_explainer {
	const struct config *config;
	struct datapath dp;
	int red, black, guard; /* the twins */
	int lock;              /* the twin runs once at a time: it notes its way in one place */
	struct loader_policy *policy;
};

/* ------------------------------------------------------------------ opening */

static int open_twins(struct loader_explainer *ex, const char *pin_dir)
{
	char gen_dir[330];

	snprintf(gen_dir, sizeof(gen_dir) - 8, "%s/%s", pin_dir, ex->dp.generation);
	ex->red = twin_open(gen_dir, "xipsec_red");
	ex->black = twin_open(gen_dir, "xipsec_black");
	ex->guard = twin_open(gen_dir, "xipsec_guard");
	if (ex->red >= 0 && ex->black >= 0 && ex->guard >= 0) {
		strcat(gen_dir, "/prog");
		ex->lock = open(gen_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return ex->lock < 0 ? -errno : 0;
	}
	log_error("%s has no copy of the programs for `explain`: it was built without; `xipsec "
		  "attach --all --upgrade` makes it",
		  gen_dir);
	return -ENOENT;
}

static int open_datapath(const struct config *config, struct datapath *dp)
{
	int err = datapath_open(config->pin_dir, dp);

	if (err == -ENOENT)
		log_error("nothing is attached below %s: packets go their way without xipsec",
			  config->pin_dir);
	else if (err == -EPROTO)
		log_error("the pins below %s are of another version: `xipsec attach --all "
			  "--upgrade`, or the xipsec of that version",
			  config->pin_dir);
	else if (err)
		log_error("%s: %s", config->pin_dir, strerror(-err));
	return err;
}

int loader_explain_open(const struct config *config, struct loader_explainer **out)
{
	struct loader_explainer *ex = calloc(1, sizeof(*ex));
	int err;

	if (!ex)
		return -ENOMEM;
	session_quiet();
	ex->config = config;
	ex->red = ex->black = ex->guard = ex->lock = -1;
	err = open_datapath(config, &ex->dp);
	if (err) {
		free(ex);
		return err;
	}
	err = open_twins(ex, config->pin_dir);
	if (!err)
		err = loader_policy(config, &ex->policy);
	if (err) {
		loader_explain_close(ex);
		return err;
	}
	*out = ex;
	return 0;
}

void loader_explain_close(struct loader_explainer *ex)
{
	if (!ex)
		return;
	if (ex->red >= 0)
		close(ex->red);
	if (ex->black >= 0)
		close(ex->black);
	if (ex->guard >= 0)
		close(ex->guard);
	if (ex->lock >= 0)
		close(ex->lock);
	loader_policy_free(ex->policy);
	datapath_close(&ex->dp);
	free(ex);
}

/* ------------------------------------------------------------------ running */

struct place {
	__u32 ifindex;
	__u32 role;
	__u32 from; /* ifindex, 0: this host */
};

static int find_iface(const struct loader_explainer *ex, const char *name, __u32 *ifindex,
		      __u32 *role)
{
	struct xipsec_iface iface;

	*ifindex = if_nametoindex(name);
	if (!*ifindex) {
		log_error("%s: there is no such interface in this network namespace", name);
		return -ENODEV;
	}
	if (bpf_map_lookup_elem(ex->dp.ifaces, ifindex, &iface) || !iface.role || iface.vlan) {
		log_error("%s has no role: no program of ours looks at its packets", name);
		return -ENOENT;
	}
	*role = iface.role;
	return 0;
}

static int find_place(const struct loader_explainer *ex, const struct loader_frame *frame,
		      struct place *out)
{
	struct place place = {0};
	int err = find_iface(ex, frame->ifname, &place.ifindex, &place.role);

	if (err)
		return err;
	if (frame->dir == XIPSEC_DIR_IN && place.role == XIPSEC_ROLE_PROTECTED) {
		log_error("%s is protected: what it receives is on its way out (--dir out); what "
			  "comes in comes by an unprotected interface",
			  frame->ifname);
		return -EINVAL;
	}
	if (frame->from) {
		place.from = if_nametoindex(frame->from);
		if (!place.from) {
			log_error("%s: there is no such interface in this network namespace",
				  frame->from);
			return -ENODEV;
		}
	}
	*out = place;
	return 0;
}

static int run_xdp(int fd, const struct place *place, const struct loader_frame *frame, void *out,
		   __u32 out_size)
{
	struct xdp_md ctx = {.data_end = frame->len,
			     .ingress_ifindex = place->ifindex,
			     .rx_queue_index = frame->queue};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->data, .data_size_in = frame->len,
		    .data_out = out, .data_size_out = out_size, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);
	int err = bpf_prog_test_run_opts(fd, &opts);

	if (err != -EINVAL)
		return err;
	log_error("%s: it has no receive queue %u, or the kernel takes no frame of %u bytes there",
		  frame->ifname, frame->queue, frame->len);
	return -EMSGSIZE;
}

static int run_tc(int fd, const struct place *place, const struct loader_frame *frame, void *out,
		  __u32 out_size)
{
	struct __sk_buff ctx = {
		.ifindex = place->ifindex, .ingress_ifindex = place->from, .mark = frame->mark};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->data, .data_size_in = frame->len,
		    .data_out = out, .data_size_out = out_size, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);
	int err = bpf_prog_test_run_opts(fd, &opts);

	if (err != -EINVAL)
		return err;
	log_error("%s: the kernel takes no frame of %u bytes in a test run at TC: %s",
		  frame->ifname, frame->len,
		  frame->len > ETH_DATA_LEN ? "they end below the size of a page"
					    : "it is cut within its IP header");
	return -EMSGSIZE;
}

static int run_twin(const struct loader_explainer *ex, const struct place *place,
		    const struct loader_frame *frame, struct loader_explanation *to)
{
	static __u8 out[LOADER_FRAME_MAX + sizeof(struct xipsec_explain)];
	bool guard = place->role == XIPSEC_ROLE_UNPROTECTED && frame->dir == XIPSEC_DIR_OUT;
	bool red = place->role == XIPSEC_ROLE_PROTECTED;
	int err;

	snprintf(to->program, sizeof(to->program), "xipsec_%s",
		 guard ? "guard"
		 : red ? "red"
		       : "black");
	if (flock(ex->lock, LOCK_EX))
		return -errno;
	err = guard ? run_tc(ex->guard, place, frame, out, sizeof(out))
		    : run_xdp(red ? ex->red : ex->black, place, frame, out, sizeof(out));
	flock(ex->lock, LOCK_UN);
	if (err) {
		if (err != -EMSGSIZE)
			log_error("%s: test run: %s", to->program, strerror(-err));
		return err;
	}
	memcpy(&to->answer, out, sizeof(to->answer));
	if (to->answer.magic == XIPSEC_EXPLAIN_MAGIC && to->answer.abi == XIPSEC_ABI)
		return 0;
	log_error("%s: its twin gave no answer", to->program);
	return -EPROTO;
}

/* ------------------------------------------------------------------ what it means */

static __u32 name_rule(const struct loader_policy *policy, __u32 above, struct loader_rule *to)
{
	for (__u32 i = 0; above && i < policy->n_rules; i++) {
		if (policy->rule[i].number + 1 != above)
			continue;
		*to = policy->rule[i];
		return 1;
	}
	return 0;
}

/* The SA of that place, as the SAD has it. Nothing else in the kernel knows its SPI. */
static void find_sa(const struct datapath *dp, const struct xipsec_way *way,
		    struct xipsec_sad_key *to)
{
	struct xipsec_sad_key key, next;
	struct xipsec_sad_entry entry;
	bool first = true;

	while (way->sa_generation && !bpf_map_get_next_key(dp->sad, first ? NULL : &key, &next)) {
		key = next;
		first = false;
		if (bpf_map_lookup_elem(dp->sad, &key, &entry) || entry.sa_index != way->sa_index ||
		    entry.sa_generation != way->sa_generation)
			continue;
		*to = key;
		return;
	}
}

static void name_egress(const struct datapath *dp, __u32 ifindex, struct loader_explanation *to)
{
	struct xipsec_iface iface;
	char name[IF_NAMESIZE];

	if (!ifindex || !if_indextoname(ifindex, name))
		return;
	memcpy(to->egress, name, sizeof(to->egress));
	if (!bpf_map_lookup_elem(dp->ifaces, &ifindex, &iface))
		to->egress_role = iface.role;
}

/* -EAGAIN: the policies known are not those that the twin asked. */
static int name_all(struct loader_explainer *ex, struct loader_explanation *to)
{
	const struct xipsec_way *way = &to->answer.way;
	int err;

	if (way->spd_generation && way->spd_generation != ex->policy->generation) {
		struct loader_policy *fresh;

		err = loader_policy(ex->config, &fresh);
		if (err)
			return err;
		loader_policy_free(ex->policy);
		ex->policy = fresh;
		if (way->spd_generation != fresh->generation)
			return -EAGAIN;
	}
	to->rule_known = name_rule(ex->policy, way->rule, &to->rule);
	to->maybe_known = name_rule(ex->policy, way->maybe, &to->maybe);
	if (way->child && way->child <= XIPSEC_CHILDREN_MAX)
		memcpy(to->child, ex->policy->child[way->child - 1], sizeof(to->child));
	find_sa(&ex->dp, way, &to->sa);
	name_egress(&ex->dp, way->egress, to);
	return 0;
}

/* Programs in a dispatcher spread nothing (bpf/xipsec.bpf.c); their twin is no extension. */
static void unspread(const struct place *place, struct xipsec_explain *answer)
{
	struct xdp_state xdp;

	if (answer->reason == XIPSEC_REASON_XFRM_SPREAD && !xdp_query(place->ifindex, &xdp) &&
	    xdp.dispatcher)
		answer->reason = XIPSEC_REASON_XFRM_IN;
}

int loader_explain(struct loader_explainer *ex, const struct loader_frame *frame,
		   struct loader_explanation *out)
{
	struct place place;
	int err;

	if (frame->len < 14 || frame->len > LOADER_FRAME_MAX) {
		log_error("a frame of %u bytes: expected 14 to %u", frame->len, LOADER_FRAME_MAX);
		return -EMSGSIZE;
	}
	err = find_place(ex, frame, &place);
	if (err)
		return err;
	for (int i = 0; i < TRIES; i++) {
		struct loader_explanation one = {0};

		err = run_twin(ex, &place, frame, &one);
		if (!err)
			err = name_all(ex, &one);
		if (!err) {
			unspread(&place, &one.answer);
			*out = one;
		}
		if (err != -EAGAIN)
			return err;
	}
	log_error("the policies change all the time");
	return err;
}
