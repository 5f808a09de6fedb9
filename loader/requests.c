// SPDX-License-Identifier: BSD-2-Clause
#include "xipsec/loader.h"
#include "loader/daemon_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "lib/log.h"
#include "loader/manual.h"
#include "loader/settings.h"
#include "loader/spd.h"

static int do_add_named(void *ctx, const char *name, __u32 flags, char *text)
{
	struct daemon *d = ctx;
	struct config *config;
	int err;

	err = settings_read(d->options->config_path, &config, text);
	if (err)
		return err;
	err = -ENOENT;
	snprintf(text, XIPSEC_SADB_ERR_TEXT,
		 "sas {} of %.120s, which xipsecd reads, has no SA %.60s", d->options->config_path,
		 name);
	for (unsigned int i = 0; i < config->n_sas; i++)
		if (strcmp(config->sas[i].sa.name, name) == 0)
			err = manual_add(d->sas, &config->sas[i].sa, flags, text);
	config_free(config);
	return err;
}

static int read_path(const struct daemon *d, const char *path, struct config **out, char *text)
{
	return settings_read(path && path[0] ? path : d->options->config_path, out, text);
}

/* The config is taken over at once: what a client adds from now on is bound by its policies. */
static void take_config(struct daemon *d, struct config *config)
{
	settings_forget_keys(config);
	config_free(d->config);
	d->config = config;
}

int requests_withdraw(struct daemon *d, struct config *config, char *text)
{
	int err = d->open ? manual_withdraw(d->sas, config, text) : 0;

	standins_withdraw(d, config);
	return err;
}

static int do_withdraw(void *ctx, const char *path, char *text)
{
	struct daemon *d = ctx;
	struct config *config;
	int err;

	err = read_path(d, path, &config, text);
	if (err)
		return err;
	settings_keep(d->config, config);
	err = requests_withdraw(d, config, text);
	if (d->open)
		config_free(config); /* not in force yet */
	else
		take_config(d, config);
	return err;
}

int requests_apply(struct daemon *d, struct config *config, char *text)
{
	const char *small = plan_small_window(config);
	int err;

	if (small && d->plan.n > 1) {
		/* One worker first, or the SA would be refused. */
		workers_stop(d->workers);
		ports_close(d->ports, &d->home.dp);
		d->plan.n = 0;
	}
	follow_tunnels(d, config);
	err = d->open ? manual_apply(d->sas, config, text) : 0;
	standins_withdraw(d, config);
	if (d->config == config)
		settings_forget_keys(config);
	else
		take_config(d, config);
	standins_sync(d);
	sas_kernel_policies(d->sas);
	sas_wishes_forget(d->sas);
	follow_ports(d);
	follow_taps(d);
	log_info("reload: %u SAs", sas_count(d->sas));
	if (d->server)
		sadb_server_event(d->server, &(struct sadb_event){.event = XIPSEC_EVENT_RELOAD});
	return err;
}

int request_reload(void *ctx, const char *path, char *text)
{
	struct daemon *d = ctx;
	struct config *config;
	int err;

	err = read_path(d, path, &config, text);
	if (err) {
		log_error("reload: nothing changes: %s", text);
		return err;
	}
	settings_say_restart(d->config, config);
	settings_keep(d->config, config);
	return requests_apply(d, config, text);
}

struct withdrawal {
	struct daemon *d;
	struct config *config;
	char *text;
	bool begun;
};

static int withdraw_first(void *ctx)
{
	struct withdrawal *w = ctx;

	w->begun = true;
	return requests_withdraw(w->d, w->config, w->text);
}

/* What goes to a client is short, and begins with what became of the SAs. */
static void say_in_force_stay(const struct withdrawal *w, const char *cause, int err)
{
	snprintf(w->text, XIPSEC_SADB_ERR_TEXT, "the policies in force stay%s: %s",
		 w->begun ? "; SAs that the new config has otherwise are down until a reload "
			    "succeeds"
			  : ", and so does every SA",
		 cause[0] ? cause : strerror(-err));
}

static int apply_switched(struct daemon *d, struct config *config, char *text)
{
	char why[XIPSEC_SADB_ERR_TEXT] = "";
	int err = requests_apply(d, config, why);

	if (err)
		snprintf(text, XIPSEC_SADB_ERR_TEXT, "the policies are switched; %.200s", why);
	return err;
}

/* All that a reload is, by one reading of the file: the policies are built, what they do not allow
 * any more goes, they are switched, what is new comes. What clients add goes by the config whose
 * policies are in force, which is the old one if they are not switched. With nothing attached there
 * is no SPD to switch: the next attach reads the config itself. */
static int do_policies(void *ctx, const char *path, char *text)
{
	struct withdrawal w = {.d = ctx, .text = text};
	struct daemon *d = ctx;
	char cause[156]; /* with what stands before it, XIPSEC_SADB_ERR_TEXT */
	__u32 generation = 0;
	int err;

	if (!d->open)
		return do_withdraw(ctx, path, text);
	err = read_path(d, path, &w.config, text);
	if (err)
		return err;
	settings_say_restart(d->config, w.config);
	settings_keep(d->config, w.config);
	log_keep_error(cause, sizeof(cause));
	err = loader_reload(w.config, withdraw_first, &w, &generation);
	log_keep_error(NULL, 0);
	if (err) {
		config_free(w.config);
		say_in_force_stay(&w, cause, err);
		return err;
	}
	log_info("policies: generation %u is in force", generation);
	config_free(d->config);
	d->config = w.config;
	return apply_switched(d, w.config, text);
}

static const char *backend_name(enum xipsec_backend backend)
{
	return backend == XIPSEC_BACKEND_IPSEC_MB  ? "ipsec-mb"
	       : backend == XIPSEC_BACKEND_OPENSSL ? "openssl"
						   : "auto";
}

static void do_status(void *ctx, struct sadb_status *out)
{
	struct daemon *d = ctx;

	out->epoch = d->epoch;
	out->pid = getpid();
	out->n_workers = workers_count(d->workers);
	out->n_sas = sas_count(d->sas);
	if (d->open)
		out->spd_generation = spd_last_generation(&d->home.dp);
	for (unsigned int i = 0; i < out->n_workers; i++) {
		out->worker_pid[i] = workers_pid(d->workers, i);
		out->worker_starts[i] = workers_starts(d->workers, i);
	}
	snprintf(out->backend, sizeof(out->backend), "%s", backend_name(d->config->backend));
}

static struct sas *do_sas(void *ctx)
{
	struct daemon *d = ctx;

	return d->sas;
}

static const struct config *do_config(void *ctx)
{
	struct daemon *d = ctx;

	return d->config;
}

static const struct ike_ports *do_ike_lend(void *ctx)
{
	struct daemon *d = ctx;

	log_info("the sockets of IKE are lent");
	ike_ports_lend(&d->ike);
	return &d->ike;
}

static void do_ike_back(void *ctx)
{
	struct daemon *d = ctx;

	log_warn("the client that spoke IKE has gone: until it comes again no SA is made or "
		 "rekeyed");
	ike_ports_back(&d->ike);
}

const struct sadb_hooks requests_hooks = {.add_named = do_add_named,
					  .reload = request_reload,
					  .withdraw = do_withdraw,
					  .policies = do_policies,
					  .connection = request_connection,
					  .status = do_status,
					  .sas = do_sas,
					  .config = do_config,
					  .ike_lend = do_ike_lend,
					  .ike_back = do_ike_back};

/* ------------------------------------------------------------------ metrics */

/* *at is the place after the last one's: SAs may come and go between two calls. */
static int next_sa(void *ctx, void **at, struct sadb_sa_info *out)
{
	struct daemon *d = ctx;

	for (size_t i = (size_t)*at; i < d->config->max_sas; i++) {
		const struct sa *sa = sas_by_index(d->sas, (__u32)i);

		if (!sa)
			continue;
		sas_info(d->sas, sa, out);
		*at = (void *)(i + 1);
		return 1;
	}
	return 0;
}

static void do_metrics(void *ctx, struct loader_metrics_daemon *out)
{
	static __u32 pids[XIPSEC_WORKERS_MAX];
	struct daemon *d = ctx;

	out->runs = 1;
	out->n_sas = sas_count(d->sas);
	out->n_workers = workers_count(d->workers);
	for (unsigned int i = 0; i < out->n_workers && i < XIPSEC_WORKERS_MAX; i++)
		pids[i] = workers_pid(d->workers, i);
	out->worker_pid = pids;
	out->next_sa = next_sa;
	out->ctx = d;
}

const struct metrics_server_hooks requests_metrics = {do_config, do_metrics};
