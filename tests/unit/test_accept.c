// SPDX-License-Identifier: BSD-2-Clause
/* Servers without a descriptor for who knocks: no round of the loop is spent on him
 * until some time has passed, it is said once, and he is served as soon as there is one. */
#include "sadb_fixture.h"

#include <event2/event.h>
#include <sys/resource.h>
#include <time.h>

#include "iked/vici_server.h"
#include "lib/config.h"
#include "loader/metrics_server.h"

#define ROUNDS 40

static struct config *config;
static struct event_base *base;
static unsigned int complaints; /* libevent's own */

static void count_complaint(int severity, const char *message)
{
	complaints++;
}

static const struct config *the_config(void *ctx)
{
	return config;
}

static void no_daemon(void *ctx, struct loader_metrics_daemon *out)
{
}

static void hook_status(void *ctx, struct sadb_status *out)
{
}

static struct sas *no_sas(void *ctx)
{
	return NULL;
}

static int knock(const char *name, int type)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, name);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Lowers the limit to what is open: the next accept() is EMFILE. What it was. */
static struct rlimit no_descriptors(void)
{
	struct rlimit was, now;
	int next = dup(0);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	close(next);
	now = was;
	now.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	return was;
}

static void tick(evutil_socket_t fd, short what, void *ctx)
{
}

/* Half a second of the loop, in which a timer that goes off ten times is all that there is to do:
 * how many rounds it makes. */
static unsigned int rounds_in_half_a_second(void)
{
	const struct timeval tenth = {.tv_usec = 50000};
	struct event *timer = event_new(base, -1, EV_PERSIST, tick, NULL);
	struct timespec now, end;
	unsigned int rounds = 0;

	event_add(timer, &tenth);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += 500000000;
	do {
		event_base_loop(base, EVLOOP_ONCE);
		rounds++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - end.tv_sec) * 1000000000LL + now.tv_nsec - end.tv_nsec < 0);
	event_free(timer);
	print_message("  %u rounds\n", rounds);
	return rounds;
}

/* Until the peer has said something, or 3 s. */
static ssize_t answer(int fd, char *buf, size_t size)
{
	ssize_t len = -1;

	for (int i = 0; i < 300 && len < 0; i++) {
		const struct timeval moment = {.tv_usec = 10000};

		event_base_loopexit(base, &moment);
		event_base_dispatch(base);
		len = recv(fd, buf, size, MSG_DONTWAIT);
	}
	return len;
}

static void metrics_wait_for_a_descriptor(void **state)
{
	static const struct metrics_server_hooks hooks = {the_config, no_daemon};
	static const char get[] = "GET /metrics HTTP/1.0\r\n\r\n";
	struct metrics_server *server;
	char where[100], buf[64] = "";
	struct rlimit was;
	unsigned int rounds;
	int fd;

	base = event_base_new();
	snprintf(where, sizeof(where), "unix:%s/metrics.sock", dir);
	assert_int_equal(metrics_server_new(base, where, &hooks, NULL, &server), 0);
	fd = knock("metrics.sock", SOCK_STREAM);
	assert_int_equal(send(fd, get, strlen(get), 0), strlen(get));
	was = no_descriptors();
	complaints = 0;
	rounds = rounds_in_half_a_second();
	setrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(complaints, 0);
	assert_true(rounds < ROUNDS);
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_true(answer(fd, buf, sizeof(buf) - 1) > 15);
	assert_int_equal(strncmp(buf, "HTTP/1.0 200 OK", 15), 0);
	close(fd);
	metrics_server_free(server);
	event_base_free(base);
}

static void clients_wait_for_a_descriptor(void **state)
{
	static const struct sadb_hooks hooks = {
		.sas = no_sas, .status = hook_status, .config = the_config};
	struct sadb_hdr hello = {
		.type = XIPSEC_SADB_HELLO, .abi = XIPSEC_ABI, .len = sizeof(hello)};
	struct sadb_server *server;
	struct sadb_hello buf;
	struct rlimit was;
	unsigned int rounds;
	int fd;

	base = event_base_new();
	assert_int_equal(sadb_server_new(base, dir, &hooks, NULL, &server), 0);
	fd = knock("sadb.sock", SOCK_SEQPACKET);
	assert_int_equal(send(fd, &hello, sizeof(hello), 0), sizeof(hello));
	was = no_descriptors();
	rounds = rounds_in_half_a_second();
	setrlimit(RLIMIT_NOFILE, &was);
	assert_true(rounds < ROUNDS);
	assert_int_equal(recv(fd, &buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_int_equal(answer(fd, (char *)&buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(buf.hdr.err, 0);
	close(fd);
	sadb_server_free(server);
	event_base_free(base);
}

static void run_version(void *ctx, struct vici_request *request)
{
	vici_answer_ok(request);
}

static void swanctl_waits_for_a_descriptor(void **state)
{
	static const struct vici_command commands[] = {{"version", run_version}, {NULL, NULL}};
	static const char request[] = "\0\0\0\x09\0\x07version";
	struct vici_server *server;
	char path[100], buf[64];
	struct rlimit was;
	unsigned int rounds;
	int fd;

	base = event_base_new();
	snprintf(path, sizeof(path), "%s/charon.vici", dir);
	assert_int_equal(vici_server_new(base, path, commands, NULL, NULL, &server), 0);
	fd = knock("charon.vici", SOCK_STREAM);
	assert_int_equal(send(fd, request, sizeof(request) - 1, 0), sizeof(request) - 1);
	was = no_descriptors();
	complaints = 0;
	rounds = rounds_in_half_a_second();
	setrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(complaints, 0);
	assert_true(rounds < ROUNDS);
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_true(answer(fd, buf, sizeof(buf)) > 5);
	assert_int_equal(buf[4], VICI_CMD_RESPONSE);
	close(fd);
	vici_server_free(server);
	event_base_free(base);
}

static int set_up(void **state)
{
	event_set_log_callback(count_complaint);
	strcpy(dir, "/tmp/xipsec-accept-XXXXXX");
	config = config_defaults();
	if (!mkdtemp(dir) || !config)
		return -1;
	snprintf(config->pin_dir, sizeof(config->pin_dir), "%s/none", dir);
	return 0;
}

static int take_down(void **state)
{
	config_free(config);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_wait_for_a_descriptor),
		cmocka_unit_test(clients_wait_for_a_descriptor),
		cmocka_unit_test(swanctl_waits_for_a_descriptor),
	};

	return cmocka_run_group_tests(tests, set_up, take_down);
}
