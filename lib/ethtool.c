// SPDX-License-Identifier: BSD-2-Clause
#include "lib/ethtool.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "lib/cleanup.h"

#define FEATURE_WORDS 8 /* 256 features; Linux has about 64 */

static int ethtool_call(const char *ifname, void *cmd)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {.ifr_data = cmd};

	if (fd < 0)
		return -errno;
	if (strlen(ifname) >= sizeof(req.ifr_name))
		return -EINVAL;
	strcpy(req.ifr_name, ifname);
	if (ioctl(fd, SIOCETHTOOL, &req) < 0)
		return -errno;
	return 0;
}

int ethtool_queues(const char *ifname)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	int err = ethtool_call(ifname, &channels);
	int queues;

	if (err == -EOPNOTSUPP)
		return 1;
	if (err)
		return err;
	queues = (int)(channels.combined_count + channels.rx_count);
	return queues > 0 ? queues : 1;
}

int ethtool_driver(const char *ifname, char out[32])
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	int err = ethtool_call(ifname, &info);

	if (err && err != -EOPNOTSUPP)
		return err;
	memset(out, 0, 32);
	if (!err)
		memcpy(out, info.driver, sizeof(info.driver) < 31 ? sizeof(info.driver) : 31);
	return 0;
}

/* Number of the feature with that name, -ENOENT: this kernel has none. */
static int feature_find(const char *ifname, const char *name)
{
	_cleanup_free_ struct ethtool_gstrings *strings = NULL;
	union {
		struct ethtool_sset_info head;
		__u8 room[sizeof(struct ethtool_sset_info) + sizeof(__u32)];
	} set = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}};
	int err = ethtool_call(ifname, &set);
	__u32 count;

	if (err)
		return err;
	count = set.head.data[0];
	if (!set.head.sset_mask || count > FEATURE_WORDS * 32)
		return -ENOENT;
	strings = calloc(1, sizeof(*strings) + (size_t)count * ETH_GSTRING_LEN);
	if (!strings)
		return -ENOMEM;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = count;
	err = ethtool_call(ifname, strings);
	if (err)
		return err;
	for (__u32 i = 0; i < count; i++) {
		if (!strncmp((char *)strings->data + (size_t)i * ETH_GSTRING_LEN, name,
			     ETH_GSTRING_LEN))
			return (int)i;
	}
	return -ENOENT;
}

/* *words: how many the kernel has; setting wants exactly as many. */
static int feature_get(const char *ifname, int number, bool *on, __u32 *words)
{
	union {
		struct ethtool_gfeatures head;
		__u8 room[sizeof(struct ethtool_gfeatures) +
			  FEATURE_WORDS * sizeof(struct ethtool_get_features_block)];
	} get = {.head = {.cmd = ETHTOOL_GFEATURES, .size = FEATURE_WORDS}};
	int err = ethtool_call(ifname, &get);

	if (err)
		return err;
	*on = get.head.features[number / 32].active >> (number % 32) & 1;
	*words = get.head.size;
	return 0;
}

static int feature_set(const char *ifname, int number, bool on, __u32 words)
{
	union {
		struct ethtool_sfeatures head;
		__u8 room[sizeof(struct ethtool_sfeatures) +
			  FEATURE_WORDS * sizeof(struct ethtool_set_features_block)];
	} set = {.head = {.cmd = ETHTOOL_SFEATURES, .size = words}};
	bool now = !on;
	int err;

	set.head.features[number / 32].valid = 1U << (number % 32);
	set.head.features[number / 32].requested = on ? 1U << (number % 32) : 0;
	err = ethtool_call(ifname, &set);
	if (err)
		return err;
	/* The call succeeds also where the driver keeps the feature as it is. */
	err = feature_get(ifname, number, &now, &words);
	if (err)
		return err;
	return now == on ? 0 : -EOPNOTSUPP;
}

int ethtool_esp_offload(const char *ifname, bool *on)
{
	int number = feature_find(ifname, "esp-hw-offload");
	__u32 words;

	*on = false;
	if (number == -ENOENT)
		return 0;
	return number < 0 ? number : feature_get(ifname, number, on, &words);
}

static const char *const strip_features[] = {"rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"};

int ethtool_vlan_strip(const char *ifname, bool *on)
{
	bool any = false;

	for (size_t i = 0; i < sizeof(strip_features) / sizeof(strip_features[0]); i++) {
		int number = feature_find(ifname, strip_features[i]);
		bool this = false;
		__u32 words;
		int err;

		if (number == -ENOENT)
			continue;
		err = number < 0 ? number : feature_get(ifname, number, &this, &words);
		if (err)
			return err;
		any = any || this;
	}
	*on = any;
	return 0;
}

int ethtool_set_vlan_strip(const char *ifname, bool on)
{
	for (size_t i = 0; i < sizeof(strip_features) / sizeof(strip_features[0]); i++) {
		int number = feature_find(ifname, strip_features[i]);
		bool now = on;
		__u32 words;
		int err;

		if (number == -ENOENT)
			continue;
		err = number < 0 ? number : feature_get(ifname, number, &now, &words);
		if (!err && now != on)
			err = feature_set(ifname, number, on, words);
		/* Switching on is an undo: a driver that only ever had C tags is no failure. */
		if (err && !(on && err == -EOPNOTSUPP))
			return err;
	}
	return 0;
}
