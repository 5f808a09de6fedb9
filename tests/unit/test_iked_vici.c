// SPDX-License-Identifier: BSD-2-Clause
/* VICI from the socket through the parent to the child and back: whose client goes does not wait
 * there any more. The engine is never told where a peer
 * is, so it ends nothing. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "iked/child_inside.h"
#include "iked/parent_vici.h"
#include "lib/cleanup.h"

static struct config config;
static struct parent p = {.config = &config, .child_ready = true};
static struct chan *to_child;
static struct child c;
static char folder[] = "/tmp/xipsec-vici-XXXXXX", path[64];
static __u64 asked; /* requests, whose numbers these are */
#define CONNS 3     /* of one not so many children may wait */

/* ------------------------------------------------------------------ the rest of the parent */

struct chan *proc_chan(struct proc_slot *slot)
{
	return to_child;
}

const struct conn *parent_conn(const struct parent *parent, const char *name)
{
	return NULL;
}

void parent_settle(struct parent *parent)
{
}

void parent_creds_renew(struct parent *parent)
{
}

int parent_load_one(struct parent *parent, const char *name)
{
	return 0;
}

int parent_reload(struct parent *parent)
{
	return 0;
}

int parent_reload_clients(struct parent *parent)
{
	return 0;
}

static void from_child(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n)
{
	if (hdr->type == CHAN_VICI_MORE)
		parent_vici_more(&p, (const void *)hdr);
	else
		parent_vici_message(&p, (const void *)hdr);
}

/* ------------------------------------------------------------------ the rest of the child */

static __u64 env_now(void *ctx)
{
	return 1000;
}

static void env_random(void *ctx, void *out, size_t len)
{
	static __u8 n;

	memset(out, ++n, len);
}

static void env_find_paths(void *ctx, __u64 id, const char *conn)
{
}

static void env_log(void *ctx, const struct ike_log *line)
{
}

static void env_done(void *ctx, __u64 ref, int err, const char *text)
{
	child_vici_done(&c, ref, err, text);
}

static void engine_load(void)
{
	static const struct ike_env env = {.now = env_now,
					   .random = env_random,
					   .find_paths = env_find_paths,
					   .log = env_log,
					   .done = env_done};

	c.engine = engine_new(&env);
	for (unsigned int i = 0; i < CONNS; i++) {
		struct conn conn = {.n_children = 1,
				    .children = calloc(1, sizeof(struct conn_child))};

		snprintf(conn.name, sizeof(conn.name), "c%u", i);
		strcpy(conn.children[0].name, "net");
		snprintf(conn.children[0].sadb_name, sizeof(conn.children[0].sadb_name), "c%u/net",
			 i);
		assert_int_equal(engine_conn_load(c.engine, &conn), 0);
	}
}

static void from_parent(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n)
{
	if (hdr->type == CHAN_VICI)
		child_vici_command(&c, (const void *)hdr);
	else if (hdr->type == CHAN_VICI_MORE)
		child_vici_more(&c, (const void *)hdr);
}

static void on_gone(void *ctx)
{
	fail_msg("an end of the channel is gone");
}

/* ------------------------------------------------------------------ clients */

static void turn(void)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(p.base, EVLOOP_NONBLOCK);
}

static int client_new(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (void *)&addr, sizeof(addr)), 0);
	return fd;
}

static void initiate(int fd, const char *timeout)
{
	static const char name[] = "initiate";
	_cleanup_vici_ struct vici_writer w = {0};
	__u8 head[6 + sizeof(name) - 1] = {[5] = sizeof(name) - 1};
	__u32 len;

	vici_text(&w, "ike", "c%u", (unsigned int)(asked % CONNS));
	vici_text(&w, "child", "net");
	vici_text(&w, "timeout", "%s", timeout);
	len = htonl(sizeof(head) - sizeof(len) + w.len);
	memcpy(head, &len, sizeof(len));
	memcpy(head + 6, name, sizeof(name) - 1);
	assert_int_equal(send(fd, head, sizeof(head), 0), sizeof(head));
	assert_int_equal(send(fd, w.data, w.len, 0), w.len);
	asked++;
	turn();
}

/* What it was told; "": nothing. */
static const char *heard(int fd)
{
	static char text[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		if (!text[i])
			text[i] = ' ';
	text[n > 0 ? n : 0] = 0;
	return text;
}

static int setup(void **state)
{
	int pair[2];

	if (!mkdtemp(folder) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair))
		return -1;
	snprintf(path, sizeof(path), "%s/vici", folder);
	strcpy(config.iked.vici_socket, path);
	p.base = c.base = event_base_new();
	to_child = chan_new(p.base, pair[0], from_child, on_gone, NULL);
	c.chan = chan_new(p.base, pair[1], from_parent, on_gone, NULL);
	engine_load();
	return parent_vici_start(&p);
}

static int teardown(void **state)
{
	parent_vici_stop(&p);
	engine_free(c.engine);
	child_vici_free(&c);
	chan_free(to_child);
	chan_free(c.chan);
	event_base_free(p.base);
	return rmdir(folder);
}

/* More than may wait, one after the other, for ever and for an hour; each goes. */
static void test_clients_that_go(void **state)
{
	int fd;

	for (unsigned int i = 0; i < 300; i++) {
		fd = client_new();
		initiate(fd, i % 2 ? "0" : "3600000");
		assert_int_equal(c.n_vici_waits, 1);
		close(fd);
		turn();
		assert_int_equal(c.n_vici_waits, 0);
		child_vici_done(&c, asked, 0, ""); /* to nobody */
	}
	fd = client_new();
	initiate(fd, "0");
	assert_string_equal(heard(fd), "");
	child_vici_done(&c, asked, 0, "");
	turn();
	assert_non_null(strstr(heard(fd), "success"));
	/* answered: its going is nobody's any more */
	close(fd);
	turn();
	assert_int_equal(c.n_vici_waits, 0);
}

/* Only its own command. */
static void test_others_stay(void **state)
{
	int stays = client_new(), goes = client_new();
	__u64 ref;

	initiate(stays, "0");
	ref = asked;
	initiate(goes, "0");
	assert_int_equal(c.n_vici_waits, 2);
	close(goes);
	turn();
	assert_int_equal(c.n_vici_waits, 1);
	child_vici_done(&c, ref, -1, "no such luck");
	turn();
	assert_non_null(strstr(heard(stays), "no such luck"));
	close(stays);
	turn();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients_that_go),
		cmocka_unit_test(test_others_stay),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
