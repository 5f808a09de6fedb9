/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A config file as text says it: sections, keys and values, each with its place, none understood
 * yet. The grammar (config_scan.l, config_parse.y) makes it, config_key.h walks it.
 *
 * Values may be keys of SAs: every text of the tree is wiped before it is freed, and no message
 * prints a text but through config_shown().
 */
#ifndef LIB_CONFIG_TREE_H
#define LIB_CONFIG_TREE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* One file that was read; lives as long as the tree. */
struct config_file {
	struct config_file *next;
	struct config_file *parent; /* the one that includes it, NULL: the first */
	char *name;
	dev_t dev;
	ino_t ino;
	bool exposed; /* its group or others may read it */
	bool told;    /* and the user has been told */
};

struct config_place {
	struct config_file *file;
	unsigned int line, column; /* from 1 */
};

enum config_kind {
	CONFIG_VALUE,
	CONFIG_SECTION,
	CONFIG_BLOBS,  /* of a client's message: unnamed values in `first`, bytes as they are */
	CONFIG_DAMAGE, /* a statement that could not be parsed stood here; reported already */
};

struct config_node {
	struct config_node *next;
	struct config_node *first; /* of a section */
	enum config_kind kind;
	char *name;
	char *value; /* of a value, may be empty */
	size_t len;  /* bytes of `value`, without its final 0; a blob may hold others */
	bool refers; /* section written `name : other { ... }` */
	struct config_place place;
	struct config_place value_place;
};

struct config_list {
	struct config_node *first, *last;
};

struct config_tree {
	struct config_file *files;
	struct config_list list;
};

/* Where errors go, and how many there were. */
struct config_diag {
	FILE *out;      /* NULL: nobody wants to read them */
	FILE *warnings; /* the same for what is no error */
	unsigned int errors;
	bool nomem;
};

/* Writes "file:line:column: text". The text is "what is wrong: what was expected". */
void config_error(struct config_diag *diag, const struct config_place *place, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for what is good but hardly meant so: it counts no error. */
void config_warn(struct config_diag *diag, const struct config_place *place, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* `text` for a message: itself, unless it is long enough to hide a key. */
const char *config_shown(const char *text);

/* Texts end with 0, are made by malloc() and wiped when they go. NULL: no memory. */
char *config_text(const char *bytes, size_t len);
/* The text of a quoted string, quotes and escapes taken away. */
char *config_text_quoted(const char *bytes, size_t len);
/* "left right"; wipes and frees both. */
char *config_text_join(char *left, char *right);
void config_text_free(char *text);

/* Takes name and value, also on failure (NULL: no memory). */
struct config_node *config_node_new(enum config_kind kind, char *name, char *value,
				    const struct config_place *place);
void config_list_append(struct config_list *list, struct config_list more);
void config_list_free(struct config_list *list);

/* Reads `path` and what it includes into *tree. 0, also when there were errors in `diag`; -errno if
 * the file itself cannot be read. The caller calls config_tree_free() in every case. */
int config_tree_read(struct config_tree *tree, const char *path, struct config_diag *diag);
void config_tree_free(struct config_tree *tree);

/* ------------------------------------------------------------------ between grammar and reader */

#define CONFIG_DEPTH_MAX 64

struct config_parse {
	struct config_tree *tree;
	struct config_file *file;
	struct config_diag *diag;
	struct config_list list;             /* what this file says */
	unsigned int line, column;           /* the scanner's place */
	unsigned int open[CONFIG_DEPTH_MAX]; /* lines of the sections that are open */
	unsigned int depth;
	jmp_buf no_memory; /* where the scanner goes, which would end the process otherwise */
	bool cut_off;      /* the file ended inside a section */
};

/* Reads the files that match `pattern` and appends what they say to *list. */
void config_include(struct config_parse *from, const struct config_place *place,
		    const char *pattern, struct config_list *list);

#endif
