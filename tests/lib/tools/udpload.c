// SPDX-License-Identifier: BSD-2-Clause
/*
 * A steady, recognisable UDP load. Every datagram begins with a marker that a capture can find in
 * the clear and carries a number that tells loss, duplicates and corruption at the far end.
 *
 *	udpload send ADDR PORT PPS SIZE SECONDS     0: until it is killed; prints its number
 *	udpload recv ADDR PORT FILE                 FILE: received duplicates corrupt last late
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARKER       "xipsec-PLAINTEXT-marker!"
#define SEEN_BITS    (1u << 26)
#define NS_PER_SEC   1000000000ull
#define SIZE_MAX_UDP 65000
#define BEHIND_MAX   (NS_PER_SEC / 20) /* ns that a sender without a CPU makes up for */

struct load {
	char marker[24];
	uint64_t number;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

/* The byte that stands at `offset` of datagram `number`: corruption of any byte shows. */
static unsigned char filler(uint64_t number, size_t offset)
{
	return (unsigned char)(number * 31 + offset * 7 + 13);
}

static int open_socket(const char *host, const char *port, int is_recv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
	struct addrinfo *ai;
	int size = 4 << 20;
	int fd, err;

	err = getaddrinfo(host, port, &hints, &ai);
	if (err) {
		fprintf(stderr, "udpload: %s port %s: %s\n", host, port, gai_strerror(err));
		return -1;
	}
	fd = socket(ai->ai_family, SOCK_DGRAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	err = is_recv ? bind(fd, ai->ai_addr, ai->ai_addrlen)
		      : connect(fd, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(ai);
	if (err) {
		perror("udpload: socket");
		return -1;
	}
	return fd;
}

static int run_send(char **arg)
{
	double pps = atof(arg[2]);
	size_t size = strtoul(arg[3], NULL, 10);
	uint64_t seconds = strtoull(arg[4], NULL, 10), start = now_ns(), due = start, sent = 0;
	static unsigned char buf[SIZE_MAX_UDP];
	struct load *load = (struct load *)buf;
	int fd = open_socket(arg[0], arg[1], 0);
	uint64_t failed = 0;
	int why = 0;

	if (fd < 0 || pps <= 0 || size < sizeof(*load) || size > sizeof(buf))
		return 1;
	while (!stop) {
		uint64_t now = now_ns();

		if (seconds && now - start > seconds * NS_PER_SEC)
			break;
		if (due > now) {
			usleep(500);
			continue;
		}
		due = (now - due > BEHIND_MAX ? now : due) + (uint64_t)(NS_PER_SEC / pps);
		memcpy(load->marker, MARKER, sizeof(load->marker));
		load->number = ++sent;
		for (size_t i = sizeof(*load); i < size; i++)
			buf[i] = filler(sent, i);
		/* An ICMP error that came back, or a full queue, must not end the load. */
		if (send(fd, buf, size, 0) < 0) {
			why = errno;
			if (why == EBADF)
				return 1;
			failed++;
		}
	}
	if (failed)
		fprintf(stderr, "udpload: %llu of %llu were not sent: %s\n",
			(unsigned long long)failed, (unsigned long long)sent, strerror(why));
	printf("%llu\n", (unsigned long long)sent);
	return 0;
}

struct tally {
	uint64_t received, duplicates, corrupt, last, highest, late;
	unsigned char *seen;
};

static void tally_datagram(struct tally *t, const unsigned char *buf, size_t len)
{
	const struct load *load = (const struct load *)buf;

	if (len < sizeof(*load) || memcmp(load->marker, MARKER, sizeof(load->marker)) ||
	    load->number >= SEEN_BITS) {
		t->corrupt++;
		return;
	}
	for (size_t i = sizeof(*load); i < len; i++) {
		if (buf[i] != filler(load->number, i)) {
			t->corrupt++;
			return;
		}
	}
	if (t->seen[load->number / 8] & (1 << (load->number % 8)))
		t->duplicates++;
	t->seen[load->number / 8] |= 1 << (load->number % 8);
	t->received++;
	t->last = load->number;
	if (load->number < t->highest)
		t->late++;
	else
		t->highest = load->number;
}

static void tally_write(int fd, const struct tally *t)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "%20llu %10llu %10llu %20llu %10llu\n",
			   (unsigned long long)t->received, (unsigned long long)t->duplicates,
			   (unsigned long long)t->corrupt, (unsigned long long)t->last,
			   (unsigned long long)t->late);

	if (pwrite(fd, text, len, 0) != len)
		perror("udpload: write");
}

static int run_recv(char **arg)
{
	static unsigned char buf[SIZE_MAX_UDP];
	struct tally t = {.seen = calloc(1, SEEN_BITS / 8)};
	int fd = open_socket(arg[0], arg[1], 1);
	int out = open(arg[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	uint64_t written = 0;

	if (fd < 0 || out < 0 || !t.seen)
		return 1;
	tally_write(out, &t);
	while (!stop) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};

		poll(&pfd, 1, 50);
		for (int i = 0; i < 256; i++) {
			ssize_t len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

			if (len < 0)
				break;
			tally_datagram(&t, buf, len);
		}
		if (now_ns() - written > NS_PER_SEC / 50) {
			tally_write(out, &t);
			written = now_ns();
		}
	}
	tally_write(out, &t);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (argc == 7 && !strcmp(argv[1], "send"))
		return run_send(argv + 2);
	if (argc == 5 && !strcmp(argv[1], "recv"))
		return run_recv(argv + 2);
	fprintf(stderr, "usage: udpload send ADDR PORT PPS SIZE SECONDS | recv ADDR PORT FILE\n");
	return 2;
}
