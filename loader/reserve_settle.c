// SPDX-License-Identifier: BSD-2-Clause
#include "loader/reserve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What is read of another ABI's states. */
_Static_assert(offsetof(struct xipsec_sa_state, generation) == 0 &&
		       offsetof(struct xipsec_sa_state, status) == 4 &&
		       offsetof(struct xipsec_sa_state, replay_top) == 24,
	       "the same in every ABI, for ever");

static int settle_one(const struct reserve *reserve, const char *fingerprint, const char *where,
		      reserve_look look, void *ctx)
{
	const struct xipsec_sa_state *state;
	struct reserve_record r;

	/* The key of a record that cannot be trusted is refused anyway. */
	if (reserve_read(reserve, fingerprint, &r) || r.dir != XIPSEC_DIR_IN ||
	    strcmp(r.where, where) != 0)
		return 0;
	state = look(ctx, r.index);
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

int reserve_settle(const struct reserve *reserve, const char *where, reserve_look look, void *ctx)
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
		err = settle_one(reserve, entry->d_name, where, look, ctx);
		first = first ? first : err;
	}
	closedir(dir);
	return first;
}
