// SPDX-License-Identifier: BSD-2-Clause
#include "loader/generation.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/heritage.h"
#include "loader/hits.h"
#include "loader/hook_tc.h"
#include "loader/hook_xdp.h"
#include "loader/probe.h"
#include "loader/spd.h"
#include "loader/spd_names.h"
#include "loader/twin.h"
#include "xipsec.skel.h"
#include "xipsec/meta.h"

/* What people find right below PIN_DIR. */
static const char *const links[] = {
	"version",     "globals",      "ifaces",     "spd",        "spd_head",  "spd_rules",
	"spd_buckets", "spd_hits",     "flow_cache", "flow_stats", "child_ids", "dev_ids",
	"children",    "sad",          "peers",      "sa_state",   "frags",     "xsks",
	"reasons",     "worker_stats", "events",     "cpus",
};

#define N_LINKS (sizeof(links) / sizeof(links[0]))

static const struct {
	const char *name;
	size_t offset;
} programs[] = {
	{"xipsec_red", offsetof(struct generation, red)},
	{"xipsec_black", offsetof(struct generation, black)},
	{"xipsec_guard", offsetof(struct generation, tc[TC_GUARD])},
	{"xipsec_blacktc", offsetof(struct generation, tc[TC_BLACKTC])},
	{"xipsec_redtc", offsetof(struct generation, tc[TC_REDTC])},
};

#define N_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

static int *prog_slot(struct generation *gen, size_t i)
{
	return (int *)((char *)gen + programs[i].offset);
}

static void skel_freep(struct xipsec_bpf **skel)
{
	xipsec_bpf__destroy(*skel);
}
#define _cleanup_skel_ __attribute__((cleanup(skel_freep)))

/* "gen-12" -> 12, anything else 0. */
static unsigned int generation_number(const char *name)
{
	unsigned int n = 0;
	char end = 0;

	return sscanf(name, "gen-%u%c", &n, &end) == 1 ? n : 0;
}

static unsigned int newest_generation(const char *pin_dir)
{
	DIR *dir = opendir(pin_dir);
	unsigned int newest = 0;
	struct dirent *entry;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		unsigned int n = generation_number(entry->d_name);

		newest = n > newest ? n : newest;
	}
	closedir(dir);
	return newest;
}

/*
 * Numbers are not used again while the host runs, also when bpffs was cleared: who holds "gen-3"
 * open notices by the name that it is not the current one any more. RUN_DIR remembers the last.
 */
static unsigned int next_number(const struct config *config)
{
	unsigned int last = 0, newest = newest_generation(config->pin_dir);
	_cleanup_fclose_ FILE *file = NULL;
	char path[512];

	snprintf(path, sizeof(path), "%s/generation", config->run_dir);
	file = fopen(path, "re");
	if (file && fscanf(file, "%u", &last) != 1)
		last = 0;
	if (file)
		fclose(file);
	last = (last > newest ? last : newest) + 1;
	file = fopen(path, "we");
	if (file)
		fprintf(file, "%u\n", last);
	return last;
}

struct xipsec_bpf *generation_object(__u32 rules)
{
	struct xipsec_bpf *skel = xipsec_bpf__open();

	if (!skel) {
		log_error("the built-in BPF object cannot be read: %s", strerror(errno));
		return NULL;
	}
	skel->rodata->hits_rules = rules;
	skel->rodata->multi_buffer = probe_multi_buffer();
	return skel;
}

static int skel_load(const struct config *config, const struct heritage *heritage,
		     struct xipsec_bpf **out)
{
	_cleanup_skel_ struct xipsec_bpf *skel = generation_object(config->max_rules);
	const struct {
		const char *name;
		__u32 entries;
	} sized[] = {{"sad", config->max_sas},
		     {"peers", config->max_sas},
		     {"sa_state", config->max_sas},
		     {"cpus", probe_cpus()}};
	unsigned int kernel = probe_kernel();
	int err;

	if (!skel)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(sized) / sizeof(sized[0]); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, sized[i].name);

		if (!map || bpf_map__set_max_entries(map, sized[i].entries))
			return -EINVAL;
	}
	err = hits_make_room(skel->maps.spd_hits, config->max_rules);
	if (err) {
		log_error("max_rules = %u: counters for so many rules on each CPU: %s",
			  config->max_rules,
			  err == -E2BIG ? "more than one map takes; lower max_rules in datapath {}"
					: strerror(-err));
		return err;
	}
	err = heritage_take(config, heritage, skel->obj);
	if (err)
		return err;
	err = xipsec_bpf__load(skel);
	if (err) {
		log_error("the kernel (Linux %u.%u) refuses the programs: %s; xipsec needs Linux "
			  "6.1 or later%s",
			  kernel >> 16, kernel >> 8 & 255, strerror(-err),
			  err == -EPERM ? ", and a memory limit (ulimit -l) above 16 MB" : "");
		return err;
	}
	err = heritage_bind(skel->obj);
	if (err)
		return err;
	*out = take_ptr(skel);
	return 0;
}

/* Only the pattern of an inner map; spd.c makes and pins the real ones. */
static bool is_pattern(const struct bpf_map *map)
{
	static const char *const patterns[] = {"spd_head", "spd_buckets", "spd_rules"};

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (!strcmp(bpf_map__name(map), patterns[i]))
			return true;
	return false;
}

static int pin_maps(struct xipsec_bpf *skel, const char *gen_dir)
{
	struct bpf_map *map;
	char path[512];

	bpf_object__for_each_map(map, skel->obj)
	{
		if (bpf_map__is_internal(map) || is_pattern(map))
			continue;
		snprintf(path, sizeof(path), "%s/%s", gen_dir, bpf_map__name(map));
		if (bpf_obj_pin(bpf_map__fd(map), path)) {
			log_error("cannot pin %s: %s", path, strerror(errno));
			return -errno;
		}
	}
	return 0;
}

static int pin_programs(struct xipsec_bpf *skel, const char *gen_dir)
{
	struct bpf_program *prog;
	char path[512];

	snprintf(path, sizeof(path), "%s/prog", gen_dir);
	if (mkdir(path, 0700))
		return -errno;
	bpf_object__for_each_program(prog, skel->obj)
	{
		if (bpf_program__fd(prog) < 0)
			continue;
		snprintf(path, sizeof(path), "%s/prog/%s", gen_dir, bpf_program__name(prog));
		if (bpf_obj_pin(bpf_program__fd(prog), path)) {
			log_error("cannot pin %s: %s", path, strerror(errno));
			return -errno;
		}
	}
	return 0;
}

static int fill_version(struct xipsec_bpf *skel, __u32 spd_base)
{
	struct xipsec_version version = {.abi = XIPSEC_ABI, .release = XIPSEC_VERSION};
	struct xipsec_globals globals = {.spd_generation = spd_base};
	int map = bpf_object__find_map_fd_by_name(skel->obj, "version");
	int global = bpf_object__find_map_fd_by_name(skel->obj, "globals");
	__u32 zero = 0;

	if (bpf_map_update_elem(global, &zero, &globals, BPF_ANY) ||
	    bpf_map_update_elem(map, &zero, &version, BPF_ANY))
		return -errno;
	return 0;
}

/* The mark by which this generation's TC programs know what its XDP programs have judged. Never
 * zero, which means none. */
static int fill_pass_key(struct xipsec_bpf *skel)
{
	int map = bpf_object__find_map_fd_by_name(skel->obj, "pass_key");
	struct xipsec_passed key = {0};
	__u32 zero = 0;

	while (!key.word[0]) {
		if (getrandom(&key, sizeof(key), 0) != (ssize_t)sizeof(key))
			return -errno;
	}
	return bpf_map_update_elem(map, &zero, &key, BPF_ANY) ? -errno : 0;
}

/* The first SPD, with the object's own types, so that bpftool prints field names. */
static int fill_spd(const struct config *config, struct xipsec_bpf *skel,
		    const struct generation *gen)
{
	_cleanup_spd_source_ struct spd_source source = {0};
	struct spd_ids ids = spd_ids_of(&gen->dp);
	__u32 generation;
	int err;

	err = spd_compile(config, &ids, &source);
	if (!err)
		err = spd_install(&gen->dp, gen->dir, bpf_object__btf(skel->obj), &source, NULL,
				  &generation);
	if (!err)
		spd_names_write(gen->dir, config, generation); /* for people only */
	return err;
}

static int open_programs(struct generation *gen)
{
	char path[512];

	for (size_t i = 0; i < N_PROGRAMS; i++)
		*prog_slot(gen, i) = -1;
	for (size_t i = 0; i < N_PROGRAMS; i++) {
		snprintf(path, sizeof(path), "%s/prog/%s", gen->dir, programs[i].name);
		*prog_slot(gen, i) = bpf_obj_get(path);
		if (*prog_slot(gen, i) < 0) {
			int err = -errno;

			while (i--)
				close(*prog_slot(gen, i));
			return err;
		}
	}
	return 0;
}

static void close_programs(struct generation *gen)
{
	for (size_t i = 0; i < N_PROGRAMS; i++) {
		close(*prog_slot(gen, i));
		*prog_slot(gen, i) = -1;
	}
}

static int open_dir(struct generation *gen)
{
	int err = open_programs(gen);

	if (err)
		return err;
	err = datapath_open_dir(gen->dir, &gen->dp);
	if (err)
		close_programs(gen);
	return err;
}

static int build_pins(const struct config *config, const struct heritage *heritage, __u32 spd_base,
		      struct generation *gen)
{
	_cleanup_skel_ struct xipsec_bpf *skel = NULL;
	int err = skel_load(config, heritage, &skel);

	if (err)
		return err;
	err = fill_version(skel, spd_base);
	if (!err)
		err = fill_pass_key(skel);
	if (!err)
		err = pin_maps(skel, gen->dir);
	if (!err)
		err = pin_programs(skel, gen->dir);
	if (!err)
		err = open_dir(gen);
	if (err) {
		log_error("generation %s: %s", gen->dir, strerror(-err));
		return err;
	}
	err = fill_spd(config, skel, gen);
	if (err) {
		generation_close(gen);
		return err;
	}
	err = twin_pin(gen);
	if (err)
		log_warn("`xipsec explain` will not work: its copy of the programs is refused: %s",
			 strerror(-err));
	return 0;
}

int generation_build(const struct config *config, __u32 spd_base, struct generation *out)
{
	struct generation gen = {0};
	struct heritage heritage;
	int err;

	err = datapath_mkdir(config->pin_dir, 0700);
	if (err) {
		log_error("pin_dir %s: %s (bpffs takes no dots in names)", config->pin_dir,
			  strerror(-err));
		return err;
	}
	snprintf(gen.name, sizeof(gen.name), "gen-%u", next_number(config));
	snprintf(gen.dir, sizeof(gen.dir), "%s/%s", config->pin_dir, gen.name);
	if (mkdir(gen.dir, 0700)) {
		err = -errno;
		log_error("%s: %s", gen.dir, strerror(-err));
		return err;
	}
	heritage_find(config->pin_dir, &heritage);
	err = build_pins(config, &heritage, spd_base, &gen);
	if (!err)
		err = heritage_leave(config->state_dir, &heritage, gen.dp.sa_state);
	heritage_close(&heritage);
	if (err) {
		generation_remove(config->pin_dir, gen.name);
		rmdir(config->pin_dir); /* goes only if this call made it, or it was empty */
		return err;
	}
	*out = gen;
	return 0;
}

int generation_open(const char *pin_dir, struct generation *out)
{
	struct generation gen = {0};
	struct xipsec_version version;
	int err = datapath_current(pin_dir, gen.name);

	if (err)
		return err;
	snprintf(gen.dir, sizeof(gen.dir), "%s/%s", pin_dir, gen.name);
	err = datapath_abi(gen.dir, &version);
	if (err)
		return err;
	if (version.abi != XIPSEC_ABI)
		return -EPROTO;
	err = open_dir(&gen);
	if (err)
		return err;
	*out = gen;
	return 0;
}

void generation_close(struct generation *gen)
{
	close_programs(gen);
	datapath_close(&gen->dp);
}

/* libbpf fills no map that is given to it, so the rules in force stay. */
int generation_reuse_maps(const struct generation *gen, struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		_cleanup_close_ int fd = -1;
		char path[512];

		if (bpf_map__is_internal(map) || is_pattern(map) || !bpf_map__autocreate(map))
			continue;
		snprintf(path, sizeof(path), "%s/%s", gen->dir, bpf_map__name(map));
		fd = bpf_obj_get(path);
		if (fd < 0 || bpf_map__reuse_fd(map, fd)) {
			log_error("%s: %s", path, strerror(errno));
			return -errno;
		}
	}
	return 0;
}

int generation_extension(const struct generation *gen, enum xipsec_role role)
{
	_cleanup_skel_ struct xipsec_bpf *skel = generation_object(hits_rules(gen->dp.spd_hits));
	_cleanup_close_ int host = probe_extension_host();
	struct bpf_program *prog, *ours = NULL;
	int err;

	if (!skel || host < 0)
		return skel ? host : -EINVAL;
	bpf_object__for_each_program(prog, skel->obj)
	{
		bool is_it = !strcmp(bpf_program__name(prog), xdp_prog_name(role));

		bpf_program__set_autoload(prog, is_it);
		ours = is_it ? prog : ours;
	}
	skel->rodata->spreads = 0;
	err = bpf_map__set_autocreate(skel->maps.cpus, false);
	if (!err)
		err = ours ? generation_reuse_maps(gen, skel->obj) : -ENOENT;
	if (!err)
		err = bpf_program__set_attach_target(ours, host, PROBE_HOST);
	if (err)
		return err;
	bpf_program__set_type(ours, BPF_PROG_TYPE_EXT);
	bpf_program__set_expected_attach_type(ours, 0);
	err = bpf_object__load(skel->obj);
	if (err)
		return err;
	err = fcntl(bpf_program__fd(ours), F_DUPFD_CLOEXEC, 3);
	return err < 0 ? -errno : err;
}

int generation_set_current(const char *pin_dir, const char *name)
{
	char path[512], fresh[512], target[64];

	snprintf(path, sizeof(path), "%s/current", pin_dir);
	if (!name)
		return unlink(path) && errno != ENOENT ? -errno : 0;
	snprintf(fresh, sizeof(fresh), "%s/current_new", pin_dir);
	unlink(fresh);
	if (symlink(name, fresh))
		return -errno;
	if (rename(fresh, path)) {
		int err = -errno;

		unlink(fresh);
		return err;
	}
	/* For people only: a link that is missing breaks nothing. */
	for (size_t i = 0; i < N_LINKS; i++) {
		snprintf(path, sizeof(path), "%s/%s", pin_dir, links[i]);
		snprintf(target, sizeof(target), "current/%s", links[i]);
		if (symlink(target, path) && errno != EEXIST)
			log_warn("%s: %s", path, strerror(errno));
	}
	return 0;
}

static void remove_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[600];

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%.255s", path, entry->d_name);
		unlink(name);
	}
	closedir(dir);
}

void generation_remove(const char *pin_dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s/prog", pin_dir, name);
	remove_entries(path);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/%s", pin_dir, name);
	remove_entries(path);
	rmdir(path);
}

void generation_sweep(const char *pin_dir, const char *keep)
{
	char path[512];

	for (unsigned int n = newest_generation(pin_dir); n; n--) {
		char name[32];

		snprintf(name, sizeof(name), "gen-%u", n);
		if (!keep || strcmp(name, keep))
			generation_remove(pin_dir, name);
	}
	if (keep)
		return;
	for (size_t i = 0; i < N_LINKS; i++) {
		snprintf(path, sizeof(path), "%s/%s", pin_dir, links[i]);
		unlink(path);
	}
	rmdir(pin_dir);
}
