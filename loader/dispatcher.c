// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dispatcher.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include "lib/cleanup.h"
#include "lib/log.h"

/* ------------------------------------------------------------------ what the kernel says */

/* Is the link that of an extension of this program? Fills in the extension's description. */
static bool link_is_guest(int link_fd, __u32 host_id, struct dispatcher_guest *guest)
{
	struct bpf_link_info link = {0};
	struct bpf_prog_info prog = {0};
	__u32 len = sizeof(link);
	_cleanup_close_ int fd = -1;

	if (bpf_obj_get_info_by_fd(link_fd, &link, &len) || link.type != BPF_LINK_TYPE_TRACING ||
	    link.tracing.target_obj_id != host_id)
		return false;
	fd = bpf_prog_get_fd_by_id(link.prog_id);
	len = sizeof(prog);
	/* The target of other tracing programs is a BTF object with a number of its own. */
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &prog, &len) || prog.type != BPF_PROG_TYPE_EXT)
		return false;
	guest->prog_id = prog.id;
	memcpy(guest->prog_name, prog.name, sizeof(guest->prog_name) - 1);
	guest->prog_name[sizeof(guest->prog_name) - 1] = 0;
	return true;
}

int dispatcher_guests(__u32 dispatcher_id, struct dispatcher_guest list[DISPATCHER_GUESTS_MAX])
{
	__u32 id = 0;
	int n = 0;

	while (n < DISPATCHER_GUESTS_MAX && !bpf_link_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return -errno;
		if (link_is_guest(fd, dispatcher_id, &list[n]))
			n++;
	}
	return n;
}

/* ------------------------------------------------------------------ what libxdp does */

static int quiet(enum libxdp_print_level level, const char *fmt, va_list args)
{
	char line[512];

	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = 0;
	log_debug("libxdp: %s", line);
	return 0;
}

bool dispatcher_is_pinned(unsigned int ifindex)
{
	struct xdp_multiprog *all;
	bool pinned;

	libxdp_set_print(quiet);
	all = xdp_multiprog__get_from_ifindex((int)ifindex);
	if (!all || libxdp_get_error(all))
		return false;
	/* libxdp calls a dispatcher whose pins it cannot read "legacy". */
	pinned = !xdp_multiprog__is_legacy(all);
	xdp_multiprog__close(all);
	return pinned;
}

static int change(unsigned int ifindex, bool generic, int ext_fd, bool add)
{
	enum xdp_attach_mode mode = generic ? XDP_MODE_SKB : XDP_MODE_NATIVE;
	struct xdp_program *prog;
	int err;

	libxdp_set_print(quiet);
	prog = xdp_program__from_fd(ext_fd);
	err = prog ? (int)libxdp_get_error(prog) : -ENOMEM;
	if (err)
		return err;
	err = add ? xdp_program__attach(prog, (int)ifindex, mode, 0)
		  : xdp_program__detach(prog, (int)ifindex, mode, 0);
	xdp_program__close(prog);
	return err;
}

int dispatcher_add(unsigned int ifindex, bool generic, int ext_fd)
{
	return change(ifindex, generic, ext_fd, true);
}

int dispatcher_remove(unsigned int ifindex, bool generic, int ext_fd)
{
	return change(ifindex, generic, ext_fd, false);
}

/* ------------------------------------------------------------------ holding on */

#define HELD_MAX 256

/* Of the process, not of a caller: they live exactly as long as it does. */
static int held[HELD_MAX];
static unsigned int n_held;

void dispatcher_hold(const __u32 *dispatcher_ids, unsigned int n)
{
	struct dispatcher_guest guest;
	unsigned int n_before = n_held;
	int before[HELD_MAX];
	__u32 id = 0;

	memcpy(before, held, sizeof(before));
	n_held = 0;
	while (n && n_held < HELD_MAX && !bpf_link_get_next_id(id, &id)) {
		int fd = bpf_link_get_fd_by_id(id);
		bool ours = false;

		for (unsigned int i = 0; i < n && fd >= 0 && !ours; i++)
			ours = link_is_guest(fd, dispatcher_ids[i], &guest);
		if (ours)
			held[n_held++] = fd;
		else if (fd >= 0)
			close(fd);
	}
	/* Afterwards: one that stays is never without a holder. */
	while (n_before)
		close(before[--n_before]);
}
