// SPDX-License-Identifier: Apache-2.0
// libbpf's btf__dedup, for comparison with ours: one command a line on standard input.
//
//   dedup OUT BASE FILE...     all FILEs put together on BASE (or -), deduplicated, raw to OUT
//   time FILE COPIES           as many copies of FILE; nothing is written
//
// Answers: the result as a number, the number of types with void and the base's, and the
// nanoseconds that btf__dedup took.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what, const char *name)
{
	fprintf(stderr, "libbpf-dedup: %s: %s\n", what, name);
	exit(1);
}

static char *word(void)
{
	char *w = strtok(NULL, " \n");

	if (!w)
		die("a word is missing", "command");
	return w;
}

static struct btf *parse(const char *path, struct btf *base)
{
	struct btf *btf = base ? btf__parse_split(path, base) : btf__parse(path, NULL);

	if (!btf)
		die("cannot parse", path);
	return btf;
}

static void append(struct btf *btf, const char *path, struct btf *base)
{
	struct btf *more = parse(path, base);

	if (btf__add_btf(btf, more) < 0)
		die("cannot add", path);
	btf__free(more);
}

static int dedup(struct btf *btf)
{
	long long begin = now();
	int result = btf__dedup(btf, NULL);

	printf("%d %u %lld\n", result, btf__type_cnt(btf), now() - begin);
	return result;
}

static void write_raw(const char *path, struct btf *btf)
{
	__u32 size;
	const void *bytes = btf__raw_data(btf, &size);
	FILE *file = fopen(path, "w");

	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file))
		die("cannot write", path);
}

static void dedup_files(void)
{
	char *out = word(), *base_path = word(), *path = word();
	struct btf *base = strcmp(base_path, "-") ? parse(base_path, NULL) : NULL;
	/* Files can be added to an empty BTF only where there is no base. */
	struct btf *btf = base ? parse(path, base) : btf__new_empty();

	if (!base)
		append(btf, path, NULL);
	while ((path = strtok(NULL, " \n")))
		append(btf, path, base);
	if (dedup(btf) == 0)
		write_raw(out, btf);
	btf__free(btf);
	btf__free(base);
}

static void time_copies(void)
{
	char *path = word();
	int copies = atoi(word());
	struct btf *btf = btf__new_empty();

	for (int i = 0; i < copies; i++)
		append(btf, path, NULL);
	dedup(btf);
	btf__free(btf);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	libbpf_set_print(quiet);
	while (getline(&line, &room, stdin) > 0) {
		char *command = strtok(line, " \n");

		if (!command)
			continue;
		if (!strcmp(command, "dedup"))
			dedup_files();
		else if (!strcmp(command, "time"))
			time_copies();
		else
			die("unknown command", command);
		fflush(stdout);
	}
	return 0;
}
