// SPDX-License-Identifier: BSD-2-Clause
#include "lib/confine.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <cap-ng.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "lib/core_dump.h"
#include "lib/log.h"

int confine_root(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0555) < 0 && errno != EEXIST)
		goto failed;
	if (lstat(dir, &st) < 0)
		goto failed;
	if (!S_ISDIR(st.st_mode) || st.st_uid != 0 || st.st_mode & 022) {
		errno = EPERM;
		goto failed;
	}
	if (chroot(dir) < 0 || chdir("/") < 0)
		goto failed;
	return 0;
failed:;
	int err = -errno;

	log_error("%s cannot be the root directory: %s: it has to be an empty directory of root's",
		  dir, strerror(-err));
	return err;
}

int confine_user(__u32 uid, const char *what)
{
	int err;

	if (!uid || uid == (__u32)-1) {
		log_error("uid %u is none for %s", uid, what);
		return -EINVAL;
	}
	/* The bounding set goes first: dropping it needs a capability. */
	capng_clear(CAPNG_SELECT_ALL);
	err = capng_change_id(uid, uid,
			      CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT);
	if (err) {
		log_error("giving up root for uid %u failed (libcap-ng %d)", uid, err);
		return -EPERM;
	}
	if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid) || getuid() != uid ||
	    geteuid() != uid || setuid(0) == 0) {
		log_error("uid %u did not stick", uid);
		return -EPERM;
	}
	if (capng_get_caps_process() || capng_have_capabilities(CAPNG_SELECT_BOTH) != CAPNG_NONE) {
		log_error("capabilities are left");
		return -EPERM;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	/* Not dumpable also keeps others of our uid from attaching with ptrace or reading
	 * /proc/PID/mem. Changing uid resets it, so this comes last. */
	return core_dump_refuse();
}

int confine_calls(const struct confine_rule *rules, size_t n)
{
	/* Death, not an error code: a process that asks for anything else is not ours any more. */
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < n; i++) {
		err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rules[i].call, rules[i].n_args,
					     rules[i].args);
		/* not every architecture has every call */
		if (err == -EDOM)
			err = 0;
	}
	if (!err)
		err = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	if (err)
		log_error("the system call filter could not be loaded: %s (does the kernel have "
			  "CONFIG_SECCOMP_FILTER?)",
			  strerror(-err));
	return err;
}
