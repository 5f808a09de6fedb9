// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sadb_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/fdpass.h"
#include "lib/log.h"
#include "lib/sa_selectors.h"

static void head(struct sadb_hdr *hdr, const struct sadb_hdr *request, size_t len, __u16 flags)
{
	*hdr = (struct sadb_hdr){.type = request->type,
				 .flags = flags,
				 .abi = XIPSEC_ABI,
				 .len = len,
				 .seq = request->seq};
}

static void reply(struct client *client, const struct sadb_hdr *request, int err, const char *text)
{
	struct sadb_reply answer = {0};

	head(&answer.hdr, request, sizeof(answer), 0);
	answer.hdr.err = (__s16)err;
	if (err)
		snprintf(answer.text, sizeof(answer.text), "%s", text[0] ? text : strerror(-err));
	sadb_put(client, &answer, sizeof(answer));
}

static void on_restrict(struct client *client, const struct sadb_name *req)
{
	int err = -EINVAL;

	if (req->hdr.flags & XIPSEC_SADB_CONNECTIONS)
		err = sadb_rights_add_connections(&client->rights);
	else if (memchr(req->name, 0, sizeof(req->name)))
		err = sadb_rights_add(&client->rights, req->name);
	reply(client, &req->hdr, err,
	      err == -EINVAL  ? "name without an end"
	      : err == -EPERM ? "the rights of this connection are fixed"
			      : "");
}

static const struct config *config_of(const struct client *client)
{
	return client->server->hooks->config(client->server->ctx);
}

/* A restricted client speaks for a process that reads what strangers send. */
static const char not_yours[] = "this connection may not speak for that child";

static void on_add(struct client *client, struct sadb_sa_add *req)
{
	struct sas *sas = client->server->hooks->sas(client->server->ctx);
	const char *why = NULL;
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	int err;

	/* Manual keys come from the config alone: their numbers outlive us. */
	req->sa.flags &= ~(XIPSEC_SA_MANUAL | XIPSEC_SA_FRESH_KEY);
	if (!sadb_rights_serve(&client->rights, config_of(client), req->sa.child))
		why = not_yours;
	else
		why = sa_selectors_narrow(config_of(client), &req->sa);
	err = why ? -EPERM : sas_add(sas, &req->sa, text);
	reply(client, &req->hdr, err, why ? why : text);
}

static void on_delete(struct client *client, const union sadb_request *req, size_t len)
{
	struct sas *sas = client->server->hooks->sas(client->server->ctx);
	struct sa *sa = NULL;
	int err;

	if (len == sizeof(req->ref))
		sa = sas_by_spi(sas, &req->ref.dst, req->ref.family, req->ref.spi,
				req->ref.l4_proto);
	else if (memchr(req->name.name, 0, sizeof(req->name.name)))
		sa = sas_by_name(sas, req->name.name);
	if (!sa) {
		reply(client, &req->hdr, -ENOENT, "there is no such SA");
		return;
	}
	if (!sadb_rights_own(&client->rights, config_of(client), &sa->sa)) {
		reply(client, &req->hdr, -EPERM, not_yours);
		return;
	}
	err = sas_delete(sas, &sa, 1);
	reply(client, &req->hdr, err,
	      "the SA is deleted, but what it received cannot be written to state_dir: make room "
	      "there, then add it and delete it again");
}

/* As much of the list as its reader has room for. An SA that comes or goes meanwhile is in it or
 * not. */
void sadb_list_on(struct client *client)
{
	struct sas *sas = client->server->hooks->sas(client->server->ctx);
	struct sadb_sa_info info;
	size_t len;

	while (client->queued < SADB_LIST_MAX && !client->broken) {
		const struct sa *sa = sas_from(sas, client->list_at);

		if (!sa) {
			client->listing = false;
			reply(client, &client->list_req, 0, "");
			return;
		}
		client->list_at = sa->index + 1;
		if (!sadb_rights_own(&client->rights, config_of(client), &sa->sa))
			continue;
		sas_info(sas, sa, &info);
		len = offsetof(struct sadb_sa_info, sa) + XIPSEC_SA_SIZE(sa->sa.n_selectors);
		head(&info.hdr, &client->list_req, len, XIPSEC_SADB_MORE);
		sadb_put(client, &info, len);
	}
}

static void on_list(struct client *client, const struct sadb_hdr *req)
{
	client->listing = true;
	client->list_req = *req;
	client->list_at = 0;
	sadb_list_on(client);
	if (client->listing)
		event_del(client->readable);
}

static void on_status(struct client *client, const struct sadb_hdr *req)
{
	struct sadb_status status = {0};

	client->server->hooks->status(client->server->ctx, &status);
	head(&status.hdr, req, sizeof(status), 0);
	sadb_put(client, &status, sizeof(status));
}

static void on_hello(struct client *client, const struct sadb_hdr *req)
{
	struct sadb_status status = {0};
	struct sadb_hello hello = {0};

	client->server->hooks->status(client->server->ctx, &status);
	head(&hello.hdr, req, sizeof(hello), 0);
	hello.epoch = status.epoch;
	hello.pid = status.pid;
	sadb_put(client, &hello, sizeof(hello));
}

static void on_named(struct client *client, const struct sadb_name *req)
{
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	int err = -EINVAL;

	if (memchr(req->name, 0, sizeof(req->name)))
		err = client->server->hooks->add_named(client->server->ctx, req->name,
						       req->flags & XIPSEC_SA_FRESH_KEY, text);
	reply(client, &req->hdr, err, text);
}

static void on_move(struct client *client, const struct sadb_name *req)
{
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	int err = -EINVAL;

	if (memchr(req->name, 0, sizeof(req->name)) && req->flags <= XIPSEC_ENGINE_XFRM)
		err = sas_wish(client->server->hooks->sas(client->server->ctx), req->name,
			       (__u8)req->flags, text);
	reply(client, &req->hdr, err, text);
}

static void on_reload(struct client *client, const struct sadb_path *req)
{
	const struct sadb_hooks *hooks = client->server->hooks;
	int (*what)(void *ctx, const char *path, char *text) = hooks->reload;
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	int err = -EINVAL;

	if (req->hdr.flags & XIPSEC_SADB_WITHDRAW)
		what = hooks->withdraw;
	else if (req->hdr.flags & XIPSEC_SADB_POLICIES)
		what = hooks->policies;
	else if (req->hdr.flags & XIPSEC_SADB_CONNECTIONS)
		what = hooks->connection;
	if (memchr(req->path, 0, sizeof(req->path)))
		err = what(client->server->ctx, req->path, text);
	reply(client, &req->hdr, err, text);
}

static void on_subscribe(struct client *client, const struct sadb_subscribe *req)
{
	const __u32 packets = XIPSEC_EVENT_BIT(XIPSEC_EVENT_SAMPLE) |
			      XIPSEC_EVENT_BIT(XIPSEC_EVENT_PASS);
	struct sadb_server *server = client->server;
	bool whole = req->hdr.len == sizeof(*req);

	if (whole && !client->rights.restricted && (req->events & packets) &&
	    !server->hooks->config(server->ctx)->audit) {
		reply(client, &req->hdr, -EPERM,
		      "no packets are told: the config says audit = no in datapath {}; events of "
		      "SAs alone can be had (xipsec monitor --events)");
		return;
	}
	client->events = whole ? req->events : ~packets;
	client->packets = whole && (req->flags & XIPSEC_SUBSCRIBE_PACKETS);
	/* Other people's packets. */
	if (client->rights.restricted) {
		client->events &= ~packets;
		client->packets = false;
	}
	reply(client, &req->hdr, 0, "");
}

/* What has to wait for its turn cannot carry descriptors. */
static void on_ike_sockets(struct client *client, const struct sadb_hdr *req)
{
	struct sadb_server *server = client->server;
	struct sadb_ike_sockets answer = {0};
	int fds[XIPSEC_IKE_SOCKETS];
	unsigned int n = 0;
	const struct ike_ports *ports = server->hooks->ike_lend(server->ctx);

	head(&answer.hdr, req, sizeof(answer), 0);
	for (int i = 0; i < XIPSEC_IKE_SOCKETS; i++) {
		if (ports->ike[i] < 0)
			continue;
		answer.have |= 1U << i;
		fds[n++] = ports->ike[i];
	}
	if (client->first || fdpass_send(client->fd, &answer, sizeof(answer), fds, n)) {
		if (!server->ike)
			server->hooks->ike_back(server->ctx);
		reply(client, req, -EAGAIN, "read what was sent before you borrow the sockets");
		return;
	}
	if (server->ike && server->ike != client)
		log_warn(
			"sadb: the sockets of IKE go to another client before the first one ended");
	server->ike = client;
}

/* What each request is like, and whether a restricted connection may make it. */
static const struct {
	size_t len, len2;
	bool restricted;
} forms[] = {
	[XIPSEC_SADB_HELLO] = {sizeof(struct sadb_hdr), sizeof(struct sadb_hello), true},
	[XIPSEC_SADB_RESTRICT] = {sizeof(struct sadb_name), 0, true},
	[XIPSEC_SADB_SA_ADD] = {sizeof(struct sadb_sa_add), 0, true},
	[XIPSEC_SADB_SA_ADD_NAMED] = {sizeof(struct sadb_name), 0, false},
	[XIPSEC_SADB_SA_DELETE] = {sizeof(struct sadb_name), sizeof(struct sadb_sa_ref), true},
	[XIPSEC_SADB_SA_LIST] = {sizeof(struct sadb_hdr), 0, true},
	[XIPSEC_SADB_RELOAD] = {sizeof(struct sadb_path), 0, false},
	[XIPSEC_SADB_STATUS] = {sizeof(struct sadb_hdr), 0, false},
	[XIPSEC_SADB_SUBSCRIBE] = {sizeof(struct sadb_hdr), sizeof(struct sadb_subscribe), true},
	[XIPSEC_SADB_IKE_SOCKETS] = {sizeof(struct sadb_hdr), 0, false},
	[XIPSEC_SADB_SA_MOVE] = {sizeof(struct sadb_name), 0, false},
};

/* An SA may end with its last selector. */
static bool len_fits(const union sadb_request *req, size_t len)
{
	const __u16 type = req->hdr.type;

	if (type == XIPSEC_SADB_SA_ADD)
		return len > offsetof(struct sadb_sa_add, sa) &&
		       xipsec_sa_whole(&req->add.sa, len - offsetof(struct sadb_sa_add, sa));
	return len == forms[type].len || len == forms[type].len2;
}

static void dispatch(struct client *client, union sadb_request *req, size_t len)
{
	const struct sadb_hdr *hdr = &req->hdr;

	switch (hdr->type) {
	case XIPSEC_SADB_HELLO: on_hello(client, hdr); break;
	case XIPSEC_SADB_RESTRICT: on_restrict(client, &req->name); break;
	case XIPSEC_SADB_SA_ADD: on_add(client, &req->add); break;
	case XIPSEC_SADB_SA_ADD_NAMED: on_named(client, &req->name); break;
	case XIPSEC_SADB_SA_DELETE: on_delete(client, req, len); break;
	case XIPSEC_SADB_SA_LIST: on_list(client, hdr); break;
	case XIPSEC_SADB_RELOAD: on_reload(client, &req->path); break;
	case XIPSEC_SADB_STATUS: on_status(client, hdr); break;
	case XIPSEC_SADB_SUBSCRIBE: on_subscribe(client, &req->subscribe); break;
	case XIPSEC_SADB_IKE_SOCKETS: on_ike_sockets(client, hdr); break;
	case XIPSEC_SADB_SA_MOVE: on_move(client, &req->name); break;
	}
}

void sadb_handle(struct client *client, union sadb_request *req, size_t len)
{
	const struct sadb_hdr *hdr = &req->hdr;

	if (len < sizeof(*hdr) || hdr->len != len) {
		client->broken = true;
		return;
	}
	if (hdr->abi != XIPSEC_ABI) {
		reply(client, hdr, -EPROTO, "this xipsecd is of another release");
		return;
	}
	if (hdr->type >= sizeof(forms) / sizeof(forms[0]) || !forms[hdr->type].len ||
	    !len_fits(req, len)) {
		reply(client, hdr, -EINVAL, "malformed request");
		return;
	}
	if (client->rights.restricted && !forms[hdr->type].restricted) {
		reply(client, hdr, -EPERM, "this connection is restricted");
		return;
	}
	if (hdr->type != XIPSEC_SADB_RESTRICT)
		sadb_rights_seal(&client->rights);
	dispatch(client, req, len);
}
