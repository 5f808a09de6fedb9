// SPDX-License-Identifier: BSD-2-Clause
#include "iked/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "iked/engine_state.h"
#include "iked/setup.h"
#include "iked/xchg.h"

/* ------------------------------------------------------------------ its life */

struct engine *engine_new(const struct ike_env *env)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return NULL;
	engine->env = *env;
	engine->halfopen.salt = engine_random(engine);
	return engine;
}

void engine_reap(struct engine *engine)
{
	struct ike_sa *ike;

	while ((ike = engine->graves)) {
		engine->graves = ike->next;
		ike_conn_unref(ike->conn);
		free(ike->local_id);
		free(ike->remote_id);
		key_pool_give(&engine->keys, ike->keys);
		free(ike);
	}
}

static void hush(void *ctx, const char *name)
{
}

static void hush_event(void *ctx, const struct ike_event *event)
{
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	/* SAs live on at xipsecd: whoever comes after us finds them. */
	engine->env.sa_delete = hush;
	engine->env.event = hush_event;
	lingers_free(engine);
	while (engine->first)
		ike_gone(engine->first, true);
	engine_reap(engine);
	while (engine->conns)
		engine_conn_unload(engine, engine->conns->model.name);
	table_free(&engine->by_spi);
	table_free(&engine->by_id);
	table_free(&engine->by_peer);
	table_free(&engine->by_conn);
	conn_index_free(&engine->index);
	table_free(&engine->child_by_id);
	table_free(&engine->child_by_spi);
	table_free(&engine->setup_by_peer);
	halfopen_free(&engine->halfopen);
	cookies_wipe(&engine->cookies);
	batches_free(engine);
	timers_free(&engine->timers);
	key_pool_free(&engine->keys);
	free(engine);
}

/* ------------------------------------------------------------------ small services */

void engine_trust(struct engine *engine, const struct cert_store *trust)
{
	engine->trust = trust;
}

void engine_wall_clock(struct engine *engine, __s64 at_zero)
{
	engine->wall = at_zero;
}

void engine_save_keys(struct engine *engine, bool on)
{
	engine->save_keys = on;
}

void engine_keylog(const struct ike_sa *ike)
{
	const struct engine *engine = ike->engine;
	struct ike_keylog line = {.spi_i = ike->spi_i, .spi_r = ike->spi_r, .keys = ike->keys};

	if (engine->save_keys)
		engine->env.keylog(engine->env.ctx, &line);
}

static const char *const counter_names[ENGINE_COUNTER_MAX] = {
#define COUNTER_NAME(sym, name) [ENGINE_##sym] = name,
	ENGINE_COUNTERS(COUNTER_NAME)
#undef COUNTER_NAME
};

const char *engine_counter_name(enum engine_counter counter)
{
	return (unsigned int)counter < ENGINE_COUNTER_MAX ? counter_names[counter] : "none";
}

void engine_count(struct engine *engine, struct ike_conn *conn, enum engine_counter counter)
{
	engine->counter[counter]++;
	if (conn)
		conn->counter[counter]++;
}

int engine_counters(const struct engine *engine, const char *name,
		    __u64 counter[ENGINE_COUNTER_MAX])
{
	const struct ike_conn *conn = name ? ike_conn_find(engine, name) : NULL;

	if (name && !conn)
		return -ENOENT;
	memcpy(counter, conn ? conn->counter : engine->counter, sizeof(engine->counter));
	return 0;
}

int engine_counters_reset(struct engine *engine, const char *name)
{
	struct ike_conn *conn = name ? ike_conn_find(engine, name) : NULL;

	if (name && !conn)
		return -ENOENT;
	memset(conn ? conn->counter : engine->counter, 0, sizeof(engine->counter));
	return 0;
}

void engine_counters_each(const struct engine *engine, void (*each)(void *arg, const char *conn),
			  void *arg)
{
	for (const struct ike_conn *conn = engine->conns; conn; conn = conn->next)
		each(arg, conn->model.name);
}

void engine_counters_reset_all(struct engine *engine)
{
	engine_counters_reset(engine, NULL);
	for (struct ike_conn *conn = engine->conns; conn; conn = conn->next)
		memset(conn->counter, 0, sizeof(conn->counter));
}

void engine_log(const struct engine *engine, const struct ike_path *path, enum log_level level,
		const char *fmt, ...)
{
	char text[1536], peer[INET6_ADDRSTRLEN] = "";
	struct ike_log line = {.level = level, .conn = "", .path = path, .text = text};
	va_list args;
	int n = 0;

	if (path) {
		inet_ntop(path->family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, &path->remote,
			  peer, sizeof(peer));
		n = snprintf(text, sizeof(text), "%s: ", peer);
	}
	va_start(args, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, args);
	va_end(args);
	engine->env.log(engine->env.ctx, &line);
}

/* A bucket of ERRORS_BURST that fills by one each ERRORS_MS. */
bool engine_allows(const struct engine *engine, __u64 *at, unsigned int burst, unsigned int ms)
{
	const __u64 now = engine_now(engine);

	if (*at < now)
		*at = now;
	if (*at + ms > now + (__u64)burst * ms)
		return false;
	*at += ms;
	return true;
}

bool engine_error_allowed(struct engine *engine)
{
	return engine_allows(engine, &engine->errors_at, ERRORS_BURST, ERRORS_MS);
}

void engine_send(struct engine *engine, const struct ike_path *path,
		 const struct ike_packets *packets)
{
	for (unsigned int i = 0; i < packets->n; i++) {
		struct bytes b = ike_packet(packets, i);

		engine->env.send(engine->env.ctx, path, packets->dscp, b.data, b.len);
	}
}

int engine_timers_take(struct engine *engine, unsigned int n)
{
	int err = timers_reserve(&engine->timers, engine->n_timers + n);

	if (!err)
		engine->n_timers += n;
	return err;
}

void engine_timers_give(struct engine *engine, unsigned int n)
{
	engine->n_timers -= n;
}

void engine_ids_behind(struct engine *engine, __u32 id)
{
	if (engine->next_id < id)
		engine->next_id = id;
}

__u32 engine_new_id(struct engine *engine)
{
	do {
		engine->next_id++;
	} while (!engine->next_id || ike_by_id(engine, engine->next_id) ||
		 child_by_id(engine, engine->next_id));
	return engine->next_id;
}

__u64 engine_random(const struct engine *engine)
{
	__u64 value;

	engine->env.random(engine->env.ctx, &value, sizeof(value));
	return value;
}

__u64 engine_jitter(const struct engine *engine, __u64 max)
{
	return max ? engine_random(engine) % (max + 1) : 0;
}

void engine_done(struct engine *engine, __u64 ref, int err, const char *text)
{
	if (ref && batch_ends(engine, ref, &err, &text))
		engine->env.done(engine->env.ctx, ref, err, text);
}

void engine_run(struct engine *engine)
{
	__u64 now = engine_now(engine);

	while (timers_fire(&engine->timers, now))
		engine_reap(engine);
}

__u64 engine_due(const struct engine *engine)
{
	return timers_due(&engine->timers);
}

void engine_each(const struct engine *engine, bool (*each)(void *arg, const struct ike_sa *ike),
		 void *arg)
{
	for (const struct ike_sa *ike = engine->first; ike; ike = ike->next)
		if (!each(arg, ike))
			return;
}

/* ------------------------------------------------------------------ answers */

void engine_answer_paths(struct engine *engine, __u64 id, int err, const struct ike_path *path,
			 unsigned int n)
{
	struct answer answer = {.err = err};

	if (n > IKE_PATHS_MAX)
		n = IKE_PATHS_MAX;
	if (!err)
		answer.data = BYTES(path, n * sizeof(*path));
	xchg_answer(engine, id, &answer);
	engine_reap(engine);
}

void engine_answer_auth(struct engine *engine, __u64 id, int err, __u8 method, const __u8 *data,
			size_t len)
{
	struct answer answer = {.err = err, .method = method, .data = BYTES(data, len)};

	if (!err && (!len || len > IKE_AUTH_MAX))
		answer.err = -EMSGSIZE;
	xchg_answer(engine, id, &answer);
	engine_reap(engine);
}

void engine_answer_psk(struct engine *engine, __u64 id, int err)
{
	struct answer answer = {.err = err,
				.text = err == -ENOENT ? "there is no pre-shared key for it"
						       : "its pre-shared key is another one"};

	xchg_answer(engine, id, &answer);
	engine_reap(engine);
}

void engine_answer_sa(struct engine *engine, __u64 id, int err, const char *text)
{
	struct answer answer = {.err = err, .text = text ? text : ""};

	xchg_answer(engine, id, &answer);
	engine_reap(engine);
}
