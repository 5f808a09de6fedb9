// SPDX-License-Identifier: BSD-2-Clause
#include "loader/reserve.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What is read of another ABI's states. */
_Static_assert(offsetof(struct xipsec_sa_state, generation) == 0 &&
		       offsetof(struct xipsec_sa_state, status) == 4 &&
		       offsetof(struct xipsec_sa_state, replay_top) == 24,
	       "the same in every ABI, for ever");

struct place {
	const char *where;
	reserve_look look;
	void *ctx;
};

static int settle_place(const struct reserve *reserve, const char *fingerprint, void *ctx)
{
	const struct place *place = ctx;
	const struct xipsec_sa_state *state;
	struct reserve_record r;

	/* The key of a record that cannot be trusted is refused anyway. */
	if (reserve_read(reserve, fingerprint, &r) || r.dir != XIPSEC_DIR_IN ||
	    strcmp(r.where, place->where) != 0)
		return 0;
	state = place->look(place->ctx, r.index);
	if (!state)
		return -EIO;
	/* The place was given to the key and never made ready, or has been another's since: its top
	 * came on record before. */
	if (state->generation != r.generation || state->status == XIPSEC_SA_FREE ||
	    state->replay_top <= r.replay_top)
		return 0;
	r.replay_top = state->replay_top;
	return reserve_touch(reserve, &r);
}

/* What is done with each record, by its name. */
typedef int settle_fn(const struct reserve *reserve, const char *fingerprint, void *ctx);

static int settle_each(const struct reserve *reserve, settle_fn *settle, void *ctx)
{
	int fd = openat(reserve->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int err, first = 0;

	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while ((entry = readdir(dir))) {
		if (strlen(entry->d_name) != RESERVE_NAME_LEN - 1)
			continue;
		err = settle(reserve, entry->d_name, ctx);
		first = first ? first : err;
	}
	closedir(dir);
	return first;
}

int reserve_settle(const struct reserve *reserve, const char *where, reserve_look look, void *ctx)
{
	struct place place = {where, look, ctx};

	return settle_each(reserve, settle_place, &place);
}

/* ------------------------------------------------------------------ kernel XFRM */

struct left {
	const struct xfrm_state *list;
	unsigned int n;
};

/* ESP and AH may share both, and a record does not tell which it is of: either goes on above both,
 * then. */
static bool is_of(const struct reserve_record *r, const struct xfrm_usersa_id *id)
{
	const bool ip6 = id->family == AF_INET6;

	return r->spi == ntohl(id->spi) &&
	       r->family == (ip6 ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4) &&
	       !memcmp(&r->dst, &id->daddr, ip6 ? 16 : 4);
}

static int settle_left(const struct reserve *reserve, const char *fingerprint, void *ctx)
{
	const struct left *left = ctx;
	struct reserve_record r;

	if (reserve_read(reserve, fingerprint, &r) || r.engine != XIPSEC_ENGINE_XFRM ||
	    r.state != RESERVE_LIVE)
		return 0;
	for (unsigned int i = 0; i < left->n; i++) {
		const struct xfrm_state *sa = &left->list[i];

		if (!is_of(&r, &sa->id))
			continue;
		if (r.dir == XIPSEC_DIR_IN && sa->heard.seq > r.replay_top) {
			r.replay_top = sa->heard.seq;
			return reserve_touch(reserve, &r);
		}
		if (r.dir == XIPSEC_DIR_OUT && sa->sent.seq > r.reserved) {
			r.reserved = sa->sent.seq;
			return reserve_write(reserve, &r);
		}
	}
	return 0;
}

int reserve_settle_kernel(const struct reserve *reserve, const struct xfrm_state *list,
			  unsigned int n)
{
	struct left left = {list, n};

	return n ? settle_each(reserve, settle_left, &left) : 0;
}
