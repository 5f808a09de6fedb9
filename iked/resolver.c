// SPDX-License-Identifier: BSD-2-Clause
/* Answers of name servers are libevent's to parse; what goes to the parent is addresses. */
#include "iked/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <event2/dns.h>
#include <event2/util.h>

#include "lib/confine.h"
#include "lib/log.h"

#define OPEN_MAX 256 /* questions at once */

struct resolver {
	struct event_base *base;
	struct evdns_base *dns;
	struct chan *chan;
	unsigned int open;
};

static const struct confine_rule rules[] = {
	/* the loop */
	{SCMP_SYS(epoll_wait), 0, {}},
	{SCMP_SYS(epoll_pwait), 0, {}},
	{SCMP_SYS(epoll_pwait2), 0, {}},
	{SCMP_SYS(epoll_ctl), 0, {}},
	{SCMP_SYS(restart_syscall), 0, {}},
	/* a datagram socket to each name server, now and when one has failed */
	{SCMP_SYS(socket), 1, {CONFINE_ARG(0, SCMP_CMP_EQ, AF_INET, 0)}},
	{SCMP_SYS(socket), 1, {CONFINE_ARG(0, SCMP_CMP_EQ, AF_INET6, 0)}},
	{SCMP_SYS(connect), 0, {}},
	{SCMP_SYS(bind), 0, {}},
	{SCMP_SYS(getsockopt), 0, {}},
	{SCMP_SYS(setsockopt), 0, {}},
	/* libevent looks whether this host has addresses of a family at all */
	{SCMP_SYS(getsockname), 0, {}},
	{SCMP_SYS(sendto), 0, {}},
	{SCMP_SYS(recvfrom), 0, {}},
	/* messages of the parent */
	{SCMP_SYS(recvmsg), 0, {}},
	{SCMP_SYS(sendmsg), 0, {}},
	{SCMP_SYS(fcntl), 0, {}},
	{SCMP_SYS(close), 0, {}},
	/* log lines, to stderr alone */
	{SCMP_SYS(write), 1, {CONFINE_ARG(0, SCMP_CMP_EQ, 2, 0)}},
	/* memory; never to be executed */
	{SCMP_SYS(mmap), 1, {CONFINE_ARG(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
	{SCMP_SYS(munmap), 0, {}},
	{SCMP_SYS(mremap), 0, {}},
	{SCMP_SYS(brk), 0, {}},
	{SCMP_SYS(madvise), 0, {}},
	/* the time; numbers of questions that nobody can guess */
	{SCMP_SYS(clock_gettime), 0, {}},
	{SCMP_SYS(gettimeofday), 0, {}},
	{SCMP_SYS(getrandom), 0, {}},
	{SCMP_SYS(getpid), 0, {}},
	{SCMP_SYS(futex), 0, {}},
	/* the end */
	{SCMP_SYS(exit), 0, {}},
	{SCMP_SYS(exit_group), 0, {}},
	{SCMP_SYS(rt_sigreturn), 0, {}},
};

/* ------------------------------------------------------------------ a question */

struct lookup {
	struct resolver *resolver;
	__u64 id;
};

static void add_address(struct chan_resolved *m, const struct sockaddr *sa)
{
	struct chan_address *a = &m->address[m->n];

	if (sa->sa_family == AF_INET) {
		memcpy(a->addr.byte, &((const struct sockaddr_in *)sa)->sin_addr, 4);
		a->family = XIPSEC_FAMILY_IP4;
	} else if (sa->sa_family == AF_INET6) {
		memcpy(a->addr.byte, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
		a->family = XIPSEC_FAMILY_IP6;
	} else {
		return;
	}
	m->n++;
}

static void on_found(int err, struct evutil_addrinfo *list, void *ctx)
{
	struct lookup *lookup = ctx;
	struct resolver *r = lookup->resolver;
	struct chan_resolved m = {.id = lookup->id};

	for (struct evutil_addrinfo *ai = list; !err && ai && m.n < CHAN_ANSWERS_MAX;
	     ai = ai->ai_next)
		add_address(&m, ai->ai_addr);
	if (list)
		evutil_freeaddrinfo(list);
	m.err = m.n ? 0 : -ENOENT;
	r->open--;
	free(lookup);
	chan_send(r->chan, CHAN_RESOLVED, &m, sizeof(m), NULL, 0);
}

static void refuse(struct resolver *r, __u64 id)
{
	struct chan_resolved m = {.id = id, .err = -EBUSY};

	chan_send(r->chan, CHAN_RESOLVED, &m, sizeof(m), NULL, 0);
}

static void on_message(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n)
{
	static const struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
						     .ai_socktype = SOCK_DGRAM};
	const struct chan_resolve *ask = (const void *)hdr;
	struct resolver *r = ctx;
	struct lookup *lookup;

	if (hdr->type != CHAN_RESOLVE)
		return;
	lookup = r->open < OPEN_MAX ? malloc(sizeof(*lookup)) : NULL;
	if (!lookup) {
		refuse(r, ask->id);
		return;
	}
	*lookup = (struct lookup){r, ask->id};
	r->open++;
	evdns_getaddrinfo(r->dns, ask->host, NULL, &hints, on_found, lookup);
}

/* ------------------------------------------------------------------ begin and end */

static void on_parent_gone(void *ctx)
{
	struct resolver *r = ctx;

	event_base_loopbreak(r->base);
}

static int close_in(const struct chan_setup *setup)
{
	int err = confine_root(setup->root);

	if (!err)
		err = confine_user(setup->uid, "the process that asks name servers: set iked.uid");
	if (!err && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		err = -errno;
	return err ? err : confine_calls(rules, sizeof(rules) / sizeof(rules[0]));
}

int resolver_main(int channel, const struct chan_setup *setup)
{
	struct resolver r = {0};

	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	r.base = event_base_new();
	r.dns = r.base ? evdns_base_new(r.base, EVDNS_BASE_INITIALIZE_NAMESERVERS) : NULL;
	if (r.base && !r.dns) {
		/* No resolv.conf: names of the file hosts alone. */
		r.dns = evdns_base_new(r.base, 0);
		if (r.dns)
			evdns_base_load_hosts(r.dns, NULL);
	}
	r.chan = r.dns ? chan_new(r.base, channel, on_message, on_parent_gone, &r) : NULL;
	if (!r.chan || close_in(setup))
		return 1;
	chan_say(r.chan, CHAN_READY, NULL, 0);
	event_base_dispatch(r.base);
	return 0;
}
