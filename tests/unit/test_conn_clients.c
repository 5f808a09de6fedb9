// SPDX-License-Identifier: BSD-2-Clause
/* connections {} that a client writes, and what it may know of them. */
#include "tests/unit/conn_fixture.h"
#include "lib/config_policy.h"

/* What was written makes the same rules as what was loaded, behind those of the file. */
static void test_clients(void **state)
{
	_cleanup_config_ struct config *config = NULL, *again = NULL;
	_cleanup_free_ char *text = NULL;

	load_good(full, &config);
	assert_int_equal(config_client_write(dir, 7, config->conns), 0);
	assert_true(asprintf(&text,
			     "datapath { run_dir = %s }\npolicies { first { action = discard "
			     "} }\n",
			     dir) > 0);
	load_good(text, &again);
	assert_int_equal(again->n_conns, 1);
	assert_int_equal(again->conns[0].client, 7);
	assert_int_equal(config->conns[0].client, 0);
	assert_int_equal(again->n_policies, 4);
	for (unsigned int i = 1; i < 4; i++) {
		const struct config_policy *a = &config->policies[i], *b = &again->policies[i];

		assert_string_equal(a->name, b->name);
		assert_string_equal(a->child, b->child);
		assert_int_equal(a->n_rules, b->n_rules);
		for (unsigned int k = 0; k < a->n_rules; k++) {
			assert_memory_equal(&a->rules[k].sel, &b->rules[k].sel,
					    sizeof(a->rules[k].sel));
			assert_int_equal(a->rules[k].action, b->rules[k].action);
		}
	}
}

/* The file that a user wrote wins. */
static void test_clients_lose(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = NULL, *errors = NULL;
	struct config *bad = NULL;

	assert_true(asprintf(&text,
			     "datapath { run_dir = %s }\nconnections { gw-gw { " ENDS "} }\n",
			     dir) > 0);
	load_good(text, &config);
	assert_int_equal(config->n_conns, 1);
	assert_false(config->conns[0].client);
	assert_int_equal(config->n_policies, 0);
	put_text("connections.d/0000000007.conf", "connections { x { } }\n");
	put_text("xipsec.conf", text);
	assert_int_equal(load(&bad, &errors), -EINVAL);
	assert_non_null(strstr(
		errors, "connections.d/0000000007.conf:1:15: x does not say who the peer is"));
	assert_int_equal(config_client_write(dir, 7, NULL), 0);
}

/* What config_client_set() made of a config step by step is what reading all the files makes. */
static void compare_with_files(const struct config *config, const char *text)
{
	_cleanup_config_ struct config *read = NULL;

	load_good(text, &read);
	assert_int_equal(config->n_conns, read->n_conns);
	for (unsigned int i = 0; i < read->n_conns; i++) {
		const struct conn *a = &config->conns[i], *b = &read->conns[i];

		assert_string_equal(a->name, b->name);
		assert_int_equal(a->client, b->client);
		assert_true(conn_same_all(a, b));
		assert_ptr_equal(config_conn_find(config, b->name), a);
	}
	assert_int_equal(config->conns_at, read->conns_at);
	assert_int_equal(config->n_conns_policies, read->n_conns_policies);
	assert_int_equal(config->n_policies, read->n_policies);
	for (unsigned int i = 0; i < read->n_policies; i++) {
		const struct config_policy *a = &config->policies[i], *b = &read->policies[i];

		assert_string_equal(a->name, b->name);
		assert_string_equal(a->child, b->child);
		assert_int_equal(a->n_rules, b->n_rules);
		for (unsigned int k = 0; k < a->n_rules; k++)
			assert_memory_equal(&a->rules[k].sel, &b->rules[k].sel,
					    sizeof(a->rules[k].sel));
	}
}

/* A connection with so many children. */
static struct conn some_conn(unsigned int name, unsigned int children)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = NULL;
	struct conn conn;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	fprintf(file, "connections { c%u { " ENDS "children {", name);
	for (unsigned int i = 0; i < children; i++)
		fprintf(file, " n%u { local_ts = 10.%u.0.0/16\n remote_ts = 10.9.%u.0/24 }\n", i,
			name, i);
	fprintf(file, "} } }\n");
	fclose(file);
	load_good(text, &config);
	conn = config->conns[0];
	memset(&config->conns[0], 0, sizeof(conn));
	return conn;
}

static void set_one(struct config *config, __u32 number, unsigned int name, unsigned int children)
{
	_cleanup_client_change_ struct config_client_change change = {0};
	struct conn conn = {0};

	if (children) {
		struct conn made = some_conn(name, children);

		assert_int_equal(config_client_write(dir, number, &made), 0);
		conn_clear(&made);
		assert_int_equal(config_client_read(dir, number, &conn, stderr), 0);
	} else {
		assert_int_equal(config_client_write(dir, number, NULL), 0);
		assert_int_equal(config_client_read(dir, number, &conn, stderr), -ENOENT);
	}
	assert_int_equal(
		config_client_set(config, number, children ? &conn : NULL, &change, stderr), 0);
	assert_int_equal(change.n_new, children);
}

/* Behind the file's connection, before the policy that stands behind connections {}. */
static void test_client_set(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	_cleanup_free_ char *text = NULL;
	unsigned int seed = 1;

	assert_true(asprintf(&text,
			     "datapath { run_dir = %s }\npolicies { first { action = discard }\n"
			     "all { action = connections }\nlast { action = bypass } }\n"
			     "connections { file { " ENDS
			     "children { n { remote_ts = 10.77.0.0/16 } } } }\n",
			     dir) > 0);
	load_good(text, &config);
	for (unsigned int i = 0; i < 200; i++) {
		/* A name belongs to a number, as iked has it. */
		unsigned int name = (unsigned int)rand_r(&seed) % 12;

		set_one(config, name + 1, name, (unsigned int)rand_r(&seed) % 4);
		compare_with_files(config, text);
	}
}

static void test_client_set_refuses(void **state)
{
	_cleanup_config_ struct config *config = NULL, *tunnel = NULL;
	struct config_client_change change;
	struct conn conn = some_conn(1, 1);

	load_good("datapath { tunnels { t { if_id = 7 } } }\nconnections { c1 { " ENDS
		  "children { n { remote_ts = 10.77.0.0/16 } } } }\n",
		  &config);
	/* The file's own name. */
	assert_int_equal(config_client_set(config, 5, &conn, &change, stderr), -EEXIST);
	assert_int_equal(conn.n_children, 0);
	load_good("datapath { tunnels { t { if_id = 7 } } }\nconnections { c2 { " ENDS
		  "children { n { if_id_in = 7\n if_id_out = 7 } } } }\n",
		  &tunnel);
	conn = tunnel->conns[0];
	memset(&tunnel->conns[0], 0, sizeof(conn));
	assert_int_equal(config_client_set(config, 5, &conn, &change, stderr), -ENOTSUP);
	assert_int_equal(config->n_conns, 1);
	assert_int_equal(config->n_policies, 1);
}

/* Who may speak for what: rights are given by these names. */
static void test_child_known(void **state)
{
	_cleanup_config_ struct config *config = NULL;

	load_good("datapath { tunnels { t { if_id = 7 }\n u { if_id = 8 } } }\n"
		  "policies { p { action = protect\n remote = 10.1.0.0/16 } }\nconnections { c "
		  "{ " ENDS "children { n { remote_ts = 10.77.0.0/16 }\n"
		  "open { remote_ts = 10.78.0.0/16\n mode = pass }\n"
		  "v { if_id_in = 7\n if_id_out = 7 } } } }\n",
		  &config);
	assert_true(config_conn_child_known(config, "c/n"));
	assert_true(config_conn_child_known(config, "t"));
	assert_false(config_conn_child_known(config, "u"));
	assert_false(config_conn_child_known(config, "c/open"));
	assert_false(config_conn_child_known(config, "c/v"));
	assert_false(config_conn_child_known(config, "c/m"));
	assert_false(config_conn_child_known(config, "d/n"));
	assert_false(config_conn_child_known(config, "c"));
	assert_false(config_conn_child_known(config, "p"));
	assert_false(config_conn_child_known(config, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients),     cmocka_unit_test(test_clients_lose),
		cmocka_unit_test(test_client_set),  cmocka_unit_test(test_client_set_refuses),
		cmocka_unit_test(test_child_known),
	};

	return cmocka_run_group_tests_name("conn_clients", tests, config_setup, config_teardown);
}
