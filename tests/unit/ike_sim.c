// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/ike_sim_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "iked/auth.h"
#include "lib/alg.h"

/* ------------------------------------------------------------------ chance and time */

__u64 sim_random(struct sim *sim)
{
	/* splitmix64 */
	__u64 z = (sim->random += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

unsigned int sim_dice(struct sim *sim, unsigned int n)
{
	return sim_random(sim) % n;
}

void sim_fail(struct sim *sim, const char *fmt, ...)
{
	va_list args;
	int n;

	if (*sim->fail)
		return;
	n = snprintf(sim->fail, sizeof(sim->fail),
		     "seed %llu, %llu ms: ", (unsigned long long)sim->seed,
		     (unsigned long long)sim->now);
	va_start(args, fmt);
	vsnprintf(sim->fail + n, sizeof(sim->fail) - n, fmt, args);
	va_end(args);
}

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->due != b->due ? a->due < b->due : a->seq < b->seq;
}

void sim_push(struct sim *sim, struct sim_event *event, __u64 due)
{
	unsigned int at = sim->n_events++;

	event->due = due;
	event->seq = sim->seq++;
	if (sim->n_events > sim->size) {
		sim->size = sim->size ? 2 * sim->size : 256;
		sim->heap = realloc(sim->heap, sim->size * sizeof(*sim->heap));
		if (!sim->heap)
			abort();
	}
	for (; at && before(event, &sim->heap[(at - 1) / 2]); at = (at - 1) / 2)
		sim->heap[at] = sim->heap[(at - 1) / 2];
	sim->heap[at] = *event;
}

static struct sim_event pop(struct sim *sim)
{
	struct sim_event top = sim->heap[0], last = sim->heap[--sim->n_events];
	unsigned int at = 0, child;

	while ((child = 2 * at + 1) < sim->n_events) {
		if (child + 1 < sim->n_events && before(&sim->heap[child + 1], &sim->heap[child]))
			child++;
		if (!before(&sim->heap[child], &last))
			break;
		sim->heap[at] = sim->heap[child];
		at = child;
	}
	sim->heap[at] = last;
	return top;
}

__u8 *sim_copy(const void *data, size_t len)
{
	__u8 *to = malloc(len ? len : 1);

	if (!to)
		abort();
	memcpy(to, data, len);
	return to;
}

/* ------------------------------------------------------------------ the network */

static const struct xipsec_addr nat_addr = {.byte = {203, 0, 113, 9}};

static struct xipsec_addr addr_of(int side)
{
	struct xipsec_addr addr = {.byte = {192, 0, 2, 1 + side}};

	return addr;
}

struct ike_path sim_path(const struct sim *sim, int to, __u16 from_port, __u16 to_port)
{
	struct ike_path path = {.local = addr_of(to),
				.remote = addr_of(!to),
				.local_port = htons(to_port),
				.remote_port = htons(from_port),
				.family = XIPSEC_FAMILY_IP4,
				.natt = to_port == 4500};

	if (sim->nat && to == 1) {
		path.remote = nat_addr;
		path.remote_port = htons(from_port + 10000 + sim->nat_moved);
	}
	return path;
}

__u64 sim_delay(struct sim *sim)
{
	return sim->net.delay_min + sim_dice(sim, sim->net.delay_max - sim->net.delay_min + 1);
}

static void deliver(struct sim *sim, int from, const struct ike_path *path, const __u8 *data,
		    size_t len)
{
	struct sim_event event = {.kind = EV_MESSAGE, .to = !from, .len = len};
	__u16 from_port = ntohs(path->local_port), to_port = ntohs(path->remote_port);
	struct xipsec_addr there = addr_of(!from);

	if (!sim->nat && memcmp(&path->remote, &there, sizeof(there)))
		return; /* to nobody */
	if (sim->nat && from == 1) {
		if (memcmp(&path->remote, &nat_addr, sizeof(nat_addr)))
			return; /* nobody has that address out here */
		to_port -= 10000 + sim->nat_moved;
		if (to_port != 500 && to_port != 4500)
			return;
	}
	if (msg_exchange(data) != IKE_SA_INIT &&
	    (sim->float_anyway ||
	     (sim->float_second && (!from == !(data[19] & IKE_FLAG_INITIATOR)))))
		from_port = to_port = 4500;
	event.path = sim_path(sim, !from, from_port, to_port);
	event.data = sim_copy(data, len);
	sim_push(sim, &event, sim->now + sim_delay(sim));
}

static void env_send(void *ctx, const struct ike_path *path, __u8 dscp, const __u8 *data,
		     size_t len)
{
	struct side *side = ctx;
	struct sim *sim = side->sim;

	sim->sent[msg_exchange(data) & 63][msg_response(data)]++;
	side->dscps |= 1ULL << dscp;
	side->sent_by = *path;
	if (sim->talk)
		fprintf(stderr, "%6llu %d > %02x%02x %s %s %u\n", (unsigned long long)sim->now,
			side->n, data[0], data[8], ike_exchange_name(msg_exchange(data)),
			msg_response(data) ? "response" : "request", data[23]);
	if (len > sim->longest)
		sim->longest = len;
	if (sim->lose && sim->lose(sim, side->n, data, len)) {
		sim->lost++;
		return;
	}
	if (sim_dice(sim, 1000) < sim->net.drop)
		return;
	deliver(sim, side->n, path, data, len);
	if (sim_dice(sim, 1000) < sim->net.twice)
		deliver(sim, side->n, path, data, len);
}

void sim_inject(struct sim *sim, int to, const __u8 *data, size_t len)
{
	struct sim_event event = {.kind = EV_MESSAGE,
				  .to = to,
				  .len = len,
				  .path = sim_path(sim, to, 500, 500),
				  .data = sim_copy(data, len)};

	sim_push(sim, &event, sim->now);
}

/* ------------------------------------------------------------------ the parent */

static struct bytes secret_of(const struct side *side)
{
	return BYTES(side->psk, strlen(side->psk));
}

static struct auth_in inputs(const struct ike_auth_ask *ask, struct bytes id)
{
	return (struct auth_in){.initiator = ask->initiator,
				.init = BYTES(ask->message, ask->message_len),
				.nonce = BYTES(ask->nonce, ask->nonce_len),
				.prf = ask->prf,
				.sk_p = BYTES(ask->sk_p, ask->sk_p_len),
				.id = id};
}

/* The identity that the connection names, or our address. */
static void own_id(const struct side *side, const struct ike_auth_ask *ask, struct writer *to)
{
	struct ike_conn *conn = ike_conn_find(side->engine, ask->conn);
	struct ident *id = conn && conn->local_id
				   ? ident_copy(conn->local_id)
				   : ident_of_addr(ask->path->family, ask->path->local.byte);

	auth_id_body(to, id->type, BYTES(id->data, id->len));
	free(id);
}

static void env_auth_make(void *ctx, __u64 id, const struct ike_auth_ask *ask)
{
	struct side *side = ctx;
	struct sim_event event = {.kind = EV_AUTH, .to = side->n, .id = id};
	_cleanup_writer_ struct writer body = {0}, out = {0};
	struct auth_in in;
	__u32 hashes = 0;

	own_id(side, ask, &body);
	in = inputs(ask, writer_view(&body));
	for (size_t i = 0; i < ask->n_hashes; i++)
		hashes |= 1u << ask->hashes[i];
	if (side->key) {
		enum auth_scheme scheme = auth_scheme_choose(side->key, hashes);

		event.method = auth_scheme_method(scheme);
		event.err = auth_sign(&in, side->key, scheme, &out);
	} else if (side->psk) {
		event.method = IKE_AUTH_PSK;
		event.err = auth_psk(&in, secret_of(side), writer_room(&out, prf_len(ask->prf)));
	} else {
		event.err = -ENOENT;
	}
	event.len = out.len;
	event.data = sim_copy(out.data ? out.data : (const __u8 *)"", out.len);
	sim_push(side->sim, &event, side->sim->now + sim_dice(side->sim, 5));
}

static void env_psk_verify(void *ctx, __u64 id, const struct ike_auth_ask *ask)
{
	struct side *side = ctx;
	struct sim_event event = {.kind = EV_PSK, .to = side->n, .id = id, .err = -ENOENT};
	struct auth_in in = inputs(ask, BYTES(ask->id, ask->id_len));

	if (side->psk)
		event.err = auth_psk_verify(&in, secret_of(side), BYTES(ask->auth, ask->auth_len));
	sim_push(side->sim, &event, side->sim->now + sim_dice(side->sim, 5));
}

static void env_find_paths(void *ctx, __u64 id, const char *conn)
{
	struct side *side = ctx;
	struct sim_event event = {.kind = EV_PATHS, .to = side->n, .id = id};

	if (side->lost_paths)
		return;
	event.path = (struct ike_path){.local = addr_of(side->n),
				       .remote = addr_of(!side->n),
				       .local_port = htons(500),
				       .remote_port = htons(500),
				       .family = XIPSEC_FAMILY_IP4};
	sim_push(side->sim, &event, side->sim->now + sim_dice(side->sim, 3));
}

/* ------------------------------------------------------------------ the rest of the world */

static __u64 env_now(void *ctx)
{
	return ((struct side *)ctx)->sim->now;
}

static void env_random(void *ctx, void *out, size_t len)
{
	struct side *side = ctx;

	for (size_t i = 0; i < len; i++)
		((__u8 *)out)[i] = sim_random(side->sim) >> 17;
}

static void env_keepalive(void *ctx, const struct ike_path *path)
{
	((struct side *)ctx)->keepalives++;
}

static void env_event(void *ctx, const struct ike_event *event)
{
	((struct side *)ctx)->events[event->kind]++;
}

static void env_log(void *ctx, const struct ike_log *line)
{
	struct side *side = ctx;
	size_t len = strlen(line->text);

	if (side->sim->talk)
		fprintf(stderr, "%6llu %d %s\n", (unsigned long long)side->sim->now, side->n,
			line->text);
	if (side->log_len + len + 2 > sizeof(side->log))
		side->log_len = 0;
	memcpy(side->log + side->log_len, line->text, len);
	side->log_len += len;
	side->log[side->log_len++] = '\n';
	side->log[side->log_len] = 0;
}

static void env_keylog(void *ctx, const struct ike_keylog *line)
{
}

static void env_done(void *ctx, __u64 ref, int err, const char *text)
{
	struct side *side = ctx;

	for (unsigned int i = 0; i < side->n_done; i++)
		if (side->done[i].ref == ref)
			sim_fail(side->sim, "side %d: command %llu ended twice", side->n,
				 (unsigned long long)ref);
	if (side->n_done < SIM_DONE_MAX) {
		side->done[side->n_done].ref = ref;
		side->done[side->n_done++].err = err;
	}
}

int sim_done(const struct side *side, __u64 ref)
{
	for (unsigned int i = 0; i < side->n_done; i++)
		if (side->done[i].ref == ref)
			return side->done[i].err;
	return 1;
}

unsigned int sim_lines(const struct side *side, const char *text)
{
	unsigned int n = 0;

	for (const char *at = side->log; (at = strstr(at, text)); at++)
		n++;
	return n;
}

bool sim_said(const struct side *side, const char *text)
{
	return strstr(side->log, text);
}

/* ------------------------------------------------------------------ begin and end */

static struct config *load(const char *conn, int n)
{
	struct config *config = NULL;
	char text[8192], body[4096], ends[256], path[64];
	int fd = memfd_create("conn", 0);

	snprintf(ends, sizeof(ends), "local_addrs = 192.0.2.%d\nremote_addrs = %s", 1 + n,
		 strstr(conn, "NAT") ? "%any"
		 : n                 ? "192.0.2.1"
				     : "192.0.2.2");
	snprintf(body, sizeof(body), conn, ends);
	snprintf(text, sizeof(text), "connections {\n%s\n}\n", body);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (config_load(path, &config, stderr)) {
		fprintf(stderr, "%s", text);
		abort();
	}
	close(fd);
	return config;
}

static void begin(struct sim *sim, int n, const char *conn)
{
	struct side *side = &sim->side[n];
	struct ike_env env = {.ctx = side,
			      .now = env_now,
			      .random = env_random,
			      .send = env_send,
			      .keepalive = env_keepalive,
			      .find_paths = env_find_paths,
			      .auth_make = env_auth_make,
			      .psk_verify = env_psk_verify,
			      .sa_add = sim_sa_add,
			      .sa_delete = sim_sa_delete,
			      .event = env_event,
			      .log = env_log,
			      .keylog = env_keylog,
			      .done = env_done};

	side->sim = sim;
	side->n = n;
	side->psk = "correct horse battery staple";
	side->engine = engine_new(&env);
	side->config = load(conn, n);
	for (unsigned int i = 0; i < side->config->n_conns; i++)
		if (engine_conn_load(side->engine, &side->config->conns[i]))
			abort();
}

void sim_crash(struct sim *sim, int n, const char *conn)
{
	struct side *side = &sim->side[n];

	engine_free(side->engine);
	config_free(side->config);
	for (unsigned int i = 0; i < sim->n_events; i++)
		if (sim->heap[i].to == n && sim->heap[i].kind != EV_MESSAGE &&
		    sim->heap[i].kind != EV_ESP && sim->heap[i].kind != EV_PROBE)
			sim->heap[i].id = 0;
	begin(sim, n, conn);
	engine_ids_behind(sim->side[n].engine, 1000);
}

struct sim *sim_new(__u64 seed, const char *conn_0, const char *conn_1)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	struct sim_event first = {.kind = EV_PROBE};

	if (!sim)
		abort();
	sim->seed = seed;
	sim->random = seed * 0x2545f4914f6cdd1dULL + 1;
	sim->now = 1000;
	sim->net = (struct sim_net){.delay_min = 5, .delay_max = 15};
	sim->traffic = true;
	sim->talk = getenv("SIM_TALK");
	begin(sim, 0, conn_0);
	begin(sim, 1, conn_1);
	sim_push(sim, &first, sim->now);
	return sim;
}

void sim_free(struct sim *sim)
{
	for (int i = 0; i < 2; i++) {
		engine_free(sim->side[i].engine);
		config_free(sim->side[i].config);
		EVP_PKEY_free(sim->side[i].key);
	}
	while (sim->n_events) {
		struct sim_event event = pop(sim);

		free(event.data);
	}
	free(sim->heap);
	free(sim);
}

static void happen(struct sim *sim, struct sim_event *event)
{
	struct side *side = &sim->side[event->to];
	struct engine *engine = side->engine;

	switch (event->kind) {
	case EV_MESSAGE:
		if (!side->deaf)
			engine_datagram(engine, &event->path, event->data, event->len);
		break;
	case EV_SADB: sim_xipsecd(sim, event); break;
	case EV_SA_ANSWER:
		engine_answer_sa(engine, event->id, event->err, event->err ? "no" : "");
		break;
	case EV_NEW_EPOCH: sim_new_epoch(sim, side); break;
	case EV_AUTH:
		engine_answer_auth(engine, event->id, event->err, event->method, event->data,
				   event->len);
		break;
	case EV_PSK: engine_answer_psk(engine, event->id, event->err); break;
	case EV_PATHS: engine_answer_paths(engine, event->id, 0, &event->path, 1); break;
	case EV_ESP: sim_esp(sim, event); break;
	case EV_USED: engine_sa_used(engine, (const char *)event->data); break;
	case EV_PROBE: sim_probe(sim); break;
	}
	free(event->data);
}

void sim_run(struct sim *sim, __u64 ms)
{
	__u64 end = sim->now + ms;

	while (!*sim->fail) {
		__u64 due[2] = {engine_due(sim->side[0].engine), engine_due(sim->side[1].engine)};
		__u64 next = due[0] < due[1] ? due[0] : due[1];
		struct sim_event event;

		if (sim->n_events && sim->heap[0].due < next)
			next = sim->heap[0].due;
		if (next > end)
			break;
		if (next > sim->now)
			sim->now = next;
		for (int i = 0; i < 2; i++)
			if (due[i] <= sim->now)
				engine_run(sim->side[i].engine);
		if (!sim->n_events || sim->heap[0].due > sim->now)
			continue;
		event = pop(sim);
		happen(sim, &event);
	}
	if (!*sim->fail)
		sim->now = end;
}

bool sim_up(struct sim *sim, __u64 ms)
{
	for (__u64 end = sim->now + ms; sim->now < end && !*sim->fail; sim_run(sim, 10))
		if (sim_children(&sim->side[0], CHILD_UP) &&
		    sim_children(&sim->side[1], CHILD_UP) && sim_ikes(&sim->side[0], IKE_UP) &&
		    sim_ikes(&sim->side[1], IKE_UP))
			return true;
	return false;
}

struct sim *sim_begun(const char *conn_0, const char *conn_1)
{
	struct sim *sim = sim_new(3, conn_0, conn_1);

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	if (!sim_up(sim, 3000))
		fail_msg("%s\n%s\n%s", sim->fail, sim->side[0].log, sim->side[1].log);
	sim_run(sim, 500);
	return sim;
}
