// SPDX-License-Identifier: BSD-2-Clause
#include <curses.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "lib/reason.h"
#include "tools/xipsec/top.h"

#define WORKERS_SHOWN 4
#define REASONS_SHOWN 6
#define KEY_ESCAPE    27

/* ------------------------------------------------------------------ words */

/* "1.23M", at most 6 characters. */
static const char *short_text(char text[16], double value)
{
	static const char units[] = " kMGT";
	unsigned int unit = 0;

	while (value >= 1000 && unit < sizeof(units) - 2) {
		value /= 1000;
		unit++;
	}
	snprintf(text, 16, unit ? (value < 10 ? "%.2f%c" : "%.1f%c") : "%.0f%c", value,
		 units[unit]);
	return text;
}

static const char *status_text(__u32 status)
{
	return status == XIPSEC_SA_LIVE      ? "live"
	       : status == XIPSEC_SA_STOPPED ? "stopped"
	       : status == XIPSEC_SA_REFUSED ? "refused"
					     : "free";
}

static const char *sort_text(enum top_sort sort)
{
	static const char *const names[TOP_SORTS] = {"packets", "bytes", "drops", "name"};

	return names[sort];
}

/* ------------------------------------------------------------------ order */

static const struct top_view *sorting; /* qsort() hands nothing through */

static int compare(double a, double b)
{
	return a > b ? -1 : a < b;
}

static int sa_compare(const void *left, const void *right)
{
	const struct top_sa *a = left, *b = right;
	int order = 0;

	if (sorting->sort == TOP_BY_RATE)
		order = compare(a->packets_rate, b->packets_rate);
	else if (sorting->sort == TOP_BY_BYTES)
		order = compare(a->bytes_rate, b->bytes_rate);
	else if (sorting->sort == TOP_BY_DROPS)
		order = compare(a->drops_rate, b->drops_rate);
	if (!order)
		order = strcmp(a->name, b->name);
	return sorting->reverse ? -order : order;
}

void top_view_sort(const struct top_view *view, struct top_data *data)
{
	sorting = view;
	qsort(data->sa, data->n_sas, sizeof(*data->sa), sa_compare);
}

static int reason_compare(const void *left, const void *right)
{
	const struct top_reason *a = left, *b = right;
	int order = compare(a->rate, b->rate);

	if (!order)
		order = compare((double)a->packets, (double)b->packets);
	return order ? order : (int)a->reason - (int)b->reason;
}

/* ------------------------------------------------------------------ the page */

/* Never wraps, and leaves the last cell of the page alone: writing there scrolls terminals. */
static __attribute__((format(printf, 2, 3))) void line(int y, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	mvaddnstr(y, 0, text, y == LINES - 1 ? COLS - 1 : COLS);
}

static void title(int y, const char *text)
{
	attron(A_REVERSE);
	line(y, "%-*s", COLS, text);
	attroff(A_REVERSE);
}

static const char *share_text(char text[16], double share)
{
	snprintf(text, 16, share < 0 ? "-" : "%.0f%%", share * 100);
	return text;
}

static int draw_head(const struct top_view *view, const struct top_data *data)
{
	time_t now = time(NULL);
	char clock[16], text[64];
	struct tm tm;
	int x = 0;

	localtime_r(&now, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	line(0, "xipsec %s%s  %s, SPD %u, %u rules  xipsecd %s  %zu SAs", clock,
	     view->paused ? " PAUSED" : "", data->attached ? data->generation : "not attached",
	     data->spd_generation, data->n_rules, data->daemon ? "up" : "DOWN", data->n_sas);
	for (unsigned int i = 0; i < data->status->n_ifaces; i++) {
		const struct loader_iface *iface = &data->status->iface[i];

		if (!iface->role)
			continue;
		snprintf(text, sizeof(text), "%s %s %uq%s  ", iface->name,
			 iface->role == XIPSEC_ROLE_PROTECTED ? "red" : "black", iface->queues,
			 iface->fault[0] ? " FAULT" : "");
		if (x + (int)strlen(text) > COLS)
			break;
		mvaddstr(1, x, text);
		x += (int)strlen(text);
	}
	return 2;
}

static int draw_workers(int y, const struct top_data *data)
{
	char rx[16], tx[16], load[16], rx_fill[16], tx_fill[16], head[128];
	unsigned int n = data->n_workers < WORKERS_SHOWN ? data->n_workers : WORKERS_SHOWN;

	snprintf(load, sizeof(load), data->cache < 0 ? "-" : "%.1f%%", data->cache * 100);
	snprintf(head, sizeof(head),
		 "WORKER      PID  STARTS   LOAD    RX/s    TX/s  RX-Q  TX-Q %14s %s", "FLOW CACHE",
		 load);
	title(y++, head);
	for (unsigned int i = 0; i < n; i++) {
		const struct top_worker *worker = &data->worker[i];

		line(y++, "%6u %8u %7u %6s %7s %7s %5s %5s", worker->number, worker->pid,
		     worker->starts, share_text(load, worker->load),
		     short_text(rx, worker->rx_rate), short_text(tx, worker->tx_rate),
		     share_text(rx_fill, worker->rx_fill), share_text(tx_fill, worker->tx_fill));
	}
	if (n < data->n_workers)
		mvprintw(y - 1, 60, "and %u more", data->n_workers - n);
	return y;
}

static bool is_shown(const struct top_view *view, const struct top_reason *reason)
{
	return reason->packets &&
	       (view->all_reasons || reason_kind(reason->reason) == XIPSEC_KIND_DROP);
}

/* The drops that grow most; or all that is counted, to the end of the page and scrolled. */
static int draw_reasons(int y, struct top_view *view, const struct top_data *data)
{
	struct top_reason order[XIPSEC_REASON_COUNT];
	int room = view->all_reasons ? LINES - 2 - y : REASONS_SHOWN;
	unsigned int n = 0, first = 0, shown = 0;
	char rate[16], head[128], place[64] = "";

	for (unsigned int i = 0; i < XIPSEC_REASON_COUNT; i++) {
		if (is_shown(view, &data->reason[i]))
			order[n++] = data->reason[i];
	}
	qsort(order, n, sizeof(order[0]), reason_compare);
	if (room < 1)
		room = 1;
	if (view->all_reasons) {
		if (view->first + (unsigned int)room > n)
			view->first = n > (unsigned int)room ? n - (unsigned int)room : 0;
		first = view->first;
	}
	shown = n - first < (unsigned int)room ? n - first : (unsigned int)room;
	if (n > shown)
		snprintf(place, sizeof(place), "%u to %u of %u", first + 1, first + shown, n);
	snprintf(head, sizeof(head), "%-18s  PACKETS/s       TOTAL  %s%s",
		 view->all_reasons ? "REASON" : "DROP",
		 view->all_reasons ? "all that is counted  " : "", place);
	title(y++, head);
	for (unsigned int i = first; i < first + shown; i++)
		line(y++, "%-18s %10s %11llu  %s", reason_name(order[i].reason),
		     short_text(rate, order[i].rate), (unsigned long long)order[i].packets,
		     reason_text(order[i].reason));
	if (!shown)
		mvprintw(y++, 0, "nothing");
	return y;
}

static bool passes_filter(const struct top_view *view, const struct top_sa *sa)
{
	return !view->filter[0] || strstr(sa->name, view->filter) ||
	       strstr(sa->child, view->filter);
}

static void draw_sa(int y, const struct top_sa *sa)
{
	char packets[16], bits[16], drops[16];

	line(y, "%-20.20s %-16.16s %-3s %-8s %8s %8s %8s", sa->name, sa->child,
	     sa->dir == XIPSEC_DIR_OUT ? "out" : "in", status_text(sa->status),
	     short_text(packets, sa->packets_rate), short_text(bits, sa->bytes_rate * 8),
	     short_text(drops, sa->drops_rate));
}

static void draw_sas(int y, struct top_view *view, struct top_data *data)
{
	unsigned int matching = 0, place = 0;
	int last = LINES - 2;

	for (size_t i = 0; i < data->n_sas; i++)
		matching += passes_filter(view, &data->sa[i]);
	if (view->first >= matching)
		view->first = matching ? matching - 1 : 0;
	title(y++, "SA                   CHILD            DIR STATUS      PPS    BIT/s  DROPS/s");
	for (size_t i = 0; i < data->n_sas && y <= last; i++) {
		if (!passes_filter(view, &data->sa[i]) || place++ < view->first)
			continue;
		draw_sa(y++, &data->sa[i]);
	}
	if (!data->daemon)
		mvprintw(y, 0, "xipsecd does not run: it knows the SAs");
	else if (!matching)
		mvprintw(y, 0, data->n_sas ? "none matches" : "none");
}

static void draw_foot(const struct top_view *view)
{
	if (view->typing)
		line(LINES - 1, "filter: %s_", view->filter);
	else
		line(LINES - 1, "q quit  s sort: %s%s  r reverse  d %s  space pause  f filter: %s",
		     sort_text(view->sort), view->reverse ? " (rev)" : "",
		     view->all_reasons ? "SAs" : "reasons", view->filter[0] ? view->filter : "-");
}

void top_view_draw(struct top_view *view, struct top_data *data)
{
	int y;

	top_view_sort(view, data);
	erase();
	y = draw_head(view, data);
	y = draw_workers(y, data);
	y = draw_reasons(y, view, data);
	if (!view->all_reasons)
		draw_sas(y, view, data);
	draw_foot(view);
	refresh();
}

/* ------------------------------------------------------------------ keys */

static void type_key(struct top_view *view, int key)
{
	size_t len = strlen(view->filter);

	if (key == '\n' || key == KEY_ENTER || key == '\r')
		view->typing = false;
	else if (key == KEY_ESCAPE) {
		view->typing = false;
		view->filter[0] = 0;
	} else if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && len)
		view->filter[len - 1] = 0;
	else if (key > ' ' && key < 127 && len + 1 < sizeof(view->filter)) {
		view->filter[len] = (char)key;
		view->filter[len + 1] = 0;
	}
	view->first = 0;
}

bool top_view_key(struct top_view *view, int key)
{
	if (view->typing) {
		type_key(view, key);
		return true;
	}
	switch (key) {
	case 'q': return false;
	case 's': view->sort = (view->sort + 1) % TOP_SORTS; break;
	case 'r': view->reverse = !view->reverse; break;
	case 'd':
		view->all_reasons = !view->all_reasons;
		view->first = 0;
		break;
	case ' ': view->paused = !view->paused; break;
	case 'f':
	case '/': view->typing = true; break;
	case KEY_ESCAPE: view->filter[0] = 0; break;
	case KEY_DOWN: view->first++; break;
	case KEY_UP: view->first -= view->first > 0; break;
	case KEY_NPAGE: view->first += 5; break;
	case KEY_PPAGE: view->first -= view->first < 5 ? view->first : 5; break;
	default: break;
	}
	return true;
}
