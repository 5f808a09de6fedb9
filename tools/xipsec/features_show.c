// SPDX-License-Identifier: BSD-2-Clause
#include "tools/xipsec/features_show.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include "lib/log.h"
#include "tools/xipsec/command.h"
#include "xipsec/loader.h"

static const char *state_text(enum loader_feature_state state)
{
	static const char *const names[] = {"unknown", "no", "partly", "yes"};

	return names[state];
}

/* ------------------------------------------------------------------ JSON (docs/json.md) */

static void put_text(struct json_object *to, const char *name, const char *value)
{
	json_object_object_add(to, name, json_object_new_string(value));
}

static struct json_object *feature_json(const struct loader_feature *feature)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "name", feature->name);
	put_text(to, "state", state_text(feature->state));
	put_text(to, "use", feature->use);
	put_text(to, "note", feature->note);
	return to;
}

static struct json_object *nic_json(const char *name, const struct loader_nic *nic)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "name", name);
	put_text(to, "zerocopy", state_text(nic->zerocopy));
	put_text(to, "redirect", state_text(nic->redirect));
	put_text(to, "fragments", state_text(nic->fragments));
	put_text(to, "note", nic->note);
	return to;
}

static void show_json(const struct config *config, const char *release,
		      const struct loader_feature *feature, unsigned int n)
{
	struct json_object *top = json_object_new_object(), *list = json_object_new_array();
	struct loader_nic nic;

	put_text(top, "kernel", release);
	for (unsigned int i = 0; i < n; i++)
		json_object_array_add(list, feature_json(&feature[i]));
	json_object_object_add(top, "features", list);
	list = json_object_new_array();
	for (unsigned int i = 0; i < config->n_ifaces; i++)
		if (!loader_nic(config->ifaces[i].name, &nic))
			json_object_array_add(list, nic_json(config->ifaces[i].name, &nic));
	json_object_object_add(top, "interfaces", list);
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY));
	json_object_put(top);
}

/* ------------------------------------------------------------------ text */

static void show_text(const struct config *config, const char *release,
		      const struct loader_feature *feature, unsigned int n)
{
	struct loader_nic nic;

	printf("Linux %s\n\n%-23s %-8s %s\n", release, "feature", "here", "what for");
	for (unsigned int i = 0; i < n; i++) {
		printf("%-23s %-8s %s", feature[i].name, state_text(feature[i].state),
		       feature[i].use);
		printf(feature[i].note[0] ? " (%s)\n" : "\n", feature[i].note);
	}
	if (config->n_ifaces)
		printf("\n%-15s %-9s %-9s %s\n", "interface", "zero-copy", "redirect",
		       "several frames");
	for (unsigned int i = 0; i < config->n_ifaces; i++) {
		if (loader_nic(config->ifaces[i].name, &nic)) {
			printf("%-15s there is no such interface\n", config->ifaces[i].name);
			continue;
		}
		printf("%-15s %-9s %-9s %s\n", config->ifaces[i].name, state_text(nic.zerocopy),
		       state_text(nic.redirect), state_text(nic.fragments));
		if (nic.note[0])
			printf("    note: %s\n", nic.note);
	}
}

int features_show(const struct config *config, bool json)
{
	struct loader_feature feature[LOADER_FEATURES_MAX];
	struct utsname name = {0};
	unsigned int n = 0;
	int err = loader_features(feature, &n);

	if (err) {
		log_error("the kernel's features cannot be tried: %s", strerror(-err));
		return EXIT_FAILED;
	}
	uname(&name);
	if (json)
		show_json(config, name.release, feature, n);
	else
		show_text(config, name.release, feature, n);
	return EXIT_OK;
}
