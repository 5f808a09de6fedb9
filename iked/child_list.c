// SPDX-License-Identifier: BSD-2-Clause
/*
 * list-sas: first xipsecd is asked what it has counted, then the IKE SAs that were there at that
 * moment are written, PORTION at a time. Each portion waits for the parent's word that the client
 * has read what came before: ten thousand of them lie nowhere in a heap.
 */
#include "iked/child_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iked/ike_sa.h"
#include "iked/table.h"
#include "iked/vici_sas.h"
#include "iked/vici_server.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define PORTION 64

/* What xipsecd has counted of an SA. */
struct usage {
	struct table_link by_name;
	char name[XIPSEC_NAME_LEN];
	struct vici_usage is;
};

struct sas_list {
	struct sas_list *next;
	struct child *child;
	__u64 id;                /* of the request */
	struct vici_names names; /* what it asked for */
	struct table usages;
	__u32 *ikes; /* ids of IKE SAs */
	unsigned int n, room, at;
};

static struct sas_list *list_find(struct child *c, __u64 id)
{
	struct sas_list *list = c->lists;

	while (list && list->id != id)
		list = list->next;
	return list;
}

static void list_free(struct sas_list *list)
{
	struct sas_list **at = &list->child->lists;

	while (*at != list)
		at = &(*at)->next;
	*at = list->next;
	list->child->n_lists--;
	for (unsigned int i = 0; i < list->usages.size; i++) {
		struct table_link *link = list->usages.bucket[i];

		while (link) {
			struct table_link *next = link->next;

			free(table_entry(link, struct usage, by_name));
			link = next;
		}
	}
	table_free(&list->usages);
	free(list->ikes);
	free(list);
}

void child_list_free(struct child *c)
{
	while (c->lists)
		list_free(c->lists);
}

/* ------------------------------------------------------------------ what xipsecd has counted */

/* FNV-1a: the names are ours. */
static __u64 key_of(const char *name)
{
	__u64 hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < XIPSEC_NAME_LEN && name[i]; i++)
		hash = (hash ^ (__u8)name[i]) * 0x100000001b3ULL;
	return hash;
}

/* Direction of failure: counters are missing in the list. */
static void usage_add(struct sas_list *list, const struct sadb_sa_info *info)
{
	struct usage *usage = calloc(1, sizeof(*usage));

	if (!usage)
		return;
	memcpy(usage->name, info->sa.name, sizeof(usage->name) - 1);
	usage->is = (struct vici_usage){
		.bytes = info->bytes, .packets = info->packets, .idle = info->idle};
	if (table_add(&list->usages, &usage->by_name, key_of(usage->name)))
		free(usage);
}

static bool usage_find(void *ctx, const char *name, struct vici_usage *out)
{
	const struct sas_list *list = ctx;
	struct table_link *link = table_find(&list->usages, key_of(name));

	for (; link; link = table_next(link)) {
		const struct usage *usage = table_entry(link, struct usage, by_name);

		if (strcmp(usage->name, name) == 0) {
			*out = usage->is;
			return true;
		}
	}
	return false;
}

/* ------------------------------------------------------------------ writing */

static bool note_ike(void *arg, const struct ike_sa *ike)
{
	struct sas_list *list = arg;

	if (!vici_match_ike(ike, &list->names.match))
		return true;
	if (list->n == list->room) {
		unsigned int room = list->room ? list->room * 2 : 64;
		__u32 *more = realloc(list->ikes, room * sizeof(*more));

		if (!more)
			return false;
		list->ikes = more;
		list->room = room;
	}
	list->ikes[list->n++] = ike->id;
	return true;
}

static void write_ike(struct sas_list *list, const struct ike_sa *ike)
{
	const struct vici_usages usages = {usage_find, list};
	_cleanup_vici_ struct vici_writer w = {0};

	vici_put_ike(&w, ike, &list->names.match, &usages);
	if (w.err)
		log_error("list-sas: an IKE SA does not fit into a message: %s", strerror(-w.err));
	else
		chan_say_vici(list->child->chan, CHAN_VICI_STREAM, list->id, VICI_EVENT_LIST_SA,
			      NULL, vici_view(&w));
}

static void write_portion(struct sas_list *list)
{
	struct child *c = list->child;
	unsigned int written = 0;

	for (; list->at < list->n && written < PORTION; list->at++) {
		const struct ike_sa *ike = ike_by_id(c->engine, list->ikes[list->at]);

		if (!ike)
			continue; /* gone meanwhile */
		write_ike(list, ike);
		written++;
	}
	if (list->at < list->n) {
		chan_say_vici(c->chan, CHAN_VICI_MORE, list->id, 0, NULL, BYTES("", 0));
		return;
	}
	chan_say_vici(c->chan, CHAN_VICI_ANSWER, list->id, 0, NULL, BYTES("", 0));
	list_free(list);
}

void child_list_more(struct child *c, const struct chan_vici *m)
{
	struct sas_list *list = list_find(c, m->id);

	if (list && m->more)
		list_free(list);
	else if (list)
		write_portion(list);
}

/* ------------------------------------------------------------------ beginning */

static void list_write(struct sas_list *list)
{
	engine_each_match(list->child->engine, &list->names.match, note_ike, list);
	write_portion(list);
}

static void on_usage(void *ctx, __u64 id, const struct sadb_hdr *item, size_t len, int *fds,
		     unsigned int n)
{
	struct sas_list *list = list_find(ctx, id);

	if (!list)
		return;
	if (!item || !(item->flags & XIPSEC_SADB_MORE))
		list_write(list);
	else if (sadb_sa_info_whole((const void *)item, len))
		usage_add(list, (const void *)item);
}

void child_list_begin(struct child *c, __u64 id, struct bytes message)
{
	struct sas_list *list = c->n_lists < VICI_CLIENTS_MAX ? calloc(1, sizeof(*list)) : NULL;

	if (!list) {
		child_vici_refuse(c, id, "too many lists are under way");
		return;
	}
	list->child = c;
	list->id = id;
	vici_names_read(message, &list->names);
	list->next = c->lists;
	c->lists = list;
	c->n_lists++;
	if (c->link)
		sadb_link_ask_plain(c->link, XIPSEC_SADB_SA_LIST, on_usage, id);
	else
		list_write(list);
}
