// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where the peer of a connection is, and from which of our addresses the kernel reaches it. Names
 * go to the resolver; all that was found comes as one answer, in the order of the config. While no
 * resolver runs, they wait for the next one: a reload makes it anew in the moment in which new
 * connections begin.
 */
#include "iked/parent_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define SEARCHES_MAX 1024
#define ASKED_MAX    3 /* resolvers that die of a question, perhaps */
#define NATT_PORT    4500

/* A question of the child. Its parts: the hosts of remote_addrs, each found at once or by name. */
struct search {
	struct search *next;
	__u64 id;     /* the child's */
	__u64 number; /* ours: another child may have the same ids */
	char name[CONN_NAME_LEN];
	bool waits;         /* for a resolver */
	unsigned int asked; /* so many of them */
	unsigned int open;  /* names that the resolver still looks for */
	unsigned int n;
	struct chan_address found[CONN_HOSTS_MAX];
};

/* ------------------------------------------------------------------ our side */

static socklen_t sockaddr_of(const struct xipsec_addr *addr, __u32 family,
			     struct sockaddr_storage *out)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(500)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(500)};

	memcpy(&in.sin_addr, addr->byte, 4);
	memcpy(&in6.sin6_addr, addr->byte, 16);
	memset(out, 0, sizeof(*out));
	if (family == XIPSEC_FAMILY_IP4)
		memcpy(out, &in, sizeof(in));
	else
		memcpy(out, &in6, sizeof(in6));
	return family == XIPSEC_FAMILY_IP4 ? sizeof(in) : sizeof(in6);
}

/* The source address that the kernel would choose: nothing is sent. */
static bool source_for(const struct xipsec_addr *remote, __u32 family, struct xipsec_addr *out)
{
	_cleanup_close_ int fd = socket(family == XIPSEC_FAMILY_IP4 ? AF_INET : AF_INET6,
					SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage addr;
	socklen_t len = sockaddr_of(remote, family, &addr);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		return false;
	memset(out, 0, sizeof(*out));
	if (family == XIPSEC_FAMILY_IP4)
		memcpy(out->byte, &((struct sockaddr_in *)&addr)->sin_addr, 4);
	else
		memcpy(out->byte, &((struct sockaddr_in6 *)&addr)->sin6_addr, 16);
	return true;
}

static bool is_one(const struct conn_host *host)
{
	return host->kind == CONN_HOST_RANGE && !memcmp(&host->lo, &host->hi, sizeof(host->lo));
}

/* An address that the config names, else the kernel's choice, if the config takes it. */
static bool local_for(const struct conn *conn, const struct xipsec_addr *remote, __u32 family,
		      struct xipsec_addr *out)
{
	for (unsigned int i = 0; i < conn->local_addrs.n; i++) {
		const struct conn_host *host = &conn->local_addrs.host[i];

		if (is_one(host) && host->family == family) {
			*out = host->lo;
			return true;
		}
	}
	return source_for(remote, family, out) &&
	       conn_hosts_match(&conn->local_addrs, out, (__u8)family);
}

/* ------------------------------------------------------------------ answers */

static unsigned int make_paths(const struct conn *conn, const struct search *s,
			       struct ike_path paths[IKE_PATHS_MAX])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->n && n < IKE_PATHS_MAX; i++) {
		struct ike_path path = {.remote = s->found[i].addr,
					.local_port = htons(conn->local_port),
					.remote_port = htons(conn->remote_port),
					.family = (__u8)s->found[i].family};

		if (!local_for(conn, &path.remote, path.family, &path.local))
			continue;
		path.natt = conn->local_port == NATT_PORT || conn->remote_port == NATT_PORT;
		if (path.natt)
			path.local_port = htons(NATT_PORT);
		paths[n++] = path;
	}
	return n;
}

static void answer(struct parent *p, const struct search *s)
{
	const struct conn *conn = parent_conn(p, s->name);
	struct chan_paths_answer m = {.id = s->id};

	m.n = conn ? make_paths(conn, s, m.path) : 0;
	m.err = m.n ? 0 : s->n ? -EHOSTUNREACH : -ENOENT;
	if (p->child_ready && proc_chan(p->child))
		chan_send(proc_chan(p->child), CHAN_PATHS_ANSWER, &m, sizeof(m), NULL, 0);
}

static void search_end(struct parent *p, struct search *s)
{
	struct search **link = &p->searches;

	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	p->n_searches--;
	answer(p, s);
	free(s);
}

/* ------------------------------------------------------------------ names */

static bool resolve(struct parent *p, struct search *s, const char *host)
{
	struct chan_resolve m = {.id = s->number};

	if (strlen(host) >= sizeof(m.host))
		return false;
	strcpy(m.host, host);
	chan_send(proc_chan(p->resolver), CHAN_RESOLVE, &m, sizeof(m), NULL, 0);
	return true;
}

static void search_hosts(struct parent *p, const struct conn *conn, struct search *s)
{
	for (unsigned int i = 0; i < conn->remote_addrs.n; i++) {
		const struct conn_host *host = &conn->remote_addrs.host[i];

		if (is_one(host) && s->n < CONN_HOSTS_MAX)
			s->found[s->n++] =
				(struct chan_address){.addr = host->lo, .family = host->family};
		else if (host->kind == CONN_HOST_NAME && resolve(p, s, host->name))
			s->open++;
	}
}

static bool has_names(const struct conn *conn)
{
	for (unsigned int i = 0; i < conn->remote_addrs.n; i++)
		if (conn->remote_addrs.host[i].kind == CONN_HOST_NAME)
			return true;
	return false;
}

/* From the beginning. */
static void search_begin(struct parent *p, struct search *s)
{
	const struct conn *conn = parent_conn(p, s->name);

	s->n = s->open = 0;
	s->waits = conn && has_names(conn) && !proc_chan(p->resolver);
	if (s->waits)
		return;
	s->asked++;
	if (conn)
		search_hosts(p, conn, s);
	if (!s->open)
		search_end(p, s);
}

void parent_paths_resolved(struct parent *p, const struct chan_resolved *m)
{
	struct search *s = p->searches;

	while (s && s->number != m->id)
		s = s->next;
	if (!s || !s->open)
		return;
	for (__u32 i = 0; i < m->n && s->n < CONN_HOSTS_MAX; i++)
		s->found[s->n++] = m->address[i];
	if (--s->open == 0)
		search_end(p, s);
}

void parent_paths_wait(struct parent *p)
{
	struct search *s, *next;

	for (s = p->searches; s; s = next) {
		next = s->next;
		if (s->asked < ASKED_MAX)
			s->waits = true;
		else
			search_end(p, s);
	}
}

void parent_paths_go_on(struct parent *p)
{
	struct search *s, *next;

	for (s = p->searches; s; s = next) {
		next = s->next;
		search_begin(p, s);
	}
}

void parent_paths_free(struct parent *p)
{
	while (p->searches) {
		struct search *s = p->searches;

		p->searches = s->next;
		free(s);
	}
	p->n_searches = 0;
}

/* ------------------------------------------------------------------ questions */

void parent_paths(struct parent *p, const struct chan_paths *ask)
{
	struct search none = {.id = ask->id}, *s;

	s = p->n_searches < SEARCHES_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		answer(p, &none);
		return;
	}
	s->id = ask->id;
	s->number = ++p->last_search;
	memcpy(s->name, ask->name, sizeof(s->name));
	s->next = p->searches;
	p->searches = s;
	p->n_searches++;
	search_begin(p, s);
}
