// SPDX-License-Identifier: BSD-2-Clause
/* From a path to a tree: opens files, follows includes, runs the grammar. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <openssl/crypto.h>
#include "lib/cleanup.h"
#include "lib/config_tree.h"
#include "lib/config_parse.h"
#include "lib/config_scan.h"

#define FILE_MIB_MAX  64
#define FILE_MAX      ((size_t)FILE_MIB_MAX << 20) /* bytes */
#define FLEX_END      2                            /* zero bytes that flex wants behind a buffer */
#define INCLUDES_DEEP 16

/* A whole file in memory, wiped when it goes: it may hold keys. */
struct buffer {
	char *bytes;
	size_t len, size;
};

static void buffer_free(struct buffer *buffer)
{
	if (buffer->bytes)
		OPENSSL_cleanse(buffer->bytes, buffer->size);
	free(buffer->bytes);
}

/* Not realloc(): that would leave the old bytes behind. */
static int buffer_grow(struct buffer *buffer)
{
	size_t size = buffer->size ? buffer->size * 2 : 16384;
	char *bytes = calloc(1, size);

	if (!bytes)
		return -ENOMEM;
	if (buffer->len)
		memcpy(bytes, buffer->bytes, buffer->len);
	buffer_free(buffer);
	buffer->bytes = bytes;
	buffer->size = size;
	return 0;
}

static int buffer_read(struct buffer *buffer, int fd)
{
	for (;;) {
		ssize_t n;
		int err;

		if (buffer->size < buffer->len + FLEX_END + 1) {
			err = buffer_grow(buffer);
			if (err)
				return err;
		}
		n = read(fd, buffer->bytes + buffer->len, buffer->size - buffer->len - FLEX_END);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		buffer->len += n;
		if (buffer->len > FILE_MAX)
			return -EFBIG;
	}
	memset(buffer->bytes + buffer->len, 0, FLEX_END);
	return 0;
}

/* Opens a file and notes it in the tree. An include must be a regular file, so that no pipe or
 * device holds us up; the first file may be a pipe (a generated config). */
static int file_open(struct config_tree *tree, struct config_file *parent, const char *name,
		     struct config_file **out)
{
	_cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC | (parent ? O_NONBLOCK : 0));
	struct config_file *file;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode) && (parent || !S_ISFIFO(st.st_mode)))
		return -EINVAL;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->name = strdup(name);
	if (!file->name) {
		free(file);
		return -ENOMEM;
	}
	file->parent = parent;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->exposed = S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH));
	file->next = tree->files;
	tree->files = file;
	*out = file;
	return take_fd(&fd);
}

static int file_parse(struct config_parse *parse, struct buffer *buffer)
{
	yyscan_t scanner;
	YY_BUFFER_STATE state;
	int result;

	if (config_yylex_init_extra(parse, &scanner))
		return -ENOMEM;
	if (setjmp(parse->no_memory)) {
		config_yylex_destroy(scanner);
		return -ENOMEM;
	}
	state = config_yy_scan_buffer(buffer->bytes, buffer->len + FLEX_END, scanner);
	if (!state) {
		config_yylex_destroy(scanner);
		return -ENOMEM;
	}
	result = config_yyparse(scanner, parse);
	config_yy_delete_buffer(state, scanner);
	config_yylex_destroy(scanner);
	/* a parse that was given up has told why, or had no memory */
	if (result && !parse->diag->errors)
		parse->diag->nomem = true;
	return parse->diag->nomem ? -ENOMEM : 0;
}

static int file_read(struct config_tree *tree, struct config_file *parent, const char *name,
		     struct config_diag *diag, struct config_list *list)
{
	struct config_parse parse = {.tree = tree, .diag = diag, .line = 1, .column = 1};
	struct buffer buffer = {0};
	_cleanup_close_ int fd = file_open(tree, parent, name, &parse.file);
	int err;

	if (fd < 0)
		return fd;
	err = buffer_read(&buffer, fd);
	if (!err)
		err = file_parse(&parse, &buffer);
	config_list_append(list, parse.list);
	buffer_free(&buffer);
	return err;
}

/* 0, or the reason why this file must not be read here. */
static const char *include_refused(const struct config_file *from, const char *name)
{
	unsigned int depth = 0;
	struct stat st;

	if (stat(name, &st))
		return NULL; /* the opening will tell */
	for (; from; from = from->parent, depth++)
		if (from->dev == st.st_dev && from->ino == st.st_ino)
			return "is being read already, the include goes in a circle";
	return depth >= INCLUDES_DEEP ? "stands too many includes deep" : NULL;
}

static void include_one(struct config_parse *from, const struct config_place *place,
			const char *name, struct config_list *list)
{
	const char *refused = include_refused(from->file, name);
	int err;

	if (refused) {
		config_error(from->diag, place, "include: %s %s: expected another file",
			     config_shown(name), refused);
		return;
	}
	err = file_read(from->tree, from->file, name, from->diag, list);
	if (err == -ENOMEM)
		from->diag->nomem = true;
	else if (err == -EFBIG)
		config_error(from->diag, place,
			     "include: %s is larger than %u MiB: expected it in parts",
			     config_shown(name), FILE_MIB_MAX);
	else if (err)
		config_error(
			from->diag, place, "include: cannot read %s (%s): expected a readable file",
			config_shown(name), err == -EINVAL ? "not a regular file" : strerror(-err));
}

static int glob_error(const char *path, int err)
{
	return err != ENOENT && err != ENOTDIR;
}

/* `pattern` as a path: relative ones start at the folder of the including file. Caller frees. */
static char *include_path(const struct config_file *from, const char *pattern)
{
	const char *slash = strrchr(from->name, '/');
	char *path;

	if (pattern[0] == '/' || !slash)
		return strdup(pattern);
	if (asprintf(&path, "%.*s%s", (int)(slash + 1 - from->name), from->name, pattern) < 0)
		return NULL;
	return path;
}

void config_include(struct config_parse *from, const struct config_place *place,
		    const char *pattern, struct config_list *list)
{
	_cleanup_free_ char *path = include_path(from->file, pattern);
	glob_t found = {0};
	int err = path ? glob(path, 0, glob_error, &found) : GLOB_NOSPACE;

	if (err == GLOB_NOSPACE)
		from->diag->nomem = true;
	else if (err == GLOB_ABORTED)
		config_error(from->diag, place,
			     "include: cannot search for %s: expected readable folders",
			     config_shown(pattern));
	else if (err == GLOB_NOMATCH && !strpbrk(pattern, "*?["))
		config_error(from->diag, place, "include: there is no %s: expected a file",
			     config_shown(path));
	else if (err == GLOB_NOMATCH)
		/* not an error: a folder for later additions may be empty */
		config_warn(from->diag, place, "include: nothing matches %s", config_shown(path));
	else
		for (size_t i = 0; i < found.gl_pathc; i++)
			include_one(from, place, found.gl_pathv[i], list);
	globfree(&found);
}

int config_tree_read(struct config_tree *tree, const char *path, struct config_diag *diag)
{
	int err = file_read(tree, NULL, path, diag, &tree->list);

	if (err == -EINVAL && !diag->errors && diag->out)
		fprintf(diag->out, "%s: is neither a regular file nor a pipe\n",
			config_shown(path));
	if (err == -EFBIG && diag->out)
		fprintf(diag->out,
			"%s: is larger than %u MiB: expected it in parts, by `include FILE`\n",
			config_shown(path), FILE_MIB_MAX);
	return err;
}
