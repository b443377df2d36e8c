// SPDX-License-Identifier: Apache-2.0
// libbpf's tools for BTF, for comparison with ours: one command a line on standard input.
//
//   distill SPLIT BASE OUT_BASE OUT_SPLIT    btf__distill_base
//   relocate SPLIT DISTILLED BASE OUT        btf__relocate
//   permute FILE IDS OUT OUT_EXT             btf__permute, IDS a file of 32-bit words
//   find FILE NAME KIND                      btf__find_by_name_kind
//
// Answers: the result as a number.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static void die(const char *what, const char *name)
{
	fprintf(stderr, "libbpf-btf-tools: %s: %s\n", what, name);
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

static void write_bytes(const void *data, size_t size, const char *path)
{
	FILE *file = fopen(path, "wb");

	if (!file || !data || fwrite(data, 1, size, file) != size || fclose(file))
		die("cannot write", path);
}

static void write_btf(const struct btf *btf, const char *path)
{
	__u32 size;
	const void *data = btf__raw_data(btf, &size);

	write_bytes(data, size, path);
}

static int distill(void)
{
	const char *split_path = word(), *base_path = word();
	const char *base_out = word(), *split_out = word();
	struct btf *base = parse(base_path, NULL), *split = parse(split_path, base);
	struct btf *new_base = NULL, *new_split = NULL;
	int result = btf__distill_base(split, &new_base, &new_split);

	if (!result) {
		write_btf(new_base, base_out);
		write_btf(new_split, split_out);
		btf__free(new_split);
		btf__free(new_base);
	}
	btf__free(split);
	btf__free(base);
	return result;
}

static int relocate(void)
{
	const char *split_path = word(), *distilled_path = word();
	const char *base_path = word(), *out = word();
	struct btf *distilled = parse(distilled_path, NULL), *base = parse(base_path, NULL);
	struct btf *split = parse(split_path, distilled);
	int result = btf__relocate(split, base);

	if (!result)
		write_btf(split, out);
	btf__free(split);
	btf__free(base);
	btf__free(distilled);
	return result;
}

static __u32 *read_ids(const char *path, size_t *count)
{
	FILE *file = fopen(path, "rb");
	__u32 *ids;
	long size;

	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0)
		die("cannot read", path);
	rewind(file);
	ids = malloc(size + 1);
	*count = fread(ids, sizeof(*ids), size / sizeof(*ids), file);
	fclose(file);
	return ids;
}

static int permute(void)
{
	const char *path = word(), *ids_path = word(), *out = word(), *ext_out = word();
	struct btf_ext *ext = NULL;
	struct btf *btf = btf__parse(path, &ext);
	LIBBPF_OPTS(btf_permute_opts, opts, .btf_ext = ext);
	size_t count;
	__u32 *ids = read_ids(ids_path, &count), size;
	int result;

	if (!btf)
		die("cannot parse", path);
	result = btf__permute(btf, ids, count, &opts);
	if (!result) {
		write_btf(btf, out);
		if (ext) {
			const void *data = btf_ext__raw_data(ext, &size);

			write_bytes(data, size, ext_out);
		}
	}
	free(ids);
	btf_ext__free(ext);
	btf__free(btf);
	return result;
}

/* Many lookups in one file follow each other. */
static int find(void)
{
	static char *known;
	static struct btf *btf;
	const char *path = word(), *name = word();

	if (!known || strcmp(known, path)) {
		free(known);
		btf__free(btf);
		known = strdup(path);
		btf = parse(path, NULL);
	}
	return btf__find_by_name_kind(btf, name, atoi(word()));
}

int main(void)
{
	char line[8192];

	libbpf_set_print(quiet);
	while (fgets(line, sizeof(line), stdin)) {
		const char *command = strtok(line, " \n");

		if (!strcmp(command, "distill"))
			printf("%d\n", distill());
		else if (!strcmp(command, "relocate"))
			printf("%d\n", relocate());
		else if (!strcmp(command, "permute"))
			printf("%d\n", permute());
		else if (!strcmp(command, "find"))
			printf("%d\n", find());
		else
			die("no command", command);
		fflush(stdout);
	}
	return 0;
}
