// SPDX-License-Identifier: BSD-2-Clause
#include <curses.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "lib/log.h"
#include "tools/xipsec/command.h"
#include "tools/xipsec/top.h"

static volatile sig_atomic_t ended;

static void on_signal(int signal)
{
	ended = 1;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Reads anew when it is time, draws at each key. */
static int watch(const struct config *config, double interval)
{
	struct top_data *data = NULL, *fresh;
	struct top_view view = {.sort = TOP_BY_RATE};
	double due = 0;
	int err = 0, key;

	while (!ended) {
		if (!data || (!view.paused && now() >= due)) {
			err = top_data_read(config, data, &fresh);
			if (err)
				break;
			top_data_free(data);
			data = fresh;
			due = now() + interval;
		}
		top_view_draw(&view, data);
		timeout(view.paused || due - now() > 1 ? 1000 : (int)((due - now()) * 1000) + 1);
		key = getch();
		if (key != ERR && !top_view_key(&view, key))
			break;
	}
	top_data_free(data);
	return err;
}

/* Whatever ends it, the terminal is as it was. */
static int with_terminal(const struct config *config, double interval)
{
	struct sigaction action = {.sa_handler = on_signal};
	int err;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	if (!initscr()) {
		log_error("top: this terminal (TERM) cannot be used");
		return -ENOTTY;
	}
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	set_escdelay(25);
	err = watch(config, interval);
	endwin();
	if (err)
		log_error("top: reading what is attached: %s", strerror(-err));
	return err;
}

static int parse(int argc, char **argv, double *interval)
{
	static const struct option options[] = {
		{"interval", required_argument, NULL, 'i'},
		{0},
	};
	int option;
	char *end;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option != 'i')
			return -EINVAL;
		*interval = strtod(optarg, &end);
		if (*end || !(*interval >= 0.1 && *interval <= 3600)) {
			log_error("top: --interval %s: expected seconds, 0.1 to 3600", optarg);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		log_error("top: unexpected: %s", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	_cleanup_config_ struct config *config = NULL;
	double interval = 1;
	const char *term = getenv("TERM");

	if (parse(argc, argv, &interval))
		return EXIT_USAGE;
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO) || !term || !*term) {
		log_error("top: needs a terminal; `xipsec status` and `xipsec metrics` do not");
		return EXIT_FAILED;
	}
	config = config_paths(opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH);
	return config && !with_terminal(config, interval) ? EXIT_OK : EXIT_FAILED;
}

const struct command cmd_top = {
	.name = "top",
	.args = "[--interval SECONDS]",
	.summary = "a live view: SAs with their rates, drops by reason, load of the workers",
	.details =
		"Keys: q quits; s sorts the SAs by packets, bytes, drops or name, r reverses;\n"
		"f filters them by a part of their name or child (Enter keeps it, Escape drops "
		"it);\n"
		"d shows all reasons instead of drops and SAs, and these again; space pauses; "
		"arrows\n"
		"and page keys scroll. 24 lines of 80 columns are enough.\n"
		"\n"
		"Load: the share of a worker's rounds in which there were packets. RX-Q, TX-Q: "
		"how\n"
		"full its fullest queue was at most in the last second, of packets that wait for "
		"it\n"
		"and of those that it has given to the device; a full one drops (rx_full, "
		"tx_full).\n"
		"\n"
		"  --interval SECONDS  between two readings, 1 if not given\n"
		"\n"
		"Exit: 0, 1 no terminal or reading failed, 2 usage.\n",
	.run = run,
};
