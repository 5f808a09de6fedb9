// SPDX-License-Identifier: BSD-2-Clause
#include "iked/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cap-ng.h>

#include "iked/parent_inside.h"
#include "iked/prf.h"
#include "lib/cleanup.h"
#include "lib/spawn.h"

#define END_MS   3000 /* for the child to say its farewells */
#define RENEW_MS 50   /* credentials of clients are gathered for so long */

const struct conn *parent_conn(const struct parent *p, const char *name)
{
	return config_conn_find(p->config, name);
}

/* ------------------------------------------------------------------ config */

/* Both or none. */
static int read_config(const struct parent *p, struct config **config, struct creds **creds)
{
	_cleanup_config_ struct config *c = NULL;
	int err = config_load(p->options->config_path, &c, stderr);

	if (err) {
		log_error("%s: %s", p->options->config_path,
			  err == -EINVAL ? "has errors" : strerror(-err));
		return err;
	}
	if (clients_fill_in(&p->clients, c))
		return -ENOMEM;
	*creds = creds_load(c);
	config_forget_sas(c); /* keys and secrets: they are in `creds`, or nobody's business here */
	config_forget_policies(c);
	if (!*creds)
		return -ENOMEM;
	clients_creds_add(&p->clients, *creds);
	*config = take_ptr(c);
	return 0;
}

static int reload(struct parent *p, bool all)
{
	struct config *config, *old = p->config;
	struct creds *creds, *old_creds = p->creds;
	int err;

	p->renewing = false;
	if (p->renew)
		event_del(p->renew);
	err = read_config(p, &config, &creds);
	if (err) {
		log_error("reload: nothing changes");
		return err;
	}
	if (strcmp(config->run_dir, old->run_dir) != 0 || config->iked.uid != old->iked.uid)
		log_warn("reload: run_dir and iked.uid count from the next start on");
	p->config = config;
	p->creds = creds;
	parent_load_changes(p, old, all);
	config_free(old);
	creds_free(old_creds);
	return 0;
}

int parent_reload(struct parent *p)
{
	return reload(p, true);
}

/* Credentials that wait to be read with all the rest are not forgotten. */
int parent_reload_clients(struct parent *p)
{
	return reload(p, p->renewing);
}

static void on_renew(evutil_socket_t fd, short what, void *ctx)
{
	parent_settle(ctx);
}

/* swanctl --load-all brings a dozen of them, one after the other. */
void parent_creds_renew(struct parent *p)
{
	static const struct timeval wait = {.tv_usec = RENEW_MS * 1000};

	if (!p->renew)
		p->renew = event_new(p->base, -1, 0, on_renew, p);
	if (!p->renew || (!p->renewing && event_add(p->renew, &wait) < 0)) {
		parent_reload(p);
		return;
	}
	p->renewing = true;
}

void parent_settle(struct parent *p)
{
	if (p->renewing)
		parent_reload(p);
}

/* ------------------------------------------------------------------ child and resolver */

static void make_setup(const struct parent *p, unsigned int uid, struct chan_setup *out)
{
	out->uid = uid;
	out->level = p->options->level;
	out->json = p->options->json;
	snprintf(out->root, sizeof(out->root), "%.100s/empty", p->config->run_dir);
}

static void child_setup(void *ctx, struct chan_setup *out)
{
	struct parent *p = ctx;

	make_setup(p, p->config->iked.uid, out);
	out->hostile = p->options->hostile;
}

static void resolver_setup(void *ctx, struct chan_setup *out)
{
	struct parent *p = ctx;

	make_setup(p, p->config->iked.uid + 1, out);
}

static void child_started(void *ctx, struct chan *chan)
{
}

static void child_died(void *ctx)
{
	struct parent *p = ctx;

	p->child_ready = false;
	parent_paths_free(p);
	parent_load_lent(p); /* nobody begins anything: it is forgotten */
	parent_vici_child_died(p);
}

/* Nothing that is worth anything is sent before the sandbox is closed. */
static void child_is_ready(struct parent *p)
{
	p->child_ready = true;
	p->n_lent = 0;
	parent_vici_child_ready(p);
	parent_load_all(p);
	parent_sadb_lend(p);
	parent_sadb_lend_sockets(p);
	parent_load_start(p);
}

static void child_message(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n)
{
	struct parent *p = ctx;
	const void *m = hdr;

	switch (hdr->type) {
	case CHAN_READY: child_is_ready(p); break;
	case CHAN_SADB_GONE: parent_sadb_gone(p, m); break;
	case CHAN_PATHS: parent_paths(p, m); break;
	case CHAN_AUTH: parent_auth(p, m); break;
	case CHAN_VICI_STREAM:
	case CHAN_VICI_ANSWER:
	case CHAN_VICI_EVENT: parent_vici_message(p, m); break;
	case CHAN_VICI_MORE: parent_vici_more(p, m); break;
	default: log_error("the child says what is not for the parent (%u)", hdr->type);
	}
}

static void resolver_started(void *ctx, struct chan *chan)
{
	parent_paths_go_on(ctx);
}

static void resolver_died(void *ctx)
{
	parent_paths_wait(ctx);
}

static void resolver_message(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n)
{
	const void *m = hdr;

	if (hdr->type == CHAN_RESOLVED)
		parent_paths_resolved(ctx, m);
}

static const struct proc_hooks child_hooks = {child_started, child_died, child_message,
					      child_setup};
static const struct proc_hooks resolver_hooks = {resolver_started, resolver_died, resolver_message,
						 resolver_setup};

/* ------------------------------------------------------------------ begin and end */

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct parent *p = ctx;

	switch (sig) {
	case SIGCHLD:
		proc_reap(p->child);
		proc_reap(p->resolver);
		return;
	case SIGHUP:
		proc_renew(p->resolver); /* resolv.conf may be another one */
		parent_reload(p);
		return;
	case SIGUSR2:
		log_info("ends; its SAs go on carrying traffic until the next one takes over");
		p->leave = true;
		break;
	default: log_info("ends on signal %d, and with it all tunnels", (int)sig);
	}
	event_base_loopbreak(p->base);
}

static int take_lock(const char *run_dir)
{
	_cleanup_close_ int fd = -1;
	char path[300];

	if (mkdir(run_dir, 0755) < 0 && errno != EEXIST) {
		log_error("%s: %s", run_dir, strerror(errno));
		return -errno;
	}
	snprintf(path, sizeof(path), "%s/iked.lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		log_error("%s: %s", path,
			  fd >= 0 && errno == EWOULDBLOCK
				  ? "another xipsec-iked runs: stop it first"
				  : strerror(errno));
		return -EBUSY;
	}
	return take_fd(&fd);
}

/* What is kept, and why: proc.c. The others are born with the bounding set. */
static int drop_capabilities(void)
{
	static const int keep[] = {CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_SYS_CHROOT, CAP_KILL};
	int err = 0;

	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]) && !err; i++)
		err = capng_update(
			CAPNG_ADD,
			(capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET),
			(unsigned int)keep[i]);
	if (!err)
		err = capng_apply(CAPNG_SELECT_ALL);
	if (err)
		log_error(
			"capabilities cannot be given up (libcap-ng %d): is this started by root?",
			err);
	return err ? -EPERM : 0;
}

static int make_events(struct parent *p)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD};

	for (int i = 0; i < 5; i++) {
		p->signals[i] =
			event_new(p->base, signals[i], EV_SIGNAL | EV_PERSIST, on_signal, p);
		if (!p->signals[i] || event_add(p->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int start(struct parent *p)
{
	int err = creds_init();

	p->lock = err ? err : take_lock(p->config->run_dir);
	if (p->lock < 0)
		return p->lock;
	p->binary = spawn_open("/proc/self/exe");
	if (p->binary < 0)
		return p->binary;
	err = drop_capabilities();
	if (err)
		return err;
	p->base = event_base_new();
	if (!p->base)
		return -ENOMEM;
	err = make_events(p);
	if (!err)
		err = parent_sadb_start(p);
	if (!err)
		err = parent_vici_start(p);
	if (err)
		return err;
	p->child = proc_start(p->base, PROC_CHILD, p->binary, &child_hooks, p);
	p->resolver = proc_start(p->base, PROC_RESOLVER, p->binary, &resolver_hooks, p);
	return p->child && p->resolver ? 0 : -ENOMEM;
}

static void stop(struct parent *p)
{
	struct chan_stop end = {.leave = p->leave};

	if (p->child_ready && proc_chan(p->child))
		chan_send(proc_chan(p->child), CHAN_STOP, &end, sizeof(end), NULL, 0);
	proc_stop(p->child, END_MS);
	proc_stop(p->resolver, 0);
	parent_paths_free(p);
	parent_sadb_stop(p);
	parent_vici_stop(p);
	parent_load_lent(p);
	if (p->renew)
		event_free(p->renew);
	for (int i = 0; i < 5; i++)
		if (p->signals[i])
			event_free(p->signals[i]);
	if (p->base)
		event_base_free(p->base);
	if (p->binary >= 0)
		close(p->binary);
	if (p->lock >= 0)
		close(p->lock);
	creds_free(p->creds);
	config_free(p->config);
}

int parent_run(const struct parent_options *options)
{
	struct parent p = {.options = options, .lock = -1, .binary = -1};
	const char *what = "";

	if (ike_crypto_init(&what)) {
		log_error("OpenSSL has no %s", what);
		return PARENT_FAILED;
	}
	if (creds_init() || read_config(&p, &p.config, &p.creds))
		return PARENT_CONFIG;
	p.status = PARENT_FAILED;
	if (!start(&p)) {
		p.status = PARENT_OK;
		event_base_dispatch(p.base);
	}
	stop(&p);
	return p.status;
}
