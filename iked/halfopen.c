// SPDX-License-Identifier: BSD-2-Clause
#include "iked/halfopen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iked/bounds.h"

struct entry {
	struct table_link link;
	__u64 addr[2]; /* what identifies it, the unused rest is 0 */
	unsigned int n;
};

/* An IPv6 host owns its /64. */
static void identify(const struct ike_path *path, __u64 addr[2])
{
	size_t len = path->family == XIPSEC_FAMILY_IP6 ? 8 : 4;

	addr[0] = 0;
	memcpy(addr, &path->remote, len);
	addr[1] = path->family;
}

static struct entry *find(const struct halfopen *h, const __u64 addr[2])
{
	struct table_link *link = table_find(&h->by_addr, addr[0] ^ h->salt);

	for (; link; link = table_next(link)) {
		struct entry *entry = table_entry(link, struct entry, link);

		if (entry->addr[0] == addr[0] && entry->addr[1] == addr[1])
			return entry;
	}
	return NULL;
}

enum halfopen_verdict halfopen_ask(const struct halfopen *h, const struct ike_path *path)
{
	const struct entry *entry;
	__u64 addr[2];

	identify(path, addr);
	entry = find(h, addr);
	if (entry && entry->n >= HALFOPEN_ADDR_MAX)
		return HALFOPEN_FULL;
	if (h->n >= HALFOPEN_COOKIES || (entry && entry->n >= HALFOPEN_ADDR_COOKIES))
		return HALFOPEN_COOKIE;
	return HALFOPEN_ROOM;
}

unsigned int halfopen_of(const struct halfopen *h, const struct ike_path *path)
{
	const struct entry *entry;
	__u64 addr[2];

	identify(path, addr);
	entry = find(h, addr);
	return entry ? entry->n : 0;
}

int halfopen_add(struct halfopen *h, const struct ike_path *path)
{
	struct entry *entry;
	__u64 addr[2];

	identify(path, addr);
	entry = find(h, addr);
	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		memcpy(entry->addr, addr, sizeof(entry->addr));
		if (table_add(&h->by_addr, &entry->link, addr[0] ^ h->salt)) {
			free(entry);
			return -ENOMEM;
		}
	}
	entry->n++;
	h->n++;
	return 0;
}

void halfopen_remove(struct halfopen *h, const struct ike_path *path)
{
	struct entry *entry;
	__u64 addr[2];

	identify(path, addr);
	entry = find(h, addr);
	if (!entry)
		return;
	h->n--;
	if (--entry->n == 0) {
		table_remove(&h->by_addr, &entry->link);
		free(entry);
	}
}

void halfopen_free(struct halfopen *h)
{
	for (unsigned int i = 0; i < h->by_addr.size; i++) {
		struct table_link *link = h->by_addr.bucket[i];

		while (link) {
			struct table_link *next = link->next;

			free(table_entry(link, struct entry, link));
			link = next;
		}
	}
	table_free(&h->by_addr);
	h->n = 0;
}
