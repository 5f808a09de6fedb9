// SPDX-License-Identifier: BSD-2-Clause
#include "loader/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kfuncs.skel.h"
#include "lib/cleanup.h"
#include "lib/netlink.h"
#include "loader/hook_nft.h"
#include "loader/probe.h"
#include "loader/xsk.h"

/* Newer than the headers that this is built with. */
#define FEATURE_LIVE_FRAMES      (1U << 1) /* BPF_F_TEST_XDP_LIVE_FRAMES */
#define FEATURE_XFRM_IF_ID       2         /* IFLA_XFRM_IF_ID */
#define FEATURE_XFRM_COLLECT     3         /* IFLA_XFRM_COLLECT_METADATA */
#define FEATURE_TUN_USO          0x60      /* TUN_F_USO4 | TUN_F_USO6 */
#define FEATURE_LOOPBACK_IFINDEX 1         /* of every network namespace */

void feature_say(struct loader_feature *out, enum loader_feature_state state, const char *note, ...)
{
	va_list args;

	out->state = state;
	va_start(args, note);
	vsnprintf(out->note, sizeof(out->note), note, args);
	va_end(args);
}

void feature_tried(struct loader_feature *out, int err)
{
	if (err >= 0)
		feature_say(out, LOADER_FEATURE_YES, "%s", "");
	else if (err == -EPERM || err == -EACCES)
		feature_say(out, LOADER_FEATURE_UNKNOWN, "no right to try it: run it as root");
	else
		feature_say(out, LOADER_FEATURE_NO, "%s", strerror(-err));
}

/* ------------------------------------------------------------------ programs */

static void try_tcx(struct loader_feature *out)
{
	feature_tried(out, probe_tcx(FEATURE_LOOPBACK_IFINDEX) ? 0 : -EOPNOTSUPP);
}

static void try_dispatcher(struct loader_feature *out)
{
	switch (probe_extension()) {
	case PROBE_EXTENSION_FREE: feature_say(out, LOADER_FEATURE_YES, "%s", ""); break;
	case PROBE_EXTENSION_STRICT:
		feature_say(out, LOADER_FEATURE_PARTLY,
			    "wants the dispatcher of xdp-tools 1.5.5 or later");
		break;
	case PROBE_EXTENSION_NONE:
		feature_say(out, LOADER_FEATURE_NO, "it takes no program as an extension");
		break;
	}
}

static void try_live_frames(struct loader_feature *out)
{
	_cleanup_close_ int fd = probe_extension_host();
	char frame[64] = {0};
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
			    .data_size_in = sizeof(frame), .repeat = 1,
			    .flags = FEATURE_LIVE_FRAMES);

	feature_tried(out, fd < 0 ? fd : bpf_prog_test_run_opts(fd, &opts));
}

static void try_cpumap(struct loader_feature *out)
{
	const unsigned int value = 8; /* struct bpf_cpumap_val, with room for a program */
	_cleanup_close_ int fd =
		bpf_map_create(BPF_MAP_TYPE_CPUMAP, "xipsec_probe", 4, value, 1, NULL);

	feature_tried(out, fd);
}

static void kfuncs_freep(struct kfuncs_bpf **kfuncs)
{
	kfuncs_bpf__destroy(*kfuncs);
}

static void try_kfunc(struct loader_feature *out, const char *name)
{
	__attribute__((cleanup(kfuncs_freep))) struct kfuncs_bpf *kfuncs = kfuncs_bpf__open();
	struct bpf_program *prog;

	if (!kfuncs) {
		feature_tried(out, -EINVAL);
		return;
	}
	bpf_object__for_each_program(prog, kfuncs->obj)
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name));
	if (bpf_object__load(kfuncs->obj))
		feature_say(out, LOADER_FEATURE_NO, "no such function");
	else
		feature_say(out, LOADER_FEATURE_YES, "%s", "");
}

static void try_kfunc_get_state(struct loader_feature *out)
{
	try_kfunc(out, "kfunc_get_state");
}

static void try_kfunc_set_info(struct loader_feature *out)
{
	try_kfunc(out, "kfunc_set_info");
}

/* ------------------------------------------------------------------ AF_XDP */

static void try_af_xdp(struct loader_feature *out)
{
	_cleanup_close_ int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	feature_tried(out, fd < 0 ? -errno : 0);
}

static void try_multi_buffer(struct loader_feature *out)
{
	feature_tried(out, probe_multi_buffer() ? 0 : -EOPNOTSUPP);
}

/* On the loopback, where nobody else can be. */
static void try_remap(struct loader_feature *out)
{
	struct xsk_umem umem = {.memory = -1, .table = -1};
	struct xsk xsk = {.fd = -1};
	int err = xsk_umem_new(4096, 64, &umem);

	if (!err)
		err = xsk_new(&xsk);
	if (!err)
		err = xsk_bind(&xsk, &umem, -1, FEATURE_LOOPBACK_IFINDEX, 0, true, false);
	if (!err && !xsk_can_remap(&xsk))
		err = -EOPNOTSUPP;
	feature_tried(out, err);
	xsk_close(&xsk);
	xsk_umem_free(&umem);
}

/* ------------------------------------------------------------------ devices */

/* Makes a link of that kind; `type`: an attribute of it with `value`, 0 none. */
static int new_link(const char *kind, const char *name, unsigned int below, __u16 type,
		    const void *value, size_t size)
{
	char buf[NETLINK_REQUEST_MAX];
	struct netlink nl = {0};
	struct nlattr *info, *data;
	struct ifinfomsg *ifi;
	struct nlmsghdr *req;
	void *header;
	int err = netlink_open(NETLINK_ROUTE, &nl);

	if (err)
		return err;
	req = netlink_request(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifi), &header);
	mnl_attr_put_strz(req, IFLA_IFNAME, name);
	if (below)
		mnl_attr_put_u32(req, IFLA_LINK, below);
	info = mnl_attr_nest_start(req, IFLA_LINKINFO);
	mnl_attr_put_strz(req, IFLA_INFO_KIND, kind);
	if (type) {
		data = mnl_attr_nest_start(req, IFLA_INFO_DATA);
		mnl_attr_put(req, type, size, value);
		mnl_attr_nest_end(req, data);
	}
	mnl_attr_nest_end(req, info);
	err = netlink_call(&nl, req, NULL, NULL);
	netlink_close(&nl);
	return err;
}

static void try_vlan(struct loader_feature *out)
{
	const __u16 id = 7;
	int err = new_link("veth", "probe0", 0, 0, NULL, 0);

	if (!err)
		err = new_link("vlan", "probe0.7", if_nametoindex("probe0"), IFLA_VLAN_ID, &id,
			       sizeof(id));
	feature_tried(out, err);
}

static void try_xfrm_interface(struct loader_feature *out)
{
	const __u32 id = 7;

	feature_tried(out, new_link("xfrm", "probe1", 0, FEATURE_XFRM_IF_ID, &id, sizeof(id)));
}

/* A kernel that does not know it misses an if_id. */
static void try_collect_md(struct loader_feature *out)
{
	feature_tried(out, new_link("xfrm", "probe2", 0, FEATURE_XFRM_COLLECT, "", 0));
}

static int tun_offload(unsigned int offload)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq ifr = {.ifr_name = "probe3",
			    .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE};

	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETOFFLOAD, offload) < 0)
		return -errno;
	return 0;
}

static void try_tun(struct loader_feature *out)
{
	feature_tried(out, tun_offload(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6));
}

static void try_tun_uso(struct loader_feature *out)
{
	feature_tried(out, tun_offload(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | FEATURE_TUN_USO));
}

static void try_nftables(struct loader_feature *out)
{
	feature_tried(out, hook_nft_try());
}

/* ------------------------------------------------------------------ all of them */

/* In this order: the kfunc stands in the module of the interface, which comes with it. */
static const struct {
	const char *name;
	const char *use;
	feature_fn try;
} table[] = {
	{"tcx", "programs at TC that tools for TC leave alone; else clsact", try_tcx},
	{"dispatcher", "XDP programs of others beside ours", try_dispatcher},
	{"af_xdp", "workers: engine afxdp", try_af_xdp},
	{"af_xdp_multi_buffer", "jumbo frames: an MTU over 3498", try_multi_buffer},
	{"af_xdp_remap", "sockets that outlive a worker", try_remap},
	{"tun", "xipsec0: this host's own traffic; tunnels {}", try_tun},
	{"tun_uso", "UDP of this host in big pieces", try_tun_uso},
	{"nftables", "black interfaces are closed while they are made anew", try_nftables},
	{"vlan", "VLAN interfaces (8021q)", try_vlan},
	{"xfrm_esp4", "engine xfrm: ESP over IPv4", feature_esp4},
	{"xfrm_esp6", "engine xfrm: ESP over IPv6", feature_esp6},
	{"xfrm_ah4", "engine xfrm: AH over IPv4", feature_ah4},
	{"xfrm_ah6", "engine xfrm: AH over IPv6", feature_ah6},
	{"xfrm_algorithms", "engine xfrm: all of ours that it may have", feature_algorithms},
	{"xfrm_udp_encap4", "engine xfrm: ESP in UDP over IPv4", feature_udp_encap4},
	{"xfrm_udp_encap6", "engine xfrm: ESP in UDP over IPv6", feature_udp_encap6},
	{"xfrm_ipcomp", "not used yet: IPComp inside ESP", feature_ipcomp},
	{"xfrm_percpu_sa", "not used yet: an SA for each CPU (RFC 9611)", feature_percpu_sa},
	{"xfrm_interface", "engine xfrm: tunnels {}", try_xfrm_interface},
	{"xfrm_collect_md", "not used yet: one that takes its if_id from each packet",
	 try_collect_md},
	{"bpf_skb_set_xfrm_info", "not used yet: TC says which if_id", try_kfunc_set_info},
	{"bpf_xdp_get_xfrm_state", "not used: xipsecd says itself which CPU opens an SA",
	 try_kfunc_get_state},
	{"cpumap", "engine xfrm: SAs spread over CPUs; else the one that receives opens",
	 try_cpumap},
	{"live_frames", "not used yet: frames sent without a socket", try_live_frames},
};
#define N_FEATURES (sizeof(table) / sizeof(table[0]))
_Static_assert(N_FEATURES <= LOADER_FEATURES_MAX, "room for all");

static void try_all(struct loader_feature *out)
{
	/* Errors are what this is about. */
	libbpf_set_print(NULL);
	if (unshare(CLONE_NEWNET)) {
		for (size_t i = 0; i < N_FEATURES; i++)
			feature_say(&out[i], LOADER_FEATURE_UNKNOWN,
				    "no network namespace to try it in: %s", strerror(errno));
		return;
	}
	for (size_t i = 0; i < N_FEATURES; i++)
		table[i].try(&out[i]);
}

/* A child of ours does it: it leaves the namespace by ending. */
int loader_features(struct loader_feature out[LOADER_FEATURES_MAX], unsigned int *n)
{
	const size_t size = N_FEATURES * sizeof(*out);
	struct loader_feature *shared;
	int status, err = 0;
	pid_t pid;

	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < N_FEATURES; i++) {
		shared[i] = (struct loader_feature){.name = table[i].name, .use = table[i].use};
		feature_say(&shared[i], LOADER_FEATURE_UNKNOWN, "who tried it died");
	}
	pid = fork();
	if (!pid) {
		try_all(shared);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		err = -errno;
	} else {
		memcpy(out, shared, size);
		*n = N_FEATURES;
	}
	munmap(shared, size);
	return err;
}
