// SPDX-License-Identifier: BSD-2-Clause
/*
 * VICI: clients and their commands. What concerns IKE SAs is the child's; what it writes is
 * validated here before a client sees it.
 */
#include "iked/parent_vici.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"

/* ------------------------------------------------------------------ to the child */

/* It goes on with what it has for that client, or nobody waits for an answer any more. */
static void go_on(struct parent *p, __u64 id, bool nobody)
{
	struct chan_vici m = {.id = id, .more = nobody};

	if (p->child_ready && proc_chan(p->child))
		chan_send(proc_chan(p->child), CHAN_VICI_MORE, &m, sizeof(m), NULL, 0);
}

static void on_drained(void *ctx, struct vici_request *request, bool gone)
{
	go_on(ctx, vici_request_id(request), gone);
}

void vici_to_child(struct parent *p, struct vici_request *request, struct bytes message)
{
	struct chan *chan = p->child_ready ? proc_chan(p->child) : NULL;

	parent_settle(p);
	if (!chan)
		vici_answer_error(request, "the process that speaks IKE is starting; try again");
	else if (message.len > CHAN_VICI_MAX)
		vici_answer_error(request, "the message is too long");
	else {
		vici_when_gone(request, on_drained);
		chan_say_vici(chan, CHAN_VICI, vici_request_id(request), 0,
			      vici_request_command(request), message);
	}
}

static void relay(void *ctx, struct vici_request *request)
{
	vici_to_child(ctx, request, vici_request_message(request));
}

/* The connection of a child that is named alone. NULL: none, or several. */
static const char *conn_of_child(const struct parent *p, const char *child)
{
	const char *found = NULL;

	for (unsigned int i = 0; i < p->config->n_conns; i++) {
		if (!conn_child_find(&p->config->conns[i], child))
			continue;
		if (found)
			return NULL;
		found = p->config->conns[i].name;
	}
	return found;
}

/* initiate: the engine wants the connection's name, too. */
static void initiate(void *ctx, struct vici_request *request)
{
	struct bytes message = vici_request_message(request);
	_cleanup_vici_ struct vici_writer w = {0};
	char ike[CONN_NAME_LEN], child[CONN_NAME_LEN];
	struct parent *p = ctx;
	const char *conn;

	if (vici_get_text(message, "ike", ike, sizeof(ike))) {
		vici_to_child(p, request, message);
		return;
	}
	conn = vici_get_text(message, "child", child, sizeof(child)) ? conn_of_child(p, child)
								     : NULL;
	if (!conn) {
		vici_answer_error(request,
				  "%s: there is no such child, or several connections have one: "
				  "give ike, too",
				  child);
		return;
	}
	vici_text(&w, "ike", "%s", conn);
	vici_append(&w, message);
	vici_to_child(p, request, vici_view(&w));
}

static void unsupported(void *ctx, struct vici_request *request)
{
	vici_answer_error(request, "%s is not supported in this version",
			  vici_request_command(request));
}

/* A child's rules are there as long as its connection is: nothing is to be done. */
static void install(void *ctx, struct vici_request *request)
{
	struct bytes message = vici_request_message(request);
	char ike[CONN_NAME_LEN], child[CONN_NAME_LEN];
	const struct parent *p = ctx;
	const struct conn *conn = NULL;
	bool there;

	vici_get_text(message, "child", child, sizeof(child));
	if (vici_get_text(message, "ike", ike, sizeof(ike)))
		conn = parent_conn(p, ike);
	there = conn && conn_child_find(conn, child);
	for (unsigned int i = 0; i < p->config->n_conns && !ike[0] && !there; i++)
		there = conn_child_find(&p->config->conns[i], child);
	if (there)
		vici_answer_ok(request);
	else
		vici_answer_error(request, "configuration name not found");
}

static void uninstall(void *ctx, struct vici_request *request)
{
	vici_answer_error(request, "uninstall is not supported: a child's rules are in force as "
				   "long as its connection is loaded");
}

static void nothing_to_do(void *ctx, struct vici_request *request)
{
	vici_answer_ok(request);
}

/* An empty answer. */
static void none(void *ctx, struct vici_request *request)
{
	vici_answer(request, BYTES("", 0));
}

static const struct vici_command commands[] = {
	{"version", vici_version},
	{"stats", relay},
	{"reload-settings", vici_reload_settings},
	{"initiate", initiate},
	{"terminate", relay},
	{"rekey", relay},
	{"redirect", unsupported},
	{"install", install},
	{"uninstall", uninstall},
	{"list-sas", relay},
	{"list-policies", vici_list_policies},
	{"list-conns", vici_list_conns},
	{"get-conns", vici_get_conns},
	{"list-certs", vici_list_certs},
	{"list-authorities", vici_list_authorities},
	{"get-authorities", vici_get_authorities},
	{"get-keys", vici_get_keys},
	{"get-shared", vici_get_shared},
	{"load-conn", vici_load_conn},
	{"unload-conn", vici_unload_conn},
	{"load-cert", vici_load_cert},
	{"load-key", vici_load_key},
	{"unload-key", vici_unload_key},
	{"load-token", unsupported},
	{"load-shared", vici_load_shared},
	{"unload-shared", vici_unload_shared},
	{"flush-certs", nothing_to_do},
	{"clear-creds", vici_clear_creds},
	{"load-authority", vici_load_authority},
	{"unload-authority", vici_unload_authority},
	{"load-pool", unsupported},
	{"unload-pool", unsupported},
	{"get-pools", none},
	{"get-algorithms", vici_get_algorithms},
	{"get-counters", relay},
	{"reset-counters", relay},
	{NULL, NULL},
};

/* ------------------------------------------------------------------ from the child */

/* The parts of one message follow each other. True: `all` is whole, and valid. */
static bool collect(struct parent *p, const struct chan_vici *m)
{
	vici_append(&p->vici_part, BYTES(m->data, m->data_len));
	if (m->more)
		return false;
	if (!p->vici_part.err && !vici_validate(vici_view(&p->vici_part)))
		return true;
	log_error("the child wrote no good message for clients of VICI");
	vici_free(&p->vici_part);
	return false;
}

/* strongSwan's threads and queues, none of which are here: who reads them finds them. */
static void put_workers(struct vici_writer *w)
{
	static const char *const priorities[] = {"critical", "high", "medium", "low"};
	static const char *const sections[] = {"active", "queues"};

	vici_section(w, "workers");
	vici_text(w, "total", "0");
	vici_text(w, "idle", "0");
	for (unsigned int i = 0; i < 2; i++) {
		vici_section(w, sections[i]);
		for (unsigned int k = 0; k < 4; k++)
			vici_text(w, priorities[k], "0");
		vici_section_end(w);
		if (i == 0)
			vici_section_end(w);
	}
	vici_text(w, "scheduled", "0");
}

/* The part of stats that is the parent's, before what the child knows. */
static void answer_stats(struct parent *p, struct vici_request *request)
{
	_cleanup_vici_ struct vici_writer w = {0};
	struct timespec now;
	char since[64];
	struct tm tm;
	time_t began;

	clock_gettime(CLOCK_BOOTTIME, &now);
	began = time(NULL) - (now.tv_sec - p->began);
	localtime_r(&began, &tm);
	strftime(since, sizeof(since), "%b %d %H:%M:%S %Y", &tm);
	vici_section(&w, "uptime");
	vici_text(&w, "running", "%ld seconds", (long)(now.tv_sec - p->began));
	vici_text(&w, "since", "%s", since);
	vici_section_end(&w);
	put_workers(&w);
	vici_append(&w, vici_view(&p->vici_part));
	vici_list(&w, "plugins");
	vici_list_end(&w);
	vici_answer(request, vici_view(&w));
}

void parent_vici_message(struct parent *p, const struct chan_vici *m)
{
	struct vici_request *request = p->vici && m->id ? vici_request_find(p->vici, m->id) : NULL;

	if (!collect(p, m)) {
		if (!m->more && request && m->hdr.type == CHAN_VICI_ANSWER)
			vici_answer_error(request,
					  "there is no answer: see the log of xipsec-iked");
		return;
	}
	if (m->hdr.type == CHAN_VICI_EVENT && p->vici)
		vici_server_event(p->vici, m->event, &p->vici_part);
	else if (request && m->hdr.type == CHAN_VICI_STREAM)
		vici_stream(request, m->event, vici_view(&p->vici_part));
	else if (request && strcmp(vici_request_command(request), "stats") == 0)
		answer_stats(p, request);
	else if (request)
		vici_answer(request, vici_view(&p->vici_part));
	vici_free(&p->vici_part);
}

void parent_vici_more(struct parent *p, const struct chan_vici *m)
{
	struct vici_request *request = p->vici && m->id ? vici_request_find(p->vici, m->id) : NULL;

	if (request)
		vici_when_drained(request, on_drained);
	else
		go_on(p, m->id, true);
}

/* Told when it changes: the child writes no event that nobody wants. */
static void on_events(void *ctx, __u32 events)
{
	struct chan_wanted m = {.events = events};
	struct parent *p = ctx;

	if (p->child_ready && proc_chan(p->child))
		chan_send(proc_chan(p->child), CHAN_VICI_WANTED, &m, sizeof(m), NULL, 0);
}

void parent_vici_child_ready(struct parent *p)
{
	on_events(p, p->vici ? vici_server_events(p->vici) : 0);
}

/* What it was asked gets no answer from it any more. */
void parent_vici_child_died(struct parent *p)
{
	vici_free(&p->vici_part);
	if (p->vici)
		vici_server_fail(p->vici, "the process that speaks IKE has died; try again");
}

/* ------------------------------------------------------------------ begin and end */

int parent_vici_start(struct parent *p)
{
	char path[sizeof(p->config->iked.vici_socket) + sizeof(p->config->run_dir) + 16];
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	p->began = now.tv_sec;
	if (p->config->iked.vici_socket[0])
		snprintf(path, sizeof(path), "%s", p->config->iked.vici_socket);
	else
		snprintf(path, sizeof(path), "%s/charon.vici", p->config->run_dir);
	return vici_server_new(p->base, path, commands, on_events, p, &p->vici);
}

void parent_vici_stop(struct parent *p)
{
	vici_server_free(p->vici);
	vici_free(&p->vici_part);
	clients_clear(&p->clients);
}
