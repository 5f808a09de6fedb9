// SPDX-License-Identifier: BSD-2-Clause
/* The sadb socket: who may ask, what a client may add, what it is told, and what becomes of it. */
#include "sadb_fixture.h"

#include <arpa/inet.h>

#include "lib/addr.h"

static struct sas *hook_sas(void *ctx)
{
	return sas;
}

static void hook_status(void *ctx, struct sadb_status *out)
{
	out->epoch = 1234;
}

static struct config *config;

static const struct config *hook_config(void *ctx)
{
	return config;
}

static const struct sadb_hooks hooks = {
	.sas = hook_sas, .status = hook_status, .config = hook_config};
static struct event_base *base;
static struct sadb_server *server;

static void serve(void)
{
	base = event_base_new();
	assert_int_equal(sadb_server_new(base, dir, &hooks, NULL, &server), 0);
}

static void unserve(void)
{
	sadb_server_free(server);
	event_base_free(base);
}

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sadb.sock", dir);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	return fd;
}

static bool ask(int fd, __u16 type)
{
	struct sadb_hdr hdr = {.type = type, .abi = XIPSEC_ABI, .len = sizeof(hdr)};

	return send(fd, &hdr, sizeof(hdr), MSG_NOSIGNAL) == sizeof(hdr);
}

static void turn(void)
{
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void listing_has_no_key(void **state)
{
	struct xipsec_sa want = make("one", XIPSEC_DIR_OUT, 0x1001);
	char got[16384];
	int fd, items = 0;
	ssize_t len;

	add("one", XIPSEC_DIR_OUT, 0x1001);
	add("in", XIPSEC_DIR_IN, 0x2001);
	serve();
	fd = dial();
	assert_true(fd >= 0);
	assert_true(ask(fd, XIPSEC_SADB_SA_LIST));
	turn();
	while ((len = recv(fd, got, sizeof(got), MSG_DONTWAIT)) > 0) {
		items++;
		/* The parts that all keys here have in common: no four bytes of them in a row. */
		for (int i = 3; i + 4 <= 20; i++)
			assert_null(memmem(got, len, want.key + i, 4));
	}
	assert_int_equal(items, 3); /* two SAs and the reply */
	close(fd);
	unserve();
}

static bool ask_delete(int fd, const char *name)
{
	struct sadb_name req = {
		.hdr = {.type = XIPSEC_SADB_SA_DELETE, .abi = XIPSEC_ABI, .len = sizeof(req)}};

	snprintf(req.name, sizeof(req.name), "%s", name);
	return send(fd, &req, sizeof(req), MSG_NOSIGNAL) == sizeof(req);
}

/* A client asks `n` times, is answered or not, deletes an SA and goes. */
static void ask_and_go(__u16 type, int n, bool answered, const char *name)
{
	int fd = dial();

	for (int i = 0; i < n; i++)
		assert_true(ask(fd, type));
	if (answered)
		turn();
	assert_true(ask_delete(fd, name));
	close(fd);
	turn();
}

/* A daemon that ends asks for the end of its SAs and goes: with answers unread, with more requests
 * than one turn takes, with a list half read. */
static void last_requests_of_a_client_that_is_gone(void **state)
{
	add("one", XIPSEC_DIR_IN, 0x2001);
	add("two", XIPSEC_DIR_IN, 0x2002);
	add("three", XIPSEC_DIR_IN, 0x2003);
	serve();
	ask_and_go(XIPSEC_SADB_HELLO, 1, true, "one");
	assert_int_equal(sas_count(sas), 2);
	ask_and_go(XIPSEC_SADB_HELLO, 40, false, "two");
	assert_int_equal(sas_count(sas), 1);
	ask_and_go(XIPSEC_SADB_SA_LIST, 200, true, "three");
	assert_int_equal(sas_count(sas), 0);
	unserve();
}

static void client_hears_of_a_broken_disk(void **state)
{
	struct reserve_io broken = *reserve.io;
	struct sadb_reply got = {0};
	int fd;

	broken.write = no_room;
	broken.pwrite = no_touch;
	add_with_window("in", 0x2001);
	reserve.io = &broken;
	serve();
	fd = dial();
	assert_true(ask_delete(fd, "in"));
	turn();
	assert_int_equal(recv(fd, &got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	assert_int_equal(got.hdr.err, -ENOSPC);
	assert_non_null(strstr(got.text, "make room"));
	close(fd);
	unserve();
}

/* The same at a reload that takes the SA out. */
static void reload_tells_of_a_broken_disk(void **state)
{
	struct reserve_io broken = *reserve.io;
	struct config none = {0};

	broken.write = no_room;
	broken.pwrite = no_touch;
	add_with_window("in", 0x2001);
	reserve.io = &broken;
	assert_int_equal(manual_apply(sas, &none, text), -ENOSPC);
	assert_non_null(strstr(text, "make room"));
	assert_int_equal(sas_count(sas), 0);
}

/* In a child process: what `uid` gets for a question. Its answer is the exit status. */
static void ask_as(uid_t uid, int ready)
{
	struct sadb_hello hello;
	struct timeval limit = {.tv_sec = 5};
	char byte = 0;
	int fd;

	if (setresuid(uid, uid, uid) < 0)
		_exit(3);
	fd = dial();
	if (fd < 0)
		_exit(4); /* then the file's mode turned it away and not the server */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ask(fd, XIPSEC_SADB_HELLO);
	if (write(ready, &byte, 1) != 1)
		_exit(5);
	_exit(recv(fd, &hello, sizeof(hello), 0) == sizeof(hello) ? 1 : 2);
}

static int answer_for(uid_t uid)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		ask_as(uid, ready[1]);
	close(ready[1]);
	(void)!read(ready[0], &byte, 1);
	close(ready[0]);
	turn();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void other_users_are_turned_away(void **state)
{
	char path[100];

	if (geteuid() != 0)
		skip();
	serve();
	snprintf(path, sizeof(path), "%s/sadb.sock", dir);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(answer_for(0), 1);
	assert_int_equal(answer_for(65534), 2);
	unserve();
}

/* ------------------------------------------------------------------ selectors of a client */

#define POLICY_A  "a { action = protect\n local = 10.1.0.0/16\n remote = 10.2.0.0/16 }\n"
#define DISCARD_9 "nine { action = discard\n remote = 10.2.9.0/24 }\n"
#define DISCARD_8 "eight { action = discard\n remote = 10.2.8.0/24 }\n"

static struct config *policies(const char *body)
{
	struct config *read = NULL;
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), "%s/conf", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "policies {\n%s}\n", body);
	fclose(file);
	assert_int_equal(config_load(path, &read, stderr), 0);
	return read;
}

static struct xipsec_selector pair(const char *local, const char *remote, unsigned int bits)
{
	struct xipsec_selector sel = {.local_port_hi = 65535,
				      .remote_port_hi = 65535,
				      .icmp_hi = 65535,
				      .family = XIPSEC_FAMILY_IP4,
				      .any_proto = 1};

	inet_pton(AF_INET, local, &sel.local_lo);
	inet_pton(AF_INET, remote, &sel.remote_lo);
	sel.local_hi = addr_last(&sel.local_lo, sel.family, bits);
	sel.remote_hi = addr_last(&sel.remote_lo, sel.family, bits);
	return sel;
}

/* What the server says to that SA; its words in `text`. */
static int ask_add(const struct xipsec_sa *sa)
{
	struct sadb_sa_add req = {
		.hdr = {.type = XIPSEC_SADB_SA_ADD, .abi = XIPSEC_ABI, .len = sizeof(req)},
		.sa = *sa};
	struct sadb_reply got = {0};
	int fd;

	serve();
	fd = dial();
	assert_int_equal(send(fd, &req, sizeof(req), 0), sizeof(req));
	turn();
	assert_int_equal(recv(fd, &got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	close(fd);
	unserve();
	memcpy(text, got.text, sizeof(text));
	return got.hdr.err;
}

static void clients_get_the_list_of_the_policies(void **state)
{
	struct xipsec_sa want = make("in", XIPSEC_DIR_IN, 0x2001);
	struct xipsec_selector sel;
	struct sa *sa;

	config = policies(DISCARD_9 POLICY_A);
	want.n_selectors = 0;
	assert_int_equal(ask_add(&want), 0);
	sa = sas_by_name(sas, "in");
	assert_int_equal(sa->sa.n_selectors, 2);
	assert_int_equal(sa->sa.refuse[0], 1);
	assert_int_equal(sa->sa.refuse[1], 0);
	sel = pair("10.1.0.0", "10.2.0.0", 16);
	assert_memory_equal(&sa->sa.selector[1], &sel, sizeof(sel));
	inet_pton(AF_INET, "10.2.9.0", &sel.remote_lo);
	assert_memory_equal(&sa->sa.selector[0].remote_lo, &sel.remote_lo, sizeof(sel.remote_lo));
	delete (sa);

	/* Narrower: what it brings of its own to refuse counts for nothing. */
	want.n_selectors = 2;
	want.selector[0] = pair("10.1.9.0", "10.2.8.0", 24);
	want.selector[1] = pair("10.1.8.0", "10.2.9.0", 24);
	want.refuse[0] = 1;
	assert_int_equal(ask_add(&want), 0);
	sa = sas_by_name(sas, "in");
	assert_int_equal(sa->sa.n_selectors, 2);
	assert_int_equal(sa->sa.refuse[0], 1);
	assert_memory_equal(&sa->sa.selector[0].remote_lo, &sel.remote_lo, sizeof(sel.remote_lo));
	assert_int_equal(sa->sa.refuse[1], 0);
	assert_memory_equal(&sa->sa.selector[1], &want.selector[1], sizeof(sel));
	config_free(config);
}

static void clients_cannot_widen(void **state)
{
	struct xipsec_sa want = make("in", XIPSEC_DIR_IN, 0x2001);

	config = policies(DISCARD_9 POLICY_A "b { action = protect\n remote = 10.3.0.0/16 }\n");
	want.selector[0] = pair("10.1.0.0", "10.2.0.0", 15);
	assert_int_equal(ask_add(&want), -EPERM);
	assert_non_null(strstr(text, "outside"));
	want.selector[0] = pair("10.1.0.0", "10.3.0.0", 16); /* of another child */
	assert_int_equal(ask_add(&want), -EPERM);
	want.n_selectors = XIPSEC_SELECTORS_MAX + 1;
	assert_int_equal(ask_add(&want), -EINVAL);
	want.n_selectors = 0;
	strcpy(want.child, "c");
	assert_int_equal(ask_add(&want), -EPERM);
	assert_non_null(strstr(text, "no policy"));
	memset(want.child, 'a', sizeof(want.child));
	assert_int_equal(ask_add(&want), -EPERM);
	assert_int_equal(sas_count(sas), 0);
	config_free(config);
}

/* A client's SA of 400 selectors: it comes in a message that ends with the last of them, stands so,
 * and is told so. One that says more than it brings is refused. */
static void hundreds_of_selectors(void **state)
{
	static struct sadb_sa_add req;
	static struct sadb_sa_info info;
	struct sadb_reply got = {0};
	struct sadb_hdr list = {
		.type = XIPSEC_SADB_SA_LIST, .abi = XIPSEC_ABI, .len = sizeof(list)};
	const size_t len = offsetof(struct sadb_sa_add, sa) + XIPSEC_SA_SIZE(400);
	struct sa *sa;
	int fd;

	config = policies(POLICY_A);
	req.hdr = (struct sadb_hdr){.type = XIPSEC_SADB_SA_ADD, .abi = XIPSEC_ABI, .len = len};
	req.sa = make("in", XIPSEC_DIR_IN, 0x2001);
	req.sa.n_selectors = 400;
	for (unsigned int i = 0; i < 400; i++) {
		req.sa.selector[i] = pair("10.1.0.0", "10.2.0.0", 32);
		req.sa.selector[i].remote_lo.byte[2] = req.sa.selector[i].remote_hi.byte[2] =
			(__u8)(i / 200);
		req.sa.selector[i].remote_lo.byte[3] = req.sa.selector[i].remote_hi.byte[3] =
			(__u8)(i % 200);
	}
	serve();
	fd = dial();
	req.sa.n_selectors = 401;
	assert_int_equal(send(fd, &req, len, 0), len);
	turn();
	assert_int_equal(recv(fd, &got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	assert_int_equal(got.hdr.err, -EINVAL);
	req.sa.n_selectors = 400;
	assert_int_equal(send(fd, &req, len, 0), len);
	turn();
	assert_int_equal(recv(fd, &got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	assert_int_equal(got.hdr.err, 0);
	sa = sas_by_name(sas, "in");
	assert_non_null(sa);
	assert_int_equal(sa->sa.n_selectors, 400);
	assert_memory_equal(sa->sa.selector, req.sa.selector, 400 * sizeof(req.sa.selector[0]));
	assert_int_equal(send(fd, &list, sizeof(list), 0), sizeof(list));
	turn();
	assert_int_equal(recv(fd, &info, sizeof(info), MSG_DONTWAIT),
			 offsetof(struct sadb_sa_info, sa) + XIPSEC_SA_SIZE(400));
	assert_true(sadb_sa_info_whole(&info, info.hdr.len));
	assert_memory_equal(info.sa.selector, req.sa.selector, 400 * sizeof(req.sa.selector[0]));
	close(fd);
	unserve();
	config_free(config);
}

static void new_policies_end_clients_sas(void **state)
{
	struct xipsec_sa want = make("in", XIPSEC_DIR_IN, 0x2001);
	struct config *next;

	config = policies(DISCARD_9 POLICY_A);
	want.n_selectors = 1;
	want.selector[0] = pair("10.1.8.0", "10.2.8.0", 24);
	assert_int_equal(ask_add(&want), 0);
	said[0] = 0;
	next = policies(DISCARD_9 POLICY_A "b { action = protect\n remote = 10.3.0.0/16 }\n");
	assert_int_equal(manual_apply(sas, next, text), 0);
	assert_int_equal(sas_count(sas), 1);
	assert_string_equal(said, "");
	config_free(next);
	next = policies(DISCARD_9 "a { action = protect\n remote = 10.2.8.0/25 }\n");
	assert_int_equal(manual_withdraw(sas, next, text), 0);
	assert_int_equal(sas_count(sas), 0);
	assert_non_null(strstr(said, "stopped0 "));
	assert_int_equal(limit_told, XIPSEC_LIMIT_POLICY);
	assert_non_null(strstr(said, "forget0 "));
	config_free(next);
	config_free(config);
}

/* ------------------------------------------------------------------ another list for an SA */

/* The third bytes of what `sa` refuses, in order, and what it accepts: "9 8 a". */
static const char *list_of(const struct xipsec_sa *sa)
{
	static char out[64];

	out[0] = 0;
	for (__u32 i = 0; i < sa->n_selectors; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out),
			 sa->refuse[i] ? "%u " : "a%.0u ", sa->selector[i].remote_lo.byte[2]);
	return out;
}

/* The SADB has that list, and so have the workers. */
static void assert_list(const char *name, const char *what)
{
	const struct sa *sa = sas_by_name(sas, name);
	struct xipsec_sad_key key;

	assert_non_null(sa);
	assert_ptr_equal(sas_by_index(sas, sa->index), sa);
	key = (struct xipsec_sad_key){.dst = sa->sa.dst};
	assert_ptr_equal(sas_by_spi(sas, &key.dst, sa->sa.outer_family, sa->sa.spi, IPPROTO_ESP),
			 sa);
	assert_string_equal(list_of(&sa->sa), what);
	assert_string_equal(list_of(&given), what);
}

/* What earlier rules take becomes more before the switch, less behind it, and the SA stays. */
static void new_refusals_leave_clients_sas(void **state)
{
	struct xipsec_sa want = make("in", XIPSEC_DIR_IN, 0x2001);
	struct config *next = policies(DISCARD_8 POLICY_A);
	struct xipsec_sa_state was;

	config = policies(DISCARD_9 POLICY_A);
	want.n_selectors = 0;
	want.flags = 0;
	assert_int_equal(ask_add(&want), 0);
	states[0].replay_top = 77;
	was = states[0];
	said[0] = 0;
	for (int i = 0; i < 2; i++) { /* the second time there is nothing to do */
		assert_int_equal(manual_withdraw(sas, next, text), 0);
		assert_list("in", "9 8 a ");
		assert_string_equal(said, "key0 settled0 ");
	}
	said[0] = 0;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(manual_apply(sas, next, text), 0);
		assert_list("in", "8 a ");
		assert_string_equal(said, "key0 settled0 ");
	}
	assert_memory_equal(&states[0], &was, sizeof(was));
	assert_memory_equal(given.key, want.key, want.key_len);
	config_free(next);

	/* Less alone waits for the switch. */
	next = policies(POLICY_A);
	said[0] = 0;
	assert_int_equal(manual_withdraw(sas, next, text), 0);
	assert_string_equal(said, "");
	assert_int_equal(manual_apply(sas, next, text), 0);
	assert_list("in", "a ");
	/* Another generation of maps has it so, too. */
	config_free(next);
	next = policies(DISCARD_9 POLICY_A);
	assert_int_equal(manual_apply(sas, next, text), 0);
	memset(&given, 0, sizeof(given));
	states = homes[1];
	assert_int_equal(sas_bind(sas, states, sizeof(states[0]), MAX, "boot:2"), 0);
	assert_list("in", "9 a ");
	assert_true(states[0].replay_top == 77);
	config_free(next);
	config_free(config);
}

/* A client's connection with a child to 10.2.THIRD.0/24, 0: none, becomes that of the number. */
static void set_connection(__u32 number, unsigned int third, struct config_client_change *change)
{
	struct conn conn = {0};
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), "%s/" CONFIG_CLIENTS_DIR "/" CONFIG_CLIENT_FILE, dir, number);
	file = third ? fopen(path, "w") : NULL;
	if (file) {
		fprintf(file,
			"connections { c%u { local { auth = psk }\nremote { auth = psk }\n"
			"children { n { local_ts = 10.1.0.0/16\nremote_ts = 10.2.%u.0/24 } } } }",
			number, third);
		fclose(file);
		assert_int_equal(config_client_read(dir, number, &conn, stderr), 0);
	}
	assert_int_equal(config_client_set(config, number, third ? &conn : NULL, change, stderr),
			 0);
}

/* Its rules come into force: what was done with SAs before, and behind that. */
static void switch_connection(__u32 number, unsigned int third, const char *before,
			      const char *behind)
{
	struct config_client_change change;

	set_connection(number, third, &change);
	assert_false(manual_concerned(sas, config, &change));
	said[0] = 0;
	assert_int_equal(manual_withdraw_by(sas, config, &change, text), 0);
	assert_string_equal(said, before);
	said[0] = 0;
	assert_int_equal(manual_switched_by(sas, config, &change, text), 0);
	assert_string_equal(said, behind);
	config_client_change_free(&change);
}

/* A client's connection takes something from children behind it, and gives it back: their SAs
 * notice, no others do. */
static void connections_take_from_sas_behind(void **state)
{
	struct xipsec_sa want = make("in", XIPSEC_DIR_IN, 0x2001);
	struct xipsec_sa far = make("far", XIPSEC_DIR_IN, 0x2002);
	struct config_client_change change;
	char path[100];

	snprintf(path, sizeof(path), "%s/" CONFIG_CLIENTS_DIR, dir);
	assert_int_equal(mkdir(path, 0700), 0);
	config = policies(DISCARD_9 "here { action = connections }\n" POLICY_A
				    "b { action = protect\n remote = 10.3.0.0/16 }\n");
	want.n_selectors = far.n_selectors = 0;
	strcpy(far.child, "b");
	assert_int_equal(ask_add(&far), 0);
	assert_int_equal(ask_add(&want), 0);
	assert_list("in", "9 a ");
	switch_connection(3, 8, "key1 settled0 ", ""); /* comes */
	assert_list("in", "9 8 a ");
	switch_connection(3, 7, "key1 settled0 ", "key1 settled0 "); /* changes */
	assert_list("in", "9 7 a ");
	switch_connection(2, 6, "key1 settled0 ", "key1 settled0 "); /* another one before it */
	assert_list("in", "9 6 7 a ");
	switch_connection(3, 0, "", "key1 settled0 "); /* goes */
	assert_list("in", "9 6 a ");
	switch_connection(2, 0, "", "key1 settled0 ");
	assert_list("in", "9 a ");
	/* What its own rules accept goes with them. */
	switch_connection(2, 6, "key1 settled0 ", "");
	strcpy(want.child, "c2/n");
	strcpy(want.name, "own");
	want.spi++;
	want.key[7] ^= 1;
	assert_int_equal(ask_add(&want), 0);
	switch_connection(2, 5, "key1 stopped2 settled0 unsad0 forget2 ", "key1 settled0 ");
	assert_list("in", "9 5 a ");
	assert_null(sas_by_name(sas, "own"));
	/* That of a manual SA was made with its key. */
	want = make("hand", XIPSEC_DIR_IN, 0x2004);
	want.selector[0] = pair("10.1.9.0", "10.2.4.0", 24);
	assert_int_equal(manual_add(sas, &want, 0, text), 0);
	set_connection(2, 4, &change);
	assert_true(manual_concerned(sas, config, &change));
	config_client_change_free(&change);
	set_connection(2, 3, &change); /* the old rules met it */
	assert_true(manual_concerned(sas, config, &change));
	config_client_change_free(&change);
	set_connection(2, 5, &change);
	assert_false(manual_concerned(sas, config, &change));
	config_client_change_free(&change);
	config_free(config);
}

/* Of sas {}: the number that it has sent is no matter of its list. */
static void new_refusals_leave_manual_sas(void **state)
{
	static struct config_sa with;
	struct config next = {.n_sas = 1, .sas = &with};
	struct xipsec_selector *sel = with.sa.selector;
	struct sa *sa;

	with.sa = make("in", XIPSEC_DIR_IN, 0x2001);
	sel[0] = pair("10.1.0.0", "10.2.0.0", 16);
	assert_int_equal(manual_apply(sas, &next, text), 0);
	sa = sas_by_name(sas, "in");
	states[sa->index].replay_top = 5;
	sel[1] = sel[0];
	sel[0] = pair("10.1.0.0", "10.2.9.0", 24);
	with.sa.refuse[0] = 1;
	with.sa.n_selectors = 2;
	said[0] = 0;
	assert_int_equal(manual_withdraw(sas, &next, text), 0);
	assert_list("in", "9 a ");
	assert_int_equal(manual_apply(sas, &next, text), 0);
	assert_string_equal(said, "key0 settled0 ");
	assert_true(states[sas_by_name(sas, "in")->index].replay_top == 5);
	/* What it accepts was agreed with the peer. */
	said[0] = 0;
	sel[1] = pair("10.1.0.0", "10.2.0.0", 17);
	assert_int_equal(manual_apply(sas, &next, text), 0);
	assert_non_null(strstr(said, "forget0 "));
	assert_list("in", "9 a ");
	/* Another key is another SA, whatever its list is. */
	said[0] = 0;
	with.sa.refuse[0] = 0;
	with.sa.key[7] ^= 1;
	assert_int_equal(manual_withdraw(sas, &next, text), 0);
	assert_int_equal(sas_count(sas), 0);
}

/* Two lists that do not fit into one: the SA is made anew. */
static void lists_too_long_for_one(void **state)
{
	static struct config_sa with;
	struct config next = {.n_sas = 1, .sas = &with};

	with.sa = make("in", XIPSEC_DIR_IN, 0x2001);
	with.sa.n_selectors = 300;
	with.sa.selector[299] = pair("10.1.0.0", "10.2.0.0", 16);
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < 299; i++) {
			with.sa.refuse[i] = 1;
			with.sa.selector[i] = pair("10.1.0.0", "10.2.9.0", 32);
			with.sa.selector[i].remote_port_lo = (__u16)(round * 1000 + i);
		}
		said[0] = 0;
		assert_int_equal(manual_withdraw(sas, &next, text), 0);
		assert_int_equal(sas_count(sas), 0);
		assert_int_equal(manual_apply(sas, &next, text), 0);
		assert_int_equal(sas_by_name(sas, "in")->sa.selector[0].remote_port_lo,
				 round * 1000);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(listing_has_no_key),
		TEST(last_requests_of_a_client_that_is_gone),
		TEST(client_hears_of_a_broken_disk),
		TEST(reload_tells_of_a_broken_disk),
		TEST(other_users_are_turned_away),
		TEST(clients_get_the_list_of_the_policies),
		TEST(clients_cannot_widen),
		TEST(hundreds_of_selectors),
		TEST(new_policies_end_clients_sas),
		TEST(new_refusals_leave_clients_sas),
		TEST(connections_take_from_sas_behind),
		TEST(new_refusals_leave_manual_sas),
		TEST(lists_too_long_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
