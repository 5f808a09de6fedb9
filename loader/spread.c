// SPDX-License-Identifier: BSD-2-Clause
#include "loader/spread.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#define ONLINE     "/sys/devices/system/cpu/online"
#define QUEUE_SIZE 2048 /* frames that wait for one CPU */

unsigned int spread_list(const char *list, unsigned int place, __u32 *cpu)
{
	unsigned int n = 0;

	while (*list >= '0' && *list <= '9') {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (last < first || last - first > 65535)
			break;
		if (place >= n && place - n <= last - first)
			*cpu = (__u32)(first + place - n);
		n += (unsigned int)(last - first + 1);
		list = *end == ',' ? end + 1 : end;
	}
	return n;
}

static bool online(char *list, int size)
{
	_cleanup_fclose_ FILE *file = fopen(ONLINE, "re");

	return file && fgets(list, size, file);
}

/* An entry that is written again is a thread made anew, and what waits for it is lost. */
static int entry_there(int map, __u32 cpu)
{
	struct bpf_cpumap_val value = {.qsize = QUEUE_SIZE};

	if (bpf_map_lookup_elem(map, &cpu, &value) == 0 && value.qsize)
		return 0;
	value = (struct bpf_cpumap_val){.qsize = QUEUE_SIZE};
	return bpf_map_update_elem(map, &cpu, &value, BPF_ANY) < 0 ? -errno : 0;
}

__u32 spread_cpu(const struct datapath *dp, __u32 turn)
{
	unsigned int n;
	char list[256];
	__u32 cpu = 0;
	int err;

	if (dp->cpus < 0 || !online(list, sizeof(list)))
		return 0;
	n = spread_list(list, 0, &cpu);
	if (n < 2)
		return 0;
	spread_list(list, turn % n, &cpu);
	err = entry_there(dp->cpus, cpu);
	if (!err)
		return cpu + 1;
	log_warn("kernel XFRM: packets of an SA cannot be sent to CPU %u: %s; the CPU that "
		 "receives them opens them",
		 cpu, strerror(-err));
	return 0;
}
