// SPDX-License-Identifier: BSD-2-Clause
/*
 * xipsec-bench-ike RESPONDER [CA CA-KEY]: initiators number 0, 1, 2, ... have the outer address
 * 10.64.0.1 + n, the inner one 10.128.0.1 + n and the identity pN.load.example.org. They stay up,
 * and answer, until the end of the input. A line of input sets some more up:
 *
 *	up COUNT PARALLEL	answered by "up COUNT of COUNT, SECONDS s"
 */
#include "tools/bench/ike_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <openssl/rand.h>

#include "iked/ike_conn.h"
#include "lib/cleanup.h"
#include "lib/config.h"

/* What the engine asks is answered from the loop, never from within. */
enum kind { PATHS, AUTH, VERIFIED, SA, DONE };

struct answer {
	struct answer *next;
	enum kind kind;
	__u64 id;
	int err;
	struct ike_path path;
	__u8 method;
	size_t len;
	__u8 data[IKE_AUTH_MAX];
};

struct load {
	struct engine *engine;
	struct load_net net;
	struct load_creds creds;
	struct xipsec_addr responder;
	char responder_text[64];
	struct answer *first, **last;
	unsigned int begun; /* in all */
	unsigned int wanted, running, up, failed, parallel;
	struct timespec since; /* of this `up` */
};

static struct answer *answer_later(struct load *load, enum kind kind, __u64 id)
{
	struct answer *answer = calloc(1, sizeof(*answer));

	if (!answer)
		abort();
	answer->kind = kind;
	answer->id = id;
	*load->last = answer;
	load->last = &answer->next;
	return answer;
}

/* ------------------------------------------------------------------ what the engine asks */

static __u64 env_now(void *ctx)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

static void env_random(void *ctx, void *out, size_t len)
{
	if (RAND_bytes(out, len) != 1)
		abort();
}

static void env_send(void *ctx, const struct ike_path *path, __u8 dscp, const __u8 *data,
		     size_t len)
{
	load_net_send(&((struct load *)ctx)->net, path, data, len);
}

static void env_keepalive(void *ctx, const struct ike_path *path)
{
}

static void env_find_paths(void *ctx, __u64 id, const char *conn)
{
	struct load *load = ctx;
	struct answer *answer = answer_later(load, PATHS, id);
	__be32 local = htonl(0x0a400001 + strtoul(conn + 1, NULL, 10));

	answer->path = (struct ike_path){.remote = load->responder,
					 .local_port = htons(500),
					 .remote_port = htons(500),
					 .family = XIPSEC_FAMILY_IP4};
	memcpy(answer->path.local.byte, &local, 4);
}

static void env_auth_make(void *ctx, __u64 id, const struct ike_auth_ask *ask)
{
	struct load *load = ctx;
	struct answer *answer = answer_later(load, AUTH, id);
	const struct ident *own = ike_conn_find(load->engine, ask->conn)->local_id;
	_cleanup_writer_ struct writer body = {0}, out = {0};

	auth_id_body(&body, own->type, BYTES(own->data, own->len));
	answer->err = load_creds_auth(&load->creds, ask, writer_view(&body), &answer->method, &out);
	if (!answer->err && out.len > sizeof(answer->data))
		answer->err = -EMSGSIZE;
	if (answer->err)
		return;
	answer->len = out.len;
	memcpy(answer->data, out.data, out.len);
}

static void env_psk_verify(void *ctx, __u64 id, const struct ike_auth_ask *ask)
{
	answer_later(ctx, VERIFIED, id)->err = load_creds_verify(ask);
}

static void env_sa_add(void *ctx, __u64 id, const struct xipsec_sa *sa)
{
	answer_later(ctx, SA, id);
}

static void env_sa_delete(void *ctx, const char *name)
{
}

static void env_event(void *ctx, const struct ike_event *event)
{
}

static void env_log(void *ctx, const struct ike_log *line)
{
	if (line->level <= LOG_LEVEL_WARN)
		fprintf(stderr, "ike: %s\n", line->text);
}

static void env_keylog(void *ctx, const struct ike_keylog *line)
{
}

static void env_done(void *ctx, __u64 ref, int err, const char *text)
{
	answer_later(ctx, DONE, ref)->err = err;
}

/* ------------------------------------------------------------------ initiators */

static const char conn_text[] = "connections {\n"
				"p%u {\n"
				"local_addrs = %s\n"
				"remote_addrs = %s\n"
				"proposals = aes128gcm16-prfsha256-x25519\n"
				"encap = yes\n"
				"rekey_time = 0\n"
				"keyingtries = 1\n"
				"unique = never\n"
				"local {\n auth = %s\n id = p%u.load.example.org\n%s}\n"
				"remote {\n auth = %s\n id = hub.example.org\n}\n"
				"children { net {\n"
				"local_ts = %s/32\n"
				"remote_ts = 10.1.0.0/16\n"
				"esp_proposals = aes128gcm16\n"
				"rekey_time = 0\n"
				"} }\n"
				"}\n}\n";

static void address_text(__u32 base, unsigned int n, char text[INET_ADDRSTRLEN])
{
	__be32 addr = htonl(base + 1 + n);

	inet_ntop(AF_INET, &addr, text, INET_ADDRSTRLEN);
}

static struct config *conn_config(struct load *load, unsigned int n)
{
	const char *auth = load->creds.certs ? "pubkey" : "psk";
	char outer[INET_ADDRSTRLEN], inner[INET_ADDRSTRLEN], path[64];
	_cleanup_close_ int fd = memfd_create("conn", MFD_CLOEXEC);
	struct config *config = NULL;

	address_text(0x0a400000, n, outer);
	address_text(0x0a800000, n, inner);
	if (fd < 0 || dprintf(fd, conn_text, n, outer, load->responder_text, auth, n,
			      load->creds.certs ? " certs = own.pem\n" : "", auth, inner) < 0)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (config_load(path, &config, stderr))
		abort();
	return config;
}

/* In the place of the file that the text names. */
static void add_cert(struct load *load, struct conn *conn, unsigned int n)
{
	struct conn_blob *blob = &conn->local.certs.blob[0];

	free(blob->file);
	blob->file = NULL;
	blob->len = load_creds_cert(&load->creds, n, &blob->data);
	if (!blob->len)
		abort();
}

static void begin(struct load *load)
{
	unsigned int n = load->begun++;
	struct config *config = conn_config(load, n);
	char name[CONN_NAME_LEN];

	if (load->creds.certs)
		add_cert(load, &config->conns[0], n);
	if (engine_conn_load(load->engine, &config->conns[0]))
		abort();
	config_free(config);
	load->running++;
	snprintf(name, sizeof(name), "p%u", n);
	engine_initiate(load->engine, name, "net", n + 1);
}

/* The connection goes, so that finding others takes no longer; its SAs stay. */
static void ended(struct load *load, const struct answer *answer)
{
	char name[CONN_NAME_LEN];

	snprintf(name, sizeof(name), "p%llu", (unsigned long long)answer->id - 1);
	engine_conn_unload(load->engine, name);
	load->running--;
	*(answer->err ? &load->failed : &load->up) += 1;
}

/* ------------------------------------------------------------------ the loop */

static void answer_all(struct load *load)
{
	while (load->first) {
		struct answer *a = load->first;

		load->first = a->next;
		if (!load->first)
			load->last = &load->first;
		switch (a->kind) {
		case PATHS: engine_answer_paths(load->engine, a->id, 0, &a->path, 1); break;
		case AUTH:
			engine_answer_auth(load->engine, a->id, a->err, a->method, a->data, a->len);
			break;
		case VERIFIED: engine_answer_psk(load->engine, a->id, a->err); break;
		case SA: engine_answer_sa(load->engine, a->id, 0, ""); break;
		case DONE: ended(load, a); break;
		}
		free(a);
	}
}

static double seconds_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - then->tv_sec + (now.tv_nsec - then->tv_nsec) / 1e9;
}

static void go_on(struct load *load)
{
	while (load->wanted && load->running < load->parallel) {
		load->wanted--;
		begin(load);
		answer_all(load);
	}
	if (!load->parallel || load->running || load->wanted)
		return;
	printf("up %u of %u, %.6f s\n", load->up, load->up + load->failed,
	       seconds_since(&load->since));
	fflush(stdout);
	load->parallel = load->up = load->failed = 0;
}

/* false: no more will come. */
static bool command(struct load *load)
{
	char line[128];

	if (!fgets(line, sizeof(line), stdin))
		return false;
	if (load->parallel || sscanf(line, "up %u %u", &load->wanted, &load->parallel) != 2 ||
	    !load->parallel || load->wanted > PEERS_MAX - load->begun) {
		fprintf(stderr, "ike: expected: up COUNT PARALLEL, one at a time\n");
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC, &load->since);
	return true;
}

static int wait_ms(const struct load *load)
{
	__u64 due = engine_due(load->engine), now = env_now(NULL);

	if (due == ~0ULL)
		return 1000;
	return due <= now ? 0 : due - now > 1000 ? 1000 : (int)(due - now);
}

static void serve(struct load *load)
{
	struct pollfd fd[3] = {
		{load->net.fd[0], POLLIN, 0}, {load->net.fd[1], POLLIN, 0}, {0, POLLIN, 0}};

	for (;;) {
		if (poll(fd, 3, wait_ms(load)) < 0 && errno != EINTR)
			return;
		if (fd[2].revents && !command(load))
			return;
		load_net_receive(&load->net, load->engine);
		engine_run(load->engine);
		answer_all(load);
		go_on(load);
	}
}

int main(int argc, char **argv)
{
	static struct load load;
	struct ike_env env = {.ctx = &load,
			      .now = env_now,
			      .random = env_random,
			      .send = env_send,
			      .keepalive = env_keepalive,
			      .find_paths = env_find_paths,
			      .auth_make = env_auth_make,
			      .psk_verify = env_psk_verify,
			      .sa_add = env_sa_add,
			      .sa_delete = env_sa_delete,
			      .event = env_event,
			      .log = env_log,
			      .keylog = env_keylog,
			      .done = env_done};
	int err;

	if ((argc != 2 && argc != 4) || strlen(argv[1]) >= sizeof(load.responder_text) ||
	    inet_pton(AF_INET, argv[1], load.responder.byte) != 1) {
		fprintf(stderr, "usage: xipsec-bench-ike RESPONDER [CA CA-KEY]\n");
		return 2;
	}
	strcpy(load.responder_text, argv[1]);
	load.last = &load.first;
	if (argc == 4 && load_creds_read(&load.creds, argv[2], argv[3]))
		return 1;
	err = load_net_open(&load.net);
	if (err) {
		fprintf(stderr, "ike: UDP 500 and 4500: %s\n", strerror(-err));
		return 1;
	}
	load.engine = engine_new(&env);
	if (!load.engine)
		return 1;
	engine_wall_clock(load.engine, time(NULL) - env_now(NULL) / 1000);
	engine_trust(load.engine, load.creds.trust);
	serve(&load);
	return 0;
}
