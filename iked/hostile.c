// SPDX-License-Identifier: BSD-2-Clause
#include "iked/hostile.h"

#ifdef XIPSEC_HOSTILE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "iked/auth.h"
#include "iked/child_inside.h"
#include "iked/out.h"
#include "lib/cleanup.h"
#include "lib/config_policy.h"
#include "lib/proposal.h"

/* Each returns >= 0 if it got what it wanted, else -1 with errno. */

/* ------------------------------------------------------------------ the kernel */

static long act_open(struct child *c)
{
	return open("/etc/xipsec/xipsec.conf", O_RDONLY);
}

static long act_open_any(struct child *c)
{
	return syscall(SYS_openat, AT_FDCWD, ".", O_RDONLY);
}

static long act_socket(struct child *c)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static long act_connect(struct child *c)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/run/xipsec/sadb.sock"};

	return connect(CHAN_FD, (struct sockaddr *)&to, sizeof(to));
}

static long act_execve(struct child *c)
{
	char *const argv[] = {"/bin/true", NULL};

	return execve(argv[0], argv, NULL);
}

static long act_fork(struct child *c)
{
	return fork();
}

static long act_kill_parent(struct child *c)
{
	return kill(getppid(), SIGKILL);
}

static long act_ptrace_parent(struct child *c)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long act_readv_parent(struct child *c)
{
	char here[16];
	struct iovec local = {here, sizeof(here)};
	struct iovec remote = {(void *)&act_readv_parent, sizeof(here)};

	return syscall(SYS_process_vm_readv, getppid(), &local, 1, &remote, 1, 0);
}

static long act_exec_memory(struct child *c)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -1
		       : 0;
}

/* Files that the parent left open: whatever can be read at an offset is one. */
static long act_fd_table(struct child *c)
{
	char byte;

	for (int fd = 4; fd < 1024; fd++)
		if (pread(fd, &byte, 1, 0) > 0)
			return fd;
	errno = EPERM;
	return -1;
}

/* ------------------------------------------------------------------ xipsecd */

/* The descriptor of the connection: the highest one that is a SEQPACKET socket. All messages are
 * read by us from here on: the process is ours. */
static int sadb_fd(void)
{
	struct msghdr mh = {0};

	for (int fd = 1023; fd > CHAN_FD; fd--)
		if (recvmsg(fd, &mh, MSG_DONTWAIT | MSG_PEEK) >= 0 || errno == EAGAIN)
			return fd;
	return -1;
}

static long answer(int fd)
{
	struct {
		struct sadb_hdr hdr;
		char rest[16384];
	} got;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	struct iovec iov = {&got, sizeof(got)};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	while (poll(&pfd, 1, 2000) > 0) {
		if (recvmsg(fd, &mh, MSG_DONTWAIT) < (ssize_t)sizeof(got.hdr))
			return -1;
		if (got.hdr.seq != 0x4711)
			continue;
		errno = -got.hdr.err;
		return got.hdr.err ? -1 : 0;
	}
	errno = ETIMEDOUT;
	return -1;
}

static long ask(struct child *c, struct sadb_hdr *hdr, __u16 type, size_t len)
{
	struct iovec iov = {hdr, len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	int fd = sadb_fd();

	hdr->type = type;
	hdr->abi = XIPSEC_ABI;
	hdr->len = (__u32)len;
	hdr->seq = 0x4711;
	if (fd < 0 || sendmsg(fd, &mh, MSG_NOSIGNAL) < 0)
		return -1;
	return answer(fd);
}

/* A config of its own, in which everything is BYPASS. */
static long act_bypass(struct child *c)
{
	struct sadb_path req = {.path = "/tmp/hostile.conf"};

	return ask(c, &req.hdr, XIPSEC_SADB_RELOAD, sizeof(req));
}

/* To 10.2.0.0/16, or to everybody. */
static struct xipsec_selector selector(bool wide)
{
	struct xipsec_selector s = selector_any;

	s.family = XIPSEC_FAMILY_IP4;
	s.local_hi = s.remote_hi = (struct xipsec_addr){0};
	memset(s.local_hi.byte, 0xff, 4);
	memset(s.remote_hi.byte, 0xff, 4);
	s.local_lo.byte[0] = s.local_hi.byte[0] = s.remote_lo.byte[0] = 10;
	s.local_lo.byte[1] = s.local_hi.byte[1] = 1;
	s.remote_lo.byte[1] = 2;
	if (wide)
		memset(s.remote_lo.byte, 0, 4);
	else
		memcpy(s.remote_hi.byte, s.remote_lo.byte, 2);
	return s;
}

static long add(struct child *c, const char *name, bool wide)
{
	struct sadb_sa_add req = {.sa = {.name = "hostile",
					 .spi = htonl(0x6666),
					 .outer_family = XIPSEC_FAMILY_IP4,
					 .l4_proto = IPPROTO_ESP,
					 .dir = XIPSEC_DIR_OUT,
					 .mode = XIPSEC_MODE_TUNNEL,
					 .alg = XIPSEC_ALG_AES128GCM16,
					 .window = 1024,
					 .key_len = 20}};

	req.sa.src.byte[0] = req.sa.dst.byte[0] = 192;
	req.sa.dst.byte[3] = 66;
	req.sa.n_selectors = 1;
	req.sa.selector[0] = selector(wide);
	strcpy(req.sa.child, name);
	memset(req.sa.key, 0x66, 20);
	return ask(c, &req.hdr, XIPSEC_SADB_SA_ADD,
		   offsetof(struct sadb_sa_add, sa) + XIPSEC_SA_SIZE(1));
}

/* For policies that are no connection's. */
static long act_foreign_sa(struct child *c)
{
	return add(c, "net4", false);
}

/* For a child of ours, and for what its policies do not protect. */
static long act_wide_sa(struct child *c)
{
	return add(c, "peer/net4", true);
}

/* No attack: what may be done, in the words of those above. It shows that they are refused for what
 * they want, not for how they say it. */
static long act_own_sa(struct child *c)
{
	return add(c, "peer/net4", false);
}

static long act_delete_manual(struct child *c)
{
	struct sadb_name req = {.name = "ab4"};

	return ask(c, &req.hdr, XIPSEC_SADB_SA_DELETE, sizeof(req));
}

static long act_widen(struct child *c)
{
	struct sadb_name req = {.name = "net4"};

	return ask(c, &req.hdr, XIPSEC_SADB_RESTRICT, sizeof(req));
}

static long act_borrow(struct child *c)
{
	struct sadb_hdr req = {0};

	return ask(c, &req, XIPSEC_SADB_IKE_SOCKETS, sizeof(req));
}

/* ------------------------------------------------------------------ the parent */

/* What a question for AUTH needs to be well formed, and what it asks. */
struct auth_question {
	struct chan_auth m;
	__u8 data[512];
};

static long ask_auth(struct child *c, struct auth_question *req, struct bytes message,
		     struct bytes id)
{
	struct {
		struct chan_auth_answer m;
		__u8 room[IKE_AUTH_MAX];
	} got;
	struct pollfd pfd = {.fd = CHAN_FD, .events = POLLIN};
	struct iovec iov = {&got, sizeof(got)};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t len = sizeof(req->m) + message.len + 32 + 32 + id.len;

	req->m.id = 0x4711;
	strcpy(req->m.name, "peer");
	req->m.path.family = XIPSEC_FAMILY_IP4;
	req->m.prf = PRF_HMAC_SHA2_256;
	req->m.initiator = 1;
	req->m.message_len = (__u32)message.len;
	req->m.nonce_len = req->m.sk_p_len = 32;
	req->m.id_len = (__u32)id.len;
	memcpy(req->m.data, message.data, message.len);
	if (id.len)
		memcpy(req->m.data + message.len + 64, id.data, id.len);
	chan_send(c->chan, CHAN_AUTH, req, len, NULL, 0);
	chan_flush(c->chan);
	while (poll(&pfd, 1, 2000) > 0) {
		if (recvmsg(CHAN_FD, &mh, MSG_DONTWAIT) < 0)
			return -1;
		if (got.m.hdr.type != CHAN_AUTH_ANSWER || got.m.id != 0x4711)
			continue;
		errno = -got.m.err;
		return got.m.err ? -1 : 0;
	}
	errno = ETIMEDOUT;
	return -1;
}

/* A signature, or a MAC by the PSK, of what is no IKE_SA_INIT: something of the attacker's choice,
 * to be used elsewhere. */
static long act_sign_any(struct child *c)
{
	static const char text[] = "I owe the bearer all that is mine, and my heirs owe the rest.";
	struct auth_question req = {0};

	return ask_auth(c, &req, BYTES(text, sizeof(text)), BYTES_NONE);
}

/* A MAC over a good IKE_SA_INIT, for a peer of that name. */
static long mac_for(struct child *c, const char *name)
{
	_cleanup_out_ struct ike_out out = {0};
	_cleanup_free_ struct ike_packets *packets = NULL;
	_cleanup_writer_ struct writer id = {0};
	struct ike_header h = {
		.spi_i = 0x4711, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR};
	struct auth_question req = {0};
	static const __u8 nonce[32];

	ike_out_open(&out, &h);
	ike_out_nonce(&out, BYTES_OF(nonce));
	auth_id_body(&id, IKE_ID_FQDN, BYTES(name, strlen(name)));
	if (ike_out_plain(&out, &packets) || id.err)
		return -1;
	return ask_auth(c, &req, ike_packet(packets, 0), writer_view(&id));
}

/* By the PSK that we share with somebody else. */
static long act_mac_other(struct child *c)
{
	return mac_for(c, "gw3.example.org");
}

/* No attack: for whom the connection is. */
static long act_own_mac(struct child *c)
{
	return mac_for(c, "gw2.example.org");
}

static const struct {
	const char *name;
	long (*act)(struct child *c);
} acts[HOSTILE_ACTS] = {
	{"open", act_open},
	{"open_any", act_open_any},
	{"socket", act_socket},
	{"connect", act_connect},
	{"execve", act_execve},
	{"fork", act_fork},
	{"kill_parent", act_kill_parent},
	{"ptrace_parent", act_ptrace_parent},
	{"readv_parent", act_readv_parent},
	{"exec_memory", act_exec_memory},
	{"fd_table", act_fd_table},
	{"bypass", act_bypass},
	{"foreign_sa", act_foreign_sa},
	{"delete_manual", act_delete_manual},
	{"widen", act_widen},
	{"borrow", act_borrow},
	{"sign_any", act_sign_any},
	{"wide_sa", act_wide_sa},
	{"own_sa", act_own_sa},
	{"mac_other", act_mac_other},
	{"own_mac", act_own_mac},
};

void child_hostile(__u32 n, struct child *c)
{
	long got;

	if (!n || n > HOSTILE_ACTS)
		return;
	fprintf(stderr, "hostile %u %s: trying\n", n, acts[n - 1].name);
	got = acts[n - 1].act(c);
	if (got >= 0)
		fprintf(stderr, "hostile %u %s: SUCCEEDED\n", n, acts[n - 1].name);
	else
		fprintf(stderr, "hostile %u %s: got %s\n", n, acts[n - 1].name,
			strerrorname_np(errno));
}

#endif
