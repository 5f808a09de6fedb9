// SPDX-License-Identifier: BSD-2-Clause
#include "tools/xipsec/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IFACES_MAX     64
#define IFACE_NAME_MAX 31

#define BLOCK_SECTION   0x0a0d0d0a
#define BLOCK_IFACE     1
#define BLOCK_PACKET    6
#define BYTE_ORDER_MARK 0x1a2b3c4d

/* The only one: libpcap reads no file that has two. */
#define LINK_ETHERNET 1

#define OPT_END        0
#define OPT_COMMENT    1
#define OPT_IF_NAME    2
#define OPT_IF_TSRESOL 9
#define OPT_SHB_USER   4
#define TSRESOL_NS     9

struct iface {
	char name[IFACE_NAME_MAX + 1];
};

struct pcapng {
	FILE *file;
	struct iface iface[IFACES_MAX];
	unsigned int n_ifaces;
};

/* One block in the making: its length stands in front and behind. */
struct block {
	__u8 data[4096];
	__u32 len;
};

static void put(struct block *block, const void *data, __u32 len)
{
	memcpy(block->data + block->len, data, len);
	block->len += len;
}

static void put32(struct block *block, __u32 value)
{
	put(block, &value, sizeof(value));
}

static void put16(struct block *block, __u16 value)
{
	put(block, &value, sizeof(value));
}

static void pad(struct block *block)
{
	while (block->len % 4)
		block->data[block->len++] = 0;
}

static void begin(struct block *block, __u32 type)
{
	block->len = 0;
	put32(block, type);
	put32(block, 0); /* its length, when it is known */
}

static void option(struct block *block, __u16 code, const void *value, __u32 len)
{
	put16(block, code);
	put16(block, (__u16)len);
	put(block, value, len);
	pad(block);
}

static int finish(struct pcapng *pcapng, struct block *block)
{
	put32(block, OPT_END);
	put32(block, block->len + 4);
	memcpy(block->data + 4, &block->len, sizeof(block->len));
	if (fwrite(block->data, block->len, 1, pcapng->file) != 1 || fflush(pcapng->file))
		return errno ? -errno : -EIO;
	return 0;
}

static int write_section(struct pcapng *pcapng)
{
	static const char user[] = "xipsec " XIPSEC_VERSION;
	struct block block;

	begin(&block, BLOCK_SECTION);
	put32(&block, BYTE_ORDER_MARK);
	put16(&block, 1);
	put16(&block, 0);
	put32(&block, 0xffffffff); /* length of the section: not known */
	put32(&block, 0xffffffff);
	option(&block, OPT_SHB_USER, user, sizeof(user) - 1);
	return finish(pcapng, &block);
}

static int write_iface(struct pcapng *pcapng, const struct iface *iface)
{
	__u8 resolution = TSRESOL_NS;
	struct block block;

	begin(&block, BLOCK_IFACE);
	put16(&block, LINK_ETHERNET);
	put16(&block, 0);
	put32(&block, 0); /* no limit of its own */
	option(&block, OPT_IF_NAME, iface->name, (__u32)strlen(iface->name));
	option(&block, OPT_IF_TSRESOL, &resolution, 1);
	return finish(pcapng, &block);
}

/* Number of the interface's block, which is written when there is none; or -errno. */
static int iface_of(struct pcapng *pcapng, const char *name)
{
	struct iface *iface;
	int err;

	for (unsigned int i = 0; i < pcapng->n_ifaces; i++) {
		iface = &pcapng->iface[i];
		if (!strncmp(iface->name, name, IFACE_NAME_MAX))
			return (int)i;
	}
	if (pcapng->n_ifaces == IFACES_MAX)
		return -E2BIG;
	iface = &pcapng->iface[pcapng->n_ifaces];
	snprintf(iface->name, sizeof(iface->name), "%.31s", name);
	err = write_iface(pcapng, iface);
	return err ? err : (int)pcapng->n_ifaces++;
}

/* Of what came without one: both MACs are zero, which no frame on a wire has. */
static void put_ethernet(struct block *block, const __u8 *packet)
{
	__u16 type = packet[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	__u8 header[ETH_HLEN] = {[12] = (__u8)(type >> 8), [13] = (__u8)type};

	put(block, header, sizeof(header));
}

int pcapng_write(struct pcapng *pcapng, const struct pcapng_packet *packet)
{
	int iface = iface_of(pcapng, packet->iface);
	__u32 front = packet->raw ? ETH_HLEN : 0;
	__u32 len = packet->len > packet->captured ? packet->len : packet->captured;
	size_t comment = strlen(packet->comment);
	struct block block;

	if (iface < 0)
		return iface;
	if (front + packet->captured + comment + 64 > sizeof(block.data))
		return -EMSGSIZE;
	begin(&block, BLOCK_PACKET);
	put32(&block, (__u32)iface);
	put32(&block, (__u32)(packet->time >> 32));
	put32(&block, (__u32)packet->time);
	put32(&block, front + packet->captured);
	put32(&block, front + len);
	if (front)
		put_ethernet(&block, packet->data);
	put(&block, packet->data, packet->captured);
	pad(&block);
	option(&block, OPT_COMMENT, packet->comment, (__u32)comment);
	return finish(pcapng, &block);
}

int pcapng_open(const char *path, struct pcapng **out)
{
	struct pcapng *pcapng = calloc(1, sizeof(*pcapng));
	int fd, err;

	if (!pcapng)
		return -ENOMEM;
	fd = strcmp(path, "-") ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
			       : dup(STDOUT_FILENO);
	pcapng->file = fd >= 0 ? fdopen(fd, "w") : NULL;
	err = pcapng->file ? write_section(pcapng) : -errno;
	if (err) {
		if (fd >= 0 && !pcapng->file)
			close(fd);
		pcapng_close(pcapng);
		return err;
	}
	*out = pcapng;
	return 0;
}

void pcapng_close(struct pcapng *pcapng)
{
	if (pcapng && pcapng->file)
		fclose(pcapng->file);
	free(pcapng);
}
