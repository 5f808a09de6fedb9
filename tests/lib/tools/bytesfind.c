// SPDX-License-Identifier: BSD-2-Clause
/*
 * Looks for secrets in what is left: bytesfind HEX... -- FILE|DIRECTORY...
 *
 * Each HEX is sought as bytes and as text in hex of either case, in every regular file. Prints
 * where; exit status 0 found, 1 not found anywhere, 2 something could not be read (no good
 * verdict).
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRETS 16

struct secret {
	unsigned char raw[64];
	char lower[129], upper[129];
	size_t len;
};

static struct secret secrets[SECRETS];
static int n_secrets, found, unreadable, files;

static int take_secret(const char *hex)
{
	struct secret *s = &secrets[n_secrets];
	size_t digits = strlen(hex);

	if (n_secrets == SECRETS || digits % 2 || digits < 16 || digits > 128)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		char pair[3] = {hex[i & ~1ul], hex[i | 1], 0};

		if (!isxdigit((unsigned char)hex[i]))
			return -1;
		s->lower[i] = tolower((unsigned char)hex[i]);
		s->upper[i] = toupper((unsigned char)hex[i]);
		s->raw[i / 2] = strtoul(pair, NULL, 16);
	}
	s->len = digits / 2;
	n_secrets++;
	return 0;
}

static void search(const char *path, const void *data, size_t size)
{
	for (int i = 0; i < n_secrets; i++) {
		const struct secret *s = &secrets[i];
		const char *form = memmem(data, size, s->raw, s->len)         ? "bytes"
				   : memmem(data, size, s->lower, s->len * 2) ? "hex"
				   : memmem(data, size, s->upper, s->len * 2) ? "HEX"
									      : NULL;

		if (!form)
			continue;
		printf("secret %d stands in %s as %s\n", i + 1, path, form);
		found = 1;
	}
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	void *data;
	int fd;

	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	files++;
	if (!st->st_size)
		return 0;
	fd = open(path, O_RDONLY);
	data = fd < 0 ? MAP_FAILED : mmap(NULL, st->st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (data == MAP_FAILED) {
		printf("%s: %s\n", path, strerror(errno));
		unreadable = 1;
		return 0;
	}
	search(path, data, st->st_size);
	munmap(data, st->st_size);
	return 0;
}

int main(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--"); i++) {
		if (take_secret(argv[i])) {
			fprintf(stderr, "bytesfind: bad secret\n");
			return 2;
		}
	}
	for (i++; i < argc; i++) {
		if (nftw(argv[i], visit, 16, FTW_PHYS)) {
			printf("%s: %s\n", argv[i], strerror(errno));
			unreadable = 1;
		}
	}
	printf("%d secrets, %d files\n", n_secrets, files);
	return found ? 0 : unreadable || !n_secrets || !files ? 2 : 1;
}
