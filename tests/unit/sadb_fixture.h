/* SPDX-License-Identifier: BSD-2-Clause */
/* A SADB without kernel and workers: the maps are an array, the workers a list of what they were
 * told, the disk can be broken. */
#ifndef TESTS_UNIT_SADB_FIXTURE_H
#define TESTS_UNIT_SADB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/manual.h"
#include "loader/sadb_server.h"

#define MAX 8

/* Two generations of maps; `states` is the one in force. */
static struct xipsec_sa_state homes[2][MAX];
static struct xipsec_sa_state *states = homes[0];
static char said[2048]; /* what was done, in order */
static struct xipsec_child child_now;
static struct xipsec_sad_key sad_key; /* what the map was given last */
static struct xipsec_sad_entry sad_entry;
static struct xipsec_sa given; /* to the workers, last */
static unsigned int n_workers;
static int sad_fails;
static __u32 limit_told; /* enum xipsec_limit of the last hard expire */
static char dir[64];
static struct reserve reserve;
static struct sas *sas;
static char text[XIPSEC_SADB_ERR_TEXT];

static inline void say(const char *what, unsigned int index)
{
	size_t at = strlen(said);

	snprintf(said + at, sizeof(said) - at, "%s%u ", what, index);
}

/* What the state says at that moment is part of the order. */
static inline unsigned int status_of(unsigned int index)
{
	return states[index].status;
}

static inline int sad_set(void *ctx, const struct xipsec_sad_key *key,
			  const struct xipsec_sad_entry *entry)
{
	assert_int_equal(status_of(entry->sa_index), XIPSEC_SA_LIVE);
	assert_int_equal(states[entry->sa_index].generation, entry->sa_generation);
	sad_key = *key;
	sad_entry = *entry;
	say("sad", entry->sa_index);
	return sad_fails;
}

static inline int sad_delete(void *ctx, const struct xipsec_sad_key *key)
{
	say("unsad", 0);
	return 0;
}

static inline int child_id(void *ctx, const struct xipsec_sa *of)
{
	return of->child[0] - 'a';
}

static inline int child_set(void *ctx, __u32 id, const struct xipsec_child *child)
{
	say(child->sa_generation ? "child" : "nochild", child->sa_index);
	child_now = *child;
	return 0;
}

static inline void install(void *ctx, const struct ctl_sa *msg)
{
	assert_int_equal(status_of(msg->index), XIPSEC_SA_LIVE);
	assert_true(msg->sa.key[0] != 0);
	xipsec_sa_copy(&given, &msg->sa);
	say("key", msg->index);
}

static inline void forget(void *ctx, const struct ctl_sa_ref *refs, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(status_of(refs[i].index), XIPSEC_SA_LIVE);
		assert_int_equal(states[refs[i].index].generation, refs[i].generation);
		say("forget", refs[i].index);
	}
}

static inline void settle(void *ctx)
{
	say("settled", 0);
}

static inline void event(void *ctx, struct sadb_event *event)
{
	if (event->event == XIPSEC_EVENT_ADDED || event->event == XIPSEC_EVENT_DELETED)
		return;
	assert_int_equal(event->event, XIPSEC_EVENT_EXPIRE_HARD);
	limit_told = event->limit;
	say("stopped", event->sa_index);
}

static inline unsigned int workers(void *ctx)
{
	return n_workers;
}

/* Inbound SAs that the map `peers` has, and which ends came last. */
static unsigned int peers_known;
static struct xipsec_peer_key peer_key;

static inline int peer(void *ctx, const struct xipsec_peer_key *key, bool more)
{
	peer_key = *key;
	peers_known += more ? 1 : -1;
	return 0;
}

static const struct sas_ops ops = {sad_set, sad_delete, child_id, child_set, install, forget,
				   event,   workers,    NULL,     peer,      settle};

static inline void start(const char *where)
{
	assert_int_equal(reserve_open(dir, &reserve, text), 0);
	sas = sas_new(MAX, &reserve, &ops, NULL);
	assert_non_null(sas);
	assert_int_equal(sas_bind(sas, states, sizeof(states[0]), MAX, where), 0);
}

/* As kill -9 does: nothing is written back. */
static inline void crash(void)
{
	sas_free(sas);
	reserve_close(&reserve);
}

static inline int setup(void **state)
{
	memset(homes, 0, sizeof(homes));
	states = homes[0];
	said[0] = 0;
	n_workers = 1;
	sad_fails = 0;
	strcpy(dir, "/tmp/xipsec-sadb.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	start("boot:1");
	return 0;
}

static inline int teardown(void **state)
{
	char command[128];

	crash();
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static inline struct xipsec_sa make(const char *name, __u8 direction, __u32 spi)
{
	struct xipsec_sa sa = {.child = "a",
			       .spi = htonl(spi),
			       .outer_family = XIPSEC_FAMILY_IP4,
			       .l4_proto = IPPROTO_ESP,
			       .dir = direction,
			       .mode = XIPSEC_MODE_TUNNEL,
			       .alg = XIPSEC_ALG_AES128GCM16,
			       .flags = XIPSEC_SA_MANUAL | XIPSEC_SA_FRESH_KEY,
			       .window = 1024,
			       .n_selectors = direction == XIPSEC_DIR_IN,
			       .key_len = 20};

	strcpy(sa.name, name);
	for (int i = 3; i < 20; i++)
		sa.key[i] = 0xa0 + i;
	sa.key[0] = 1;
	sa.key[1] = spi & 0xff;
	sa.key[2] = spi >> 8 & 0xff;
	return sa;
}

static inline struct sa *add(const char *name, __u8 direction, __u32 spi)
{
	struct xipsec_sa sa = make(name, direction, spi);

	assert_int_equal(sas_add(sas, &sa, text), 0);
	return sas_by_name(sas, name);
}

static inline void delete (struct sa *sa)
{
	sas_delete(sas, &sa, 1);
}

static inline ssize_t no_room(int fd, const void *buf, size_t len)
{
	errno = ENOSPC;
	return -1;
}

static inline ssize_t no_touch(int fd, const void *buf, size_t len, off_t at)
{
	errno = EIO;
	return -1;
}

/* An inbound SA that saw 32 and 40 and wrote nothing of it yet. */
static inline struct sa *add_with_window(const char *name, __u32 spi)
{
	struct sa *sa = add(name, XIPSEC_DIR_IN, spi);

	states[sa->index].replay_top = 40;
	states[sa->index].replay[1] = 0x101;
	return sa;
}

#endif
