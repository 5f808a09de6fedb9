// SPDX-License-Identifier: BSD-2-Clause
/* The closed sandbox, for real: a child enters it and tries what it must not, and what it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "lib/alg.h"
#include "tests/lib/skip.h"
#include "worker/crypto.h"
#include "worker/sandbox.h"
#include "xipsec/ctl.h"

#define UID 61500

/* Statuses of a child beside those of its act. */
enum { NOT_CLOSED = 99, ALIVE = 42 };

#ifdef __SANITIZE_ADDRESS__
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

static int pair[2];

/* Runs `act` in a child with the sandbox closed; gives its wait status. */
static int inside(int (*act)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (sandbox_close(UID))
			_exit(NOT_CLOSED);
		_exit(act());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* As above, with the user changed and no filter: what the kernel itself refuses. */
static int unprivileged(int (*act)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (sandbox_drop_privileges(UID))
			_exit(NOT_CLOSED);
		_exit(act());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int act_bpf(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY};

	attr.key_size = 4;
	attr.value_size = 4;
	attr.max_entries = 1;
	syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	return ALIVE;
}

static int act_open(void)
{
	syscall(SYS_openat, AT_FDCWD, "/etc/shadow", O_RDONLY);
	return ALIVE;
}

static int act_socket(void)
{
	syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);
	return ALIVE;
}

static int act_connect(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET};

	connect(pair[0], (struct sockaddr *)&to, sizeof(to));
	return ALIVE;
}

static int act_sendto_address(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET};

	sendto(pair[0], "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
	return ALIVE;
}

static int act_setsockopt(void)
{
	int on = 1;

	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	return ALIVE;
}

static int act_getsockopt(void)
{
	int value;
	socklen_t len = sizeof(value);

	getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &value, &len);
	return ALIVE;
}

static int act_ptrace(void)
{
	ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
	return ALIVE;
}

static int act_readv(void)
{
	char here[8];
	struct iovec io = {here, sizeof(here)};

	syscall(SYS_process_vm_readv, 1, &io, 1, &io, 1, 0);
	return ALIVE;
}

static int act_kill(void)
{
	syscall(SYS_kill, 1, 0);
	return ALIVE;
}

static int act_execve(void)
{
	char *const argv[] = {"/bin/true", NULL};

	execve(argv[0], argv, NULL);
	return ALIVE;
}

static int act_fork(void)
{
	if (!fork())
		_exit(0);
	return ALIVE;
}

static int act_mount(void)
{
	mount("none", "/mnt", "tmpfs", 0, NULL);
	return ALIVE;
}

static int act_setuid(void)
{
	syscall(SYS_setuid, 0);
	return ALIVE;
}

static int act_read(void)
{
	char byte;

	syscall(SYS_read, STDIN_FILENO, &byte, 1);
	return ALIVE;
}

static int act_write_elsewhere(void)
{
	syscall(SYS_write, pair[0], "x", 1);
	return ALIVE;
}

static int act_readv_stdin(void)
{
	char byte;
	struct iovec iov = {&byte, 1};

	syscall(SYS_readv, STDIN_FILENO, &iov, 1);
	return ALIVE;
}

static int act_readv_channel(void)
{
	char byte;
	struct iovec iov = {&byte, 1};

	syscall(SYS_readv, XIPSEC_CTL_FD, &iov, 1);
	return ALIVE;
}

static int act_writev_stderr(void)
{
	struct iovec iov = {NULL, 0};

	syscall(SYS_writev, STDERR_FILENO, &iov, 1);
	return ALIVE;
}

static int act_ioctl(void)
{
	syscall(SYS_ioctl, pair[0], FIONREAD, &pair[1]);
	return ALIVE;
}

static int act_exec_memory(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return ALIVE;
}

static int act_mprotect(void)
{
	mprotect((void *)((uintptr_t)&act_mprotect & ~4095ul), 4096, PROT_READ | PROT_WRITE);
	return ALIVE;
}

static int act_prctl(void)
{
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return ALIVE;
}

static void forbidden_acts_kill(void **state)
{
	static const struct {
		const char *name;
		int (*act)(void);
	} acts[] = {
		{"bpf", act_bpf},
		{"open", act_open},
		{"socket", act_socket},
		{"connect", act_connect},
		{"sendto with an address", act_sendto_address},
		{"setsockopt", act_setsockopt},
		{"getsockopt", act_getsockopt},
		{"ptrace", act_ptrace},
		{"process_vm_readv", act_readv},
		{"kill", act_kill},
		{"execve", act_execve},
		{"fork", act_fork},
		{"mount", act_mount},
		{"setuid", act_setuid},
		{"read", act_read},
		{"write to others than stderr", act_write_elsewhere},
		{"readv of stdin", act_readv_stdin},
		{"readv of the control channel", act_readv_channel},
		{"writev to stderr", act_writev_stderr},
		{"ioctl", act_ioctl},
		{"executable memory", act_exec_memory},
		{"mprotect", act_mprotect},
		{"prctl", act_prctl},
	};

	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		int status = inside(acts[i].act);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: wait status 0x%x, not killed by SIGSYS", acts[i].name,
				 status);
	}
}

/* What the loop lives on. The numbers say which step failed. */
static int act_work(void)
{
	struct pollfd pfd = {.fd = pair[1], .events = POLLIN};
	struct timespec ts;
	char buf[8];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	char *p;

	if (send(pair[0], "hello", 5, MSG_DONTWAIT | MSG_NOSIGNAL) != 5)
		return 1;
	if (poll(&pfd, 1, 1000) != 1)
		return 2;
	if (recvmsg(pair[1], &mh, MSG_DONTWAIT) != 5)
		return 3;
	if (poll(&pfd, 1, 1) != 0)
		return 4;
	if (syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &ts))
		return 5;
	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || madvise(p, 1 << 20, MADV_DONTDUMP) || munmap(p, 1 << 20))
		return 6;
	/* brk and mmap inside malloc, mremap inside realloc */
	for (size_t size = 16; size < 16 << 20; size *= 4) {
		p = malloc(size);
		p = p ? realloc(p, size * 2) : NULL;
		if (!p)
			return 7;
		memset(p, 1, size * 2);
		free(p);
	}
	if (recvfrom(pair[1], NULL, 0, MSG_DONTWAIT, NULL, NULL) != -1 || errno != EAGAIN)
		return 9;
	/* A TAP is any descriptor beyond the control channel. */
	if (writev(pair[0], &iov, 1) != sizeof(buf) || readv(pair[1], &iov, 1) != sizeof(buf))
		return 11;
	fprintf(stderr, "a log line from inside\n");
	if (close(pair[0]))
		return 10;
	return ALIVE;
}

/* A key of every algorithm from either backend, and a packet each way. */
static int act_crypto_of(enum xipsec_alg alg, enum xipsec_backend backend)
{
	__u8 raw[XIPSEC_KEY_MAX] = {1}, bytes[24 + 64 + XIPSEC_ICV_MAX] = {0};
	struct crypto_op op = {
		.text = bytes + 24, .len = 64, .tag = bytes + 24 + 64, .head_len = 16};
	struct crypto_key *key;
	int err;

	key = crypto_key_new(alg, raw, alg_key_len(alg), backend, &err);
	if (!key)
		return 1;
	crypto_random_iv(op.nonce);
	key->seal(key->ctx, &op, 1, 12);
	key->open(key->ctx, &op, 1, 12);
	crypto_key_free(key);
	return op.ok ? 0 : 2;
}

static int act_crypto(void)
{
	__u8 iv[16];

	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (int backend = XIPSEC_BACKEND_IPSEC_MB; backend <= XIPSEC_BACKEND_OPENSSL;
		     backend++)
			if (act_crypto_of(alg, backend))
				return 1;
	/* more than the generator is asked for at once */
	for (int i = 0; i < 4096; i++)
		crypto_random_iv(iv);
	/* it asks the kernel for a new seed every hour, and after 2^16 requests */
	if (!EVP_RAND_reseed(RAND_get0_public(NULL), 1, NULL, 0, NULL, 0) ||
	    !EVP_RAND_reseed(RAND_get0_primary(NULL), 1, NULL, 0, NULL, 0) ||
	    RAND_bytes(iv, sizeof(iv)) != 1)
		return 2;
	return ALIVE;
}

/* What a worker does before and after its sandbox closes. */
static void crypto_works(void **state)
{
	int status;

	if (UNDER_ASAN)
		skip_because(
			"the sanitizer makes system calls of its own; the plain build does it");
	assert_int_equal(crypto_init(), 0);
	status = inside(act_crypto);
	if (WIFSIGNALED(status))
		fail_msg("killed by signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), ALIVE);
}

static void allowed_acts_work(void **state)
{
	int status;

	/* The sanitizer's malloc() makes calls of its own. */
	if (UNDER_ASAN)
		skip_because(
			"the sanitizer makes system calls of its own; the plain build does it");
	status = inside(act_work);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ALIVE);
}

/* Without the filter, so that the answers can be read. */
static int act_look_at_myself(void)
{
	struct rlimit core;
	char line[256];
	FILE *f;
	int caps = 0;

	if (getuid() != UID || geteuid() != UID || getgid() != UID || getegid() != UID)
		return 1;
	if (getgroups(0, NULL) != 0)
		return 2;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 3;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 4;
	if (getrlimit(RLIMIT_CORE, &core) || core.rlim_cur || core.rlim_max)
		return 5;
	if (setuid(0) != -1 || setresgid(0, 0, 0) != -1)
		return 6;
	/* not dumpable: our own files in /proc belong to root, and status is open to all */
	f = fopen("/proc/self/status", "r");
	if (!f)
		return 7;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Cap", 3))
			continue;
		caps++;
		if (strtoull(strchr(line, ':') + 1, NULL, 16))
			return 8;
	}
	fclose(f);
	if (caps != 5)
		return 9;
	if (open("/proc/self/mem", O_RDONLY) != -1 || open("/etc/shadow", O_RDONLY) != -1)
		return 10;
	return ALIVE;
}

static void nothing_is_left(void **state)
{
	int status = unprivileged(act_look_at_myself);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ALIVE);
}

/* A process that has the worker's uid already, still with capabilities: nothing but prctl() makes
 * it undumpable then (a change of uid would). */
static int act_drop_from_own_uid(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setresgid(UID, UID, UID) ||
	    setresuid(UID, UID, UID) || syscall(SYS_capget, &head, data))
		return 1;
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	if (syscall(SYS_capset, &head, data) || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
		return 2;
	if (sandbox_drop_privileges(UID))
		return 3;
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? ALIVE : 4;
}

static int in_child(int (*act)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(act());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void undumpable_by_its_own_word(void **state)
{
	assert_int_equal(in_child(act_drop_from_own_uid), ALIVE);
}

/* Stands before libc's. A kernel or a library that leaves the way back to root open. */
static int root_comes_back;

int setuid(uid_t uid)
{
	return root_comes_back ? 0 : (int)syscall(SYS_setuid, uid);
}

static int act_drop_in_vain(void)
{
	root_comes_back = 1;
	return sandbox_drop_privileges(UID) == -EPERM ? ALIVE : 1;
}

static void way_back_is_seen(void **state)
{
	assert_int_equal(in_child(act_drop_in_vain), ALIVE);
}

static void root_is_refused(void **state)
{
	assert_int_equal(sandbox_close(0), -EINVAL);
	assert_int_equal(sandbox_close((__u32)-1), -EINVAL);
	assert_int_equal(geteuid(), 0);
}

static int setup(void **state)
{
	if (geteuid()) {
		fprintf(stderr, "test_sandbox needs root: it gives it up\n");
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		return -1;
	/* Beyond the control channel, as a worker's sockets are. */
	for (int i = 0; i < 2; i++)
		pair[i] = fcntl(pair[i], F_DUPFD, XIPSEC_CTL_FD + 1 + i);
	return pair[0] < 0 || pair[1] < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_refused),
		cmocka_unit_test(nothing_is_left),
		cmocka_unit_test(undumpable_by_its_own_word),
		cmocka_unit_test(way_back_is_seen),
		cmocka_unit_test(allowed_acts_work),
		cmocka_unit_test(crypto_works),
		cmocka_unit_test(forbidden_acts_kill),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
