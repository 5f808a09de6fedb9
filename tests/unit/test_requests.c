// SPDX-License-Identifier: BSD-2-Clause
/*
 * A reload of everything (loader/requests.c): by which config xipsecd goes before, while and after
 * the policies are switched, or are not. The SPD is this test's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/daemon_inside.h"
#include "loader/manual.h"
#include "xipsec/loader.h"

static char path[] = "/tmp/xipsec-requests-XXXXXX";
static const struct daemon_options options = {.config_path = path};
static struct daemon d = {.options = &options, .open = true};
static char text[XIPSEC_SADB_ERR_TEXT];

/* How the switch ends, and after how many of its steps. */
static int switch_err;
static unsigned int readies;
static const struct config *old;

/* What was called, in order. */
static char said[64];

/* By what a client's SA would go: the number of policies of that config. */
static unsigned int clients_go_by(void)
{
	return requests_hooks.config(&d)->n_policies;
}

/* ------------------------------------------------------------------ the daemon around it */

int loader_reload(const struct config *config, int (*ready)(void *ctx), void *ctx,
		  __u32 *generation)
{
	int err = 0;

	assert_int_equal(config->n_policies, 2);
	assert_ptr_equal(d.config, old);
	for (unsigned int i = 0; !err && i < readies; i++)
		err = ready(ctx);
	assert_ptr_equal(d.config, old);
	*generation = 7;
	return err ? err : switch_err;
}

int manual_withdraw(struct sas *sas, const struct config *config, char *why)
{
	assert_int_equal(config->n_policies, 2);
	strcat(said, "withdraw ");
	return 0;
}

int manual_apply(struct sas *sas, struct config *config, char *why)
{
	assert_int_equal(config->n_policies, 2);
	assert_int_equal(clients_go_by(), 2);
	strcat(said, "apply ");
	return 0;
}

int manual_add(struct sas *sas, struct xipsec_sa *sa, __u32 flags, char *why)
{
	return 0;
}

void standins_withdraw(struct daemon *daemon, const struct config *config)
{
	assert_int_equal(config->n_policies, 2);
}

void standins_sync(struct daemon *daemon)
{
}

void follow_tunnels(struct daemon *daemon, const struct config *config)
{
}

void follow_ports(struct daemon *daemon)
{
}

void follow_taps(struct daemon *daemon)
{
}

int request_connection(void *ctx, const char *number, char *why)
{
	return 0;
}

/* ------------------------------------------------------------------ reloads */

static void put_policies(unsigned int n)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file, "policies {\n");
	for (unsigned int i = 0; i < n; i++)
		fprintf(file, "p%u { action = discard\nremote = 10.%u.0.0/16 }\n", i, i);
	fprintf(file, "}\n");
	fclose(file);
}

/* One policy is in force, two are wanted. */
static void begin(void)
{
	config_free(d.config);
	put_policies(1);
	assert_int_equal(config_load(path, &d.config, stderr), 0);
	old = d.config;
	put_policies(2);
	said[0] = text[0] = 0;
}

static int reload(unsigned int steps, int err)
{
	begin();
	readies = steps;
	switch_err = err;
	return requests_hooks.policies(&d, "", text);
}

static void switched(void **state)
{
	for (unsigned int steps = 1; steps < 3; steps++) { /* the builder may begin anew */
		assert_int_equal(reload(steps, 0), 0);
		assert_string_equal(said,
				    steps == 1 ? "withdraw apply " : "withdraw withdraw apply ");
		assert_int_equal(clients_go_by(), 2);
	}
}

static void not_built(void **state)
{
	assert_int_equal(reload(0, -E2BIG), -E2BIG);
	assert_string_equal(said, "");
	assert_int_equal(clients_go_by(), 1);
	assert_non_null(strstr(text, "the policies in force stay, and so does every SA"));
}

/* What clients add then has to go by what is in force. */
static void not_switched(void **state)
{
	assert_int_equal(reload(1, -ENOSPC), -ENOSPC);
	assert_string_equal(said, "withdraw ");
	assert_int_equal(clients_go_by(), 1);
	assert_non_null(strstr(text, "the policies in force stay; SAs that the new config"));
}

/* By who switches them itself, or does not. */
static void about_to_be_switched(void **state)
{
	begin();
	assert_int_equal(requests_hooks.withdraw(&d, "", text), 0);
	assert_string_equal(said, "withdraw ");
	assert_int_equal(clients_go_by(), 1);
}

static int setup(void **state)
{
	static const struct sas_ops none;
	int fd = mkstemp(path);

	if (fd >= 0)
		close(fd);
	d.sas = sas_new(1, NULL, &none, NULL);
	return fd < 0 || !d.sas;
}

static int teardown(void **state)
{
	sas_free(d.sas);
	config_free(d.config);
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switched),
		cmocka_unit_test(not_built),
		cmocka_unit_test(not_switched),
		cmocka_unit_test(about_to_be_switched),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
