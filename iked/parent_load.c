// SPDX-License-Identifier: BSD-2-Clause
/* What the child is told of the config: connections, certificates, the key log. */
#include "iked/parent_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iked/conn_pack.h"
#include "lib/cleanup.h"
#include "lib/config_clients.h"

static struct chan *child(const struct parent *p)
{
	return p->child_ready ? proc_chan(p->child) : NULL;
}

static void send_trust(const struct parent *p)
{
	chan_say(child(p), CHAN_TRUST_BEGIN, NULL, 0);
	for (unsigned int i = 0; i < creds_cas(p->creds); i++) {
		struct bytes ca = creds_ca(p->creds, i);

		chan_say_blob(child(p), CHAN_CA, ca.data, ca.len);
	}
	for (unsigned int i = 0; i < creds_crls(p->creds); i++) {
		_cleanup_close_ int fd = creds_crl_open(p->creds, i);

		chan_say(child(p), CHAN_CRL, &fd, fd >= 0 ? 1 : 0);
	}
	chan_say(child(p), CHAN_TRUST_END, NULL, 0);
}

/* The certificates of the local end are those that are to be sent: the chain, as it was found. */
static void use_chain(const struct parent *p, struct conn *conn,
		      struct conn_blob blobs[CREDS_CHAIN_MAX])
{
	struct bytes chain[CREDS_CHAIN_MAX];
	unsigned int n = creds_chain(p->creds, conn, chain);

	if (conn->local.kind == CONN_AUTH_PUBKEY && !n)
		log_error("%s: its local end has no certificate (certs): it cannot authenticate",
			  conn->name);
	else if (conn->local.kind == CONN_AUTH_PUBKEY && !creds_key(p->creds, chain[0]))
		log_error("%s: no private key belongs to the certificate of its local end",
			  conn->name);
	for (unsigned int i = 0; i < n; i++)
		blobs[i] = (struct conn_blob){.data = (__u8 *)chain[i].data, .len = chain[i].len};
	conn->local.certs = (struct conn_blobs){.n = n, .blob = blobs};
}

static void send_conn(const struct parent *p, const struct conn *conn)
{
	struct conn_blob blobs[CREDS_CHAIN_MAX] = {0};
	struct conn shown = *conn; /* nothing of it is owned */
	_cleanup_close_ int fd = -1;

	use_chain(p, &shown, blobs);
	fd = conn_pack(&shown);
	if (fd < 0)
		log_error("%s cannot be given to the child: %s", conn->name, strerror(-fd));
	else
		chan_say(child(p), CHAN_CONN, &fd, 1);
}

/* ------------------------------------------------------------------ the key log */

/* Only as a file of its own that nobody else reads: never by a link, never what others own. */
static int open_keylog(const char *path)
{
	_cleanup_close_ int fd = open(
		path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
		return -EPERM;
	return take_fd(&fd);
}

static void send_keylog(const struct parent *p)
{
	const char *path = p->config->iked.save_keys;
	_cleanup_close_ int fd = path[0] ? open_keylog(path) : -1;

	if (path[0] && fd < 0)
		log_error("save_keys = %s: %s: expected a file of root's with mode 0600, or none",
			  path, strerror(-fd));
	if (fd >= 0)
		log_warn("KEYS OF IKE ARE WRITTEN to %s (iked { save_keys }): who reads it reads "
			 "everything",
			 path);
	chan_say(child(p), CHAN_KEYLOG, &fd, fd >= 0 ? 1 : 0);
}

/* ------------------------------------------------------------------ all, or what differs */

void parent_load_all(struct parent *p)
{
	if (!child(p))
		return;
	send_trust(p);
	send_keylog(p);
	for (unsigned int i = 0; i < p->config->n_conns; i++)
		send_conn(p, &p->config->conns[i]);
}

static void start_now(const struct parent *p, const char *name)
{
	if (child(p))
		chan_say_name(child(p), CHAN_CONN_START, name);
}

/* While rights are on their way, an SA of a new child would be refused. */
static void start(struct parent *p, const char *name)
{
	struct conn_starts *starts = &p->starts;
	char(*names)[CONN_NAME_LEN] =
		p->lending ? reallocarray(starts->names, starts->n + 1, sizeof(*names)) : NULL;

	if (!names) {
		start_now(p, name);
		return;
	}
	starts->names = names;
	snprintf(names[starts->n++], CONN_NAME_LEN, "%s", name);
}

void parent_load_start(struct parent *p)
{
	for (unsigned int i = 0; i < p->config->n_conns; i++)
		start(p, p->config->conns[i].name);
}

void parent_load_lent(struct parent *p)
{
	for (unsigned int i = 0; i < p->starts.n; i++)
		start_now(p, p->starts.names[i]);
	free(p->starts.names);
	p->starts = (struct conn_starts){0};
}

void parent_load_changes(struct parent *p, const struct config *old, bool all)
{
	unsigned int added = 0, changed = 0, gone = 0;

	for (unsigned int i = 0; i < old->n_conns; i++) {
		if (parent_conn(p, old->conns[i].name))
			continue;
		log_info("reload: connection %s is gone", old->conns[i].name);
		gone++;
		if (child(p))
			chan_say_name(child(p), CHAN_CONN_GONE, old->conns[i].name);
	}
	if (child(p)) {
		send_trust(p);
		send_keylog(p);
	}
	for (unsigned int i = 0; i < p->config->n_conns; i++) {
		const struct conn *conn = &p->config->conns[i],
				  *was = config_conn_find(old, conn->name);

		if (was && conn_same_all(was, conn)) {
			/* The files that it names may have changed, or what made it fail. */
			if (child(p) && all)
				send_conn(p, conn);
			continue;
		}
		log_info("reload: connection %s is %s", conn->name, was ? "changed" : "new");
		added += !was;
		changed += !!was;
		if (child(p))
			send_conn(p, conn);
		start(p, conn->name);
	}
	log_info("reload: %u connections new, %u changed, %u gone, %u as they were", added, changed,
		 gone, p->config->n_conns - added - changed);
}

/* ------------------------------------------------------------------ one */

static bool brings_certs(const struct conn *conn)
{
	return conn->local.certs.n || conn->remote.certs.n || conn->remote.cacerts.n;
}

/* Certificates that a connection takes with it are missed by none but a store that is made anew. */
static bool concerns_others(const struct parent *p, const struct conn *have)
{
	return p->renewing || (have && brings_certs(have));
}

static int set_one(struct parent *p, const struct conn *want, __u32 number, bool *new_ca)
{
	_cleanup_client_change_ struct config_client_change change = {0};
	unsigned int cas = creds_cas(p->creds);
	struct conn copy = {0};
	int err = want ? conn_copy(want, &copy) : 0;

	if (err)
		return err;
	if (want)
		creds_add_conn(p->creds, &copy);
	*new_ca = creds_cas(p->creds) != cas;
	return config_client_set(p->config, number, want ? &copy : NULL, &change, NULL);
}

int parent_load_one(struct parent *p, const char *name)
{
	const struct conn *want = clients_conn(&p->clients, name), *have = parent_conn(p, name);
	bool had = have, new_ca = false;
	int err;

	if ((!want && !have) || (have && !have->client) ||
	    (want && have && want->client == have->client && conn_same_all(want, have)))
		return 0;
	if (concerns_others(p, have))
		return parent_reload_clients(p);
	err = set_one(p, want, want ? want->client : have->client, &new_ca);
	if (err) {
		log_error("connection %s cannot be taken over: %s", name, strerror(-err));
		return err;
	}
	log_info("reload: connection %s is %s", name, !want ? "gone" : had ? "changed" : "new");
	if (child(p) && new_ca)
		send_trust(p);
	if (child(p) && want)
		send_conn(p, parent_conn(p, name));
	else if (child(p))
		chan_say_name(child(p), CHAN_CONN_GONE, name);
	if (want)
		start(p, name);
	return 0;
}
