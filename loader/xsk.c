// SPDX-License-Identifier: BSD-2-Clause
#include "loader/xsk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/if_xdp.h"

static int sealed_memfd(const char *name, size_t size)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	return take_fd(&fd);
}

int xsk_umem_new(__u32 frame_size, __u32 n_frames, struct xsk_umem *out)
{
	_cleanup_close_ int memory = -1;
	int table;

	memory = sealed_memfd("xipsec-umem", (size_t)frame_size * n_frames);
	if (memory < 0)
		return memory;
	table = sealed_memfd("xipsec-frames", n_frames);
	if (table < 0)
		return table;
	*out = (struct xsk_umem){take_fd(&memory), table, frame_size, n_frames};
	return 0;
}

void xsk_umem_free(struct xsk_umem *umem)
{
	if (umem->memory >= 0)
		close(umem->memory);
	if (umem->table >= 0)
		close(umem->table);
	umem->memory = umem->table = -1;
}

/* The kernel pins the pages: the mapping is needed for the call alone. */
static int register_memory(int fd, const struct xsk_umem *umem)
{
	size_t size = (size_t)umem->frame_size * umem->n_frames;
	struct xdp_umem_reg reg = {.len = size, .chunk_size = umem->frame_size};
	void *map;
	int err;

	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, umem->memory, 0);
	if (map == MAP_FAILED)
		return -errno;
	reg.addr = (__u64)(uintptr_t)map;
	err = setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) < 0 ? -errno : 0;
	munmap(map, size);
	return err;
}

static int set_rings(int fd, struct xsk *xsk)
{
	static const int options[] = {XDP_RX_RING, XDP_TX_RING, XDP_UMEM_FILL_RING,
				      XDP_UMEM_COMPLETION_RING};
	struct xdp_mmap_offsets off;
	socklen_t len = sizeof(off);
	int size = XSK_RING_SIZE;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (setsockopt(fd, SOL_XDP, options[i], &size, sizeof(size)) < 0)
			return -errno;
	if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len) < 0)
		return -errno;
	if (len != sizeof(off))
		return -EPROTO;
#define RING(o) ((struct ctl_ring){(o).producer, (o).consumer, (o).desc, (o).flags, size, 0})
	xsk->rx = RING(off.rx);
	xsk->tx = RING(off.tx);
	xsk->fill = RING(off.fr);
	xsk->comp = RING(off.cr);
#undef RING
	return 0;
}

int xsk_new(struct xsk *out)
{
	struct xsk xsk = {0};
	_cleanup_close_ int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = set_rings(fd, &xsk);
	if (err)
		return err;
	xsk.fd = take_fd(&fd);
	*out = xsk;
	return 0;
}

static int bind_with(int fd, int shared, unsigned int ifindex, __u32 queue, __u16 flags)
{
	struct sockaddr_xdp addr = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = flags,
		.sxdp_ifindex = ifindex,
		.sxdp_queue_id = queue,
		.sxdp_shared_umem_fd = shared,
	};

	return bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
}

static int bind_owner(struct xsk *xsk, const struct xsk_umem *umem, unsigned int ifindex,
		      __u32 queue, bool copy, bool multi)
{
	__u16 flags = XDP_USE_NEED_WAKEUP | (copy ? XDP_COPY : 0) | (multi ? XDP_USE_SG : 0);
	int err = xsk->owner ? 0 : register_memory(xsk->fd, umem);

	if (err)
		return err;
	/* A socket registers once, whatever becomes of the bind. */
	xsk->owner = true;
	return bind_with(xsk->fd, 0, ifindex, queue, flags);
}

/* The other's mode (zero-copy) does not suit this device, or that socket's device has just gone. */
static bool cannot_share(int err)
{
	return err == -EOPNOTSUPP || err == -EINVAL || err == -EBADF || err == -EPROTONOSUPPORT;
}

int xsk_bind(struct xsk *xsk, const struct xsk_umem *umem, int shared, unsigned int ifindex,
	     __u32 queue, bool copy, bool multi)
{
	struct xdp_options options = {0};
	socklen_t len = sizeof(options);
	int err = -EOPNOTSUPP;

	if (shared >= 0 && !xsk->owner)
		err = bind_with(xsk->fd, shared, ifindex, queue, XDP_SHARED_UMEM);
	if (cannot_share(err))
		err = bind_owner(xsk, umem, ifindex, queue, copy, multi);
	if (err)
		return err;
	xsk->bound = true;
	if (getsockopt(xsk->fd, SOL_XDP, XDP_OPTIONS, &options, &len) == 0)
		xsk->zerocopy = options.flags & XDP_OPTIONS_ZEROCOPY;
	return 0;
}

bool xsk_can_remap(const struct xsk *xsk)
{
	size_t size = xsk->fill.desc + xsk->fill.size * sizeof(__u64);
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, xsk->fd,
			 XDP_UMEM_PGOFF_FILL_RING);

	if (map == MAP_FAILED)
		return false;
	munmap(map, size);
	return true;
}

void xsk_close(struct xsk *xsk)
{
	if (xsk->fd >= 0)
		close(xsk->fd);
	*xsk = (struct xsk){.fd = -1};
}

__u64 xsk_new_drops(struct xsk *xsk)
{
	struct xdp_statistics stats = {0};
	socklen_t len = sizeof(stats);
	__u64 total, fresh;

	if (xsk->fd < 0 || getsockopt(xsk->fd, SOL_XDP, XDP_STATISTICS, &stats, &len) < 0)
		return 0;
	/* rx_fill_ring_empty_descs counts the same packets as rx_dropped once more. */
	total = stats.rx_dropped + stats.rx_ring_full;
	fresh = total - xsk->drops;
	xsk->drops = total;
	return fresh;
}
