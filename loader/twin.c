// SPDX-License-Identifier: BSD-2-Clause
#include "loader/twin.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "lib/cleanup.h"
#include "loader/hits.h"
#include "xipsec.skel.h"

#define PREFIX "xipsec_"

/* Which have one: xipsec_redtc decides nothing. */
static const char *const twins[] = {"xipsec_red", "xipsec_black", "xipsec_guard"};

#define N_TWINS (sizeof(twins) / sizeof(twins[0]))

static void skel_freep(struct xipsec_bpf **skel)
{
	xipsec_bpf__destroy(*skel);
}

static void twin_path(const char *gen_dir, const char *prog_name, char *path, size_t size)
{
	snprintf(path, size, "%s/prog/explain_%s", gen_dir, prog_name + strlen(PREFIX));
}

static bool has_twin(const char *prog_name)
{
	for (size_t i = 0; i < N_TWINS; i++) {
		if (!strcmp(twins[i], prog_name))
			return true;
	}
	return false;
}

static void unpin(const char *gen_dir)
{
	char path[512];

	for (size_t i = 0; i < N_TWINS; i++) {
		twin_path(gen_dir, twins[i], path, sizeof(path));
		unlink(path);
	}
}

int twin_pin(const struct generation *gen)
{
	__attribute__((cleanup(skel_freep))) struct xipsec_bpf *skel =
		generation_object(hits_rules(gen->dp.spd_hits));
	struct bpf_program *prog;
	int err;

	if (!skel)
		return -EINVAL;
	skel->rodata->explain = 1;
	bpf_object__for_each_program(prog, skel->obj)
		bpf_program__set_autoload(prog, has_twin(bpf_program__name(prog)));
	err = generation_reuse_maps(gen, skel->obj);
	if (!err)
		err = xipsec_bpf__load(skel);
	if (err)
		return err;
	bpf_object__for_each_program(prog, skel->obj)
	{
		char path[512];

		if (!has_twin(bpf_program__name(prog)))
			continue;
		twin_path(gen->dir, bpf_program__name(prog), path, sizeof(path));
		if (bpf_obj_pin(bpf_program__fd(prog), path)) {
			err = -errno;
			unpin(gen->dir);
			return err;
		}
	}
	return 0;
}

int twin_open(const char *gen_dir, const char *prog_name)
{
	char path[512];
	int fd;

	if (!has_twin(prog_name))
		return -ENOENT;
	twin_path(gen_dir, prog_name, path, sizeof(path));
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}
