// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <openssl/crypto.h>
#include "lib/cleanup.h"
#include "lib/config_keyfile.h"

#define KEY_TEXT_MAX 256 /* bytes of a key file, white space included */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* NULL, or what is wrong. */
static const char *key_decode(const char *text, __u8 *key, size_t max, __u32 *len)
{
	size_t n;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	n = strlen(text);
	if (n == 0)
		return "is empty";
	for (size_t i = 0; i < n; i++)
		if (digit(text[i]) < 0)
			return "has a letter that is no hex digit";
	if (n % 2)
		return "has an odd number of hex digits";
	if (n / 2 > max)
		return "is longer than that of any algorithm";
	for (size_t i = 0; i < n / 2; i++)
		key[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
	*len = n / 2;
	return NULL;
}

static bool keyfile_private(struct config_diag *diag, const struct config_node *node, int fd,
			    const char *path)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		config_error(diag, &node->value_place,
			     "key file %s is not a regular file: expected a file with hex digits",
			     config_shown(path));
		return false;
	}
	if (st.st_mode & (S_IRWXG | S_IRWXO)) {
		config_error(diag, &node->value_place,
			     "key file %s has mode %04o, so others than its owner can use it: "
			     "expected 0600 (and a new key, if it was ever so)",
			     config_shown(path), (unsigned int)st.st_mode & 07777);
		return false;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		config_error(diag, &node->value_place,
			     "key file %s belongs to uid %u: expected root or this user",
			     config_shown(path), (unsigned int)st.st_uid);
		return false;
	}
	return true;
}

static bool keyfile_read(struct config_diag *diag, const struct config_node *node, const char *path,
			 char text[KEY_TEXT_MAX + 1])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n;

	if (fd < 0) {
		config_error(diag, &node->value_place,
			     "cannot open key file %s (%s): expected a file with hex digits",
			     config_shown(path), strerror(errno));
		return false;
	}
	if (!keyfile_private(diag, node, fd, path))
		return false;
	n = read(fd, text, KEY_TEXT_MAX + 1);
	if (n < 0 || n > KEY_TEXT_MAX) {
		config_error(diag, &node->value_place,
			     "key file %s %s: expected one line of hex digits", config_shown(path),
			     n < 0 ? "cannot be read" : "is too long");
		return false;
	}
	while (n && isspace((unsigned char)text[n - 1]))
		n--;
	text[n] = 0;
	return true;
}

/* A relative path starts at the folder of the file that names it. Caller frees. */
static char *keyfile_path(const struct config_node *node, const char *path)
{
	const char *from = node->place.file->name, *slash = strrchr(from, '/');
	char *full;

	if (path[0] == '/' || !slash)
		return strdup(path);
	return asprintf(&full, "%.*s%s", (int)(slash + 1 - from), from, path) < 0 ? NULL : full;
}

static bool tell_bad(struct config_diag *diag, const struct config_node *node, const char *wrong)
{
	if (wrong)
		config_error(diag, &node->value_place,
			     "the key %s: expected hex digits, or file:PATH of a file with them",
			     wrong);
	return !wrong;
}

static bool key_from_file(struct config_diag *diag, const struct config_node *node, __u8 *key,
			  size_t max, __u32 *len)
{
	_cleanup_free_ char *path = keyfile_path(node, node->value + strlen("file:"));
	char text[KEY_TEXT_MAX + 1] = "";
	bool ok;

	if (!path) {
		diag->nomem = true;
		return false;
	}
	ok = keyfile_read(diag, node, path, text) &&
	     tell_bad(diag, node, key_decode(text, key, max, len));
	OPENSSL_cleanse(text, sizeof(text));
	return ok;
}

bool parse_key(struct config_diag *diag, const struct config_node *node, __u8 *key, size_t max,
	       __u32 *len)
{
	struct config_file *file = node->place.file;

	if (strncmp(node->value, "file:", 5) == 0)
		return key_from_file(diag, node, key, max, len);
	if (file->exposed && !file->told) {
		config_error(diag, &node->value_place,
			     "a key stands in a file that its group or others can read: expected "
			     "mode 0600 (and a new key), or file:PATH");
		file->told = true;
	}
	return tell_bad(diag, node, key_decode(node->value, key, max, len));
}
