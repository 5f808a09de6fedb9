// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the process before this one left at xipsecd: SAs that carry traffic, of IKE SAs that nobody
 * knows any more. They go on carrying it until their child is up by SAs of ours; the outbound ones
 * end then, the inbound ones some seconds after the peer is known to send by ours, or must. Their
 * connections begin again within JITTER_MS, each at a time of its own, so that a hundred peers are
 * not asked at once; and again, ever more rarely, as long as that is in vain. One that reaches a
 * limit before is deleted: stopped, it would drop what its policies protect, and nobody would ask
 * for another.
 */
#include "iked/child_inside.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/rand.h>

#include "lib/log.h"

#define JITTER_MS    3000
#define RETRY_MS     30000 /* in vain: doubled up to the next, jittered upwards by as much again */
#define RETRY_MAX_MS 300000

/* The peer goes on sending by what it had until it gets something by ours (RFC 7296 2.8), which
 * may be never: so long, as we do, and then packets are under way. */
#define UNUSED_MS (SWITCH_MS + OLD_INBOUND_MS)

/* They are looked through this often at most, however many there are. */
#define LOOK_MS 100

struct orphan {
	struct orphan *next;
	struct table_link by_child, by_peer;
	struct table_link alive; /* by child, while it is neither gone nor to end */
	char sa[XIPSEC_NAME_LEN];
	char child[XIPSEC_NAME_LEN]; /* CONN/CHILD, or the name of its tunnel */
	struct xipsec_addr peer;     /* several may have SAs of one child */
	bool out;
	bool gone;     /* it is deleted; its child is to begin all the same */
	__u64 restart; /* ms: its child begins again then; 0: not any more */
	__u64 wait;    /* ms: how long after that once more; 0: it has not begun yet */
	__u64 end;     /* ms: it is deleted then; 0: not yet */
};

static __u64 jitter(__u64 max)
{
	__u32 r = 0;

	RAND_bytes((unsigned char *)&r, sizeof(r));
	return r % max + 1;
}

/* The number in "net-7-i"; 0: it has none. */
static __u32 id_of(const char *sa)
{
	const char *way = strrchr(sa, '-'), *id = way;

	while (id && id > sa && id[-1] >= '0' && id[-1] <= '9')
		id--;
	return id != way ? (__u32)strtoul(id, NULL, 10) : 0;
}

/* FNV-1a: the names are those of the config. */
static __u64 key_of(const char *name)
{
	__u64 hash = 0xcbf29ce484222325ULL;

	while (*name)
		hash = (hash ^ (__u8)*name++) * 0x100000001b3ULL;
	return hash;
}

/* Of one child there may be thousands, each with another peer. */
static __u64 key_with(const char *child, const struct xipsec_addr *peer)
{
	__u64 hash = key_of(child);

	for (unsigned int i = 0; i < sizeof(peer->byte); i++)
		hash = (hash ^ peer->byte[i]) * 0x100000001b3ULL;
	return hash;
}

/* Its end is near, or was. */
static void not_alive(struct child *c, struct orphan *o)
{
	if (o->alive.at)
		table_remove(&c->orphans_alive, &o->alive);
}

static void leave(struct child *c, struct orphan *o)
{
	not_alive(c, o);
	if (o->by_peer.at)
		table_remove(&c->orphans_by_peer, &o->by_peer);
	if (o->by_child.at)
		table_remove(&c->orphans_by_child, &o->by_child);
}

void child_orphans_see(struct child *c, const struct xipsec_sa *sa, bool stopped)
{
	struct orphan *o;

	if (!memchr(sa->name, 0, sizeof(sa->name)) || !memchr(sa->child, 0, sizeof(sa->child)) ||
	    engine_has_sa(c->engine, sa->name))
		return;
	o = calloc(1, sizeof(*o));
	if (!o)
		return;
	memcpy(o->sa, sa->name, sizeof(o->sa));
	memcpy(o->child, sa->child, sizeof(o->child));
	o->out = sa->dir == XIPSEC_DIR_OUT;
	o->peer = o->out ? sa->dst : sa->src;
	engine_ids_behind(c->engine, id_of(o->sa)); /* or new ones would have the same names */
	o->restart = child_now() + jitter(JITTER_MS);
	if (table_add(&c->orphans_by_child, &o->by_child, key_of(o->child)) ||
	    table_add(&c->orphans_by_peer, &o->by_peer, key_with(o->child, &o->peer)) ||
	    table_add(&c->orphans_alive, &o->alive, key_of(o->child))) {
		leave(c, o);
		free(o);
		return;
	}
	o->next = c->orphans;
	c->orphans = o;
	if (!stopped)
		return;
	o->gone = true; /* nobody will tell that it stopped: that was said to who is dead */
	not_alive(c, o);
	child_sadb_delete(c, o->sa);
}

/* ------------------------------------------------------------------ timers */

static void timer_at(struct event *event, __u64 at)
{
	__u64 now = child_now(), wait = at > now + LOOK_MS ? at - now : LOOK_MS;
	struct timeval tv = {(time_t)(wait / 1000), (suseconds_t)(wait % 1000 * 1000)};

	event_add(event, &tv);
}

static void plan(struct child *c)
{
	__u64 restart = 0, end = 0;

	for (const struct orphan *o = c->orphans; o; o = o->next) {
		if (o->restart && (!restart || o->restart < restart))
			restart = o->restart;
		if (o->end && (!end || o->end < end))
			end = o->end;
	}
	if (restart)
		timer_at(c->restart, restart);
	c->linger_at = end;
	if (end)
		timer_at(c->linger, end);
}

/* ------------------------------------------------------------------ begin again */

static bool has_some(const struct child *c, const char *child)
{
	struct table_link *link = table_find(&c->orphans_alive, key_of(child));

	while (link && strcmp(table_entry(link, struct orphan, alive)->child, child) != 0)
		link = table_next(link);
	return link;
}

void child_orphans_tell(struct child *c, const char *name)
{
	const struct conn *conn = engine_conn(c->engine, name);
	bool any = false;

	for (unsigned int i = 0; conn && i < conn->n_children && !any; i++)
		any = has_some(c, conn->children[i].sadb_name);
	engine_conn_orphans(c->engine, name, any);
}

static void tell(struct child *c, const char *child)
{
	const struct conn *conn = engine_conn_of_child(c->engine, child);

	if (conn)
		child_orphans_tell(c, conn->name);
}

void child_orphans_seen(struct child *c)
{
	unsigned int n = 0;

	for (const struct orphan *o = c->orphans; o; o = o->next) {
		tell(c, o->child);
		n += !o->gone;
	}
	if (n)
		log_info("%u SAs of the process before this one carry traffic until others take "
			 "their place",
			 n);
	plan(c);
}

bool child_orphans_start(const struct child *c, const char *name)
{
	const struct conn *conn = engine_conn(c->engine, name);

	for (unsigned int i = 0; conn && i < conn->n_children; i++) {
		const char *child = conn->children[i].sadb_name;
		struct table_link *link = table_find(&c->orphans_by_child, key_of(child));

		for (; link; link = table_next(link)) {
			const struct orphan *o = table_entry(link, struct orphan, by_child);

			if (o->restart && !o->wait && strcmp(o->child, child) == 0)
				return true;
		}
	}
	return false;
}

static void wait_longer(struct orphan *o)
{
	o->wait = !o->wait ? RETRY_MS : o->wait < RETRY_MAX_MS / 2 ? o->wait * 2 : RETRY_MAX_MS;
	o->restart = o->gone || o->end ? 0 : child_now() + o->wait + jitter(o->wait);
}

/* Once for each child, however many SAs of it there are. The first time the rest of its connection
 * begins with it. */
static void begin(struct child *c, const char *child)
{
	const struct conn *conn = engine_conn_of_child(c->engine, child);
	struct table_link *link = table_find(&c->orphans_by_child, key_of(child));
	bool first = conn && child_orphans_start(c, conn->name);

	for (; link; link = table_next(link)) {
		struct orphan *o = table_entry(link, struct orphan, by_child);

		if (strcmp(o->child, child) == 0)
			wait_longer(o);
	}
	engine_begin_child(c->engine, child);
	if (first)
		engine_start(c->engine, conn->name);
}

/* What is deleted and has begun its child is nothing any more. */
static void sweep(struct child *c)
{
	struct orphan **link = &c->orphans;

	while (*link) {
		struct orphan *o = *link;

		if (!o->gone || o->restart) {
			link = &o->next;
			continue;
		}
		*link = o->next;
		leave(c, o);
		free(o);
	}
}

void child_orphans_restart(evutil_socket_t fd, short what, void *ctx)
{
	struct child *c = ctx;
	__u64 now = child_now();

	for (struct orphan *o = c->orphans; o; o = o->next)
		if (o->restart && o->restart <= now)
			begin(c, o->child);
	sweep(c);
	plan(c);
	child_plan(c);
}

/* ------------------------------------------------------------------ the end */

void child_orphans_over(struct child *c, const char *sa, const char *sadb_child, bool again)
{
	struct table_link *link = table_find(&c->orphans_by_child, key_of(sadb_child));

	for (; link; link = table_next(link)) {
		struct orphan *o = table_entry(link, struct orphan, by_child);

		if (o->gone || strcmp(o->sa, sa) != 0)
			continue;
		log_info("SA %s of the process before this one is over: deleted", sa);
		child_sadb_delete(c, sa);
		o->gone = true;
		not_alive(c, o);
		o->restart = again && !o->end ? child_now() + jitter(JITTER_MS) : 0;
		o->end = 0;
		tell(c, sadb_child);
		plan(c);
		return;
	}
}

static bool is_of(const struct orphan *o, const char *sadb_child, const struct xipsec_addr *peer)
{
	return strcmp(o->child, sadb_child) == 0 && memcmp(&o->peer, peer, sizeof(*peer)) == 0;
}

static void end_at(struct child *c, struct orphan *o, __u64 at)
{
	o->end = at;
	not_alive(c, o);
	if (!c->linger_at || at < c->linger_at) {
		c->linger_at = at;
		timer_at(c->linger, at);
	}
}

/* `event` is called from inside the engine: nothing may call it back here. */
void child_orphans_replaced(struct child *c, const char *sadb_child, const struct xipsec_addr *peer)
{
	struct table_link *link = table_find(&c->orphans_by_peer, key_with(sadb_child, peer));
	__u64 now = child_now();

	for (; link; link = table_next(link)) {
		struct orphan *o = table_entry(link, struct orphan, by_peer);

		if (!is_of(o, sadb_child, peer))
			continue;
		o->restart = 0;
		if (!o->end && !o->gone)
			end_at(c, o, o->out ? now : now + UNUSED_MS);
	}
}

void child_orphans_used(struct child *c, const char *sa, const char *sadb_child,
			const struct xipsec_addr *peer)
{
	struct table_link *link = table_find(&c->orphans_by_peer, key_with(sadb_child, peer));
	__u64 at = child_now() + OLD_INBOUND_MS;

	if (!link || !engine_has_sa(c->engine, sa))
		return;
	for (; link; link = table_next(link)) {
		struct orphan *o = table_entry(link, struct orphan, by_peer);

		if (is_of(o, sadb_child, peer) && o->end > at)
			end_at(c, o, at);
	}
}

void child_orphans_linger(evutil_socket_t fd, short what, void *ctx)
{
	struct child *c = ctx;
	struct orphan **link = &c->orphans;
	__u64 now = child_now();

	while (*link) {
		struct orphan *o = *link;

		if (!o->end || o->end > now) {
			link = &o->next;
			continue;
		}
		*link = o->next;
		child_sadb_delete(c, o->sa);
		leave(c, o);
		tell(c, o->child);
		free(o);
	}
	sweep(c);
	plan(c);
	child_plan(c);
}

void child_orphans_delete(struct child *c)
{
	for (const struct orphan *o = c->orphans; o; o = o->next)
		if (!o->gone)
			child_sadb_delete(c, o->sa);
	child_orphans_free(c);
}

/* Their names are nobody's any more; what they were to begin begins. */
void child_orphans_lost(struct child *c)
{
	for (struct orphan *o = c->orphans; o; o = o->next) {
		o->gone = true;
		o->end = 0;
		not_alive(c, o);
	}
	for (const struct orphan *o = c->orphans; o; o = o->next)
		tell(c, o->child);
	sweep(c);
	plan(c);
}

void child_orphans_free(struct child *c)
{
	while (c->orphans) {
		struct orphan *o = c->orphans;

		c->orphans = o->next;
		leave(c, o);
		free(o);
	}
	table_free(&c->orphans_by_child);
	table_free(&c->orphans_by_peer);
	table_free(&c->orphans_alive);
}
