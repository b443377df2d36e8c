// SPDX-License-Identifier: Apache-2.0
// What libbpf hands to a kernel that lacks parts of BTF, for comparison with ours.
//
//   libbpf-sanitise FEATURES       those that are lacking, joined by commas, or -
//
// Each line on standard input is `OBJECT OUT`: the object's BTF, as libbpf loads it, goes to
// OUT. Answers with its size, or 0 where libbpf gives up earlier. The kernel is not asked: this
// program's own syscall() stands in the way, and judges BTF as such a kernel would.
#define _GNU_SOURCE
#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *lacking;
static void *largest;
static size_t largest_size;

static bool lacks(const char *feature)
{
	size_t length = strlen(feature);

	for (const char *at = lacking; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, feature, length) && (at[length] == ',' || !at[length]))
			return true;
	}
	return false;
}

/* Words behind each type, once and for each of its elements. */
static const struct {
	int once, each;
} sizes[] = {
	[1] = { 1, 0 }, [3] = { 3, 0 }, [4] = { 0, 3 }, [5] = { 0, 3 }, [6] = { 0, 2 },
	[13] = { 0, 2 }, [14] = { 1, 0 }, [15] = { 0, 3 }, [17] = { 1, 0 }, [19] = { 0, 3 },
};

static bool is_refused(const struct btf_type *t, const char *strings)
{
	int kind = t->info >> 24 & 0x1f;
	bool flag = t->info >> 31;

	switch (kind) {
	case BTF_KIND_FUNC:
		return lacks("func") || ((t->info & 0xffff) && lacks("global-func"));
	case BTF_KIND_FUNC_PROTO:
		return lacks("func");
	case BTF_KIND_VAR:
		return lacks("datasec");
	case BTF_KIND_DATASEC:
		return lacks("datasec") ||
		       (strings[t->name_off] == '?' && lacks("qmark-datasec"));
	case BTF_KIND_FLOAT:
		return lacks("float");
	case BTF_KIND_DECL_TAG:
		return lacks("decl-tag");
	case BTF_KIND_TYPE_TAG:
		return lacks("type-tag");
	case BTF_KIND_ENUM:
		return flag && lacks("enum64");
	case BTF_KIND_ENUM64:
		return lacks("enum64");
	}
	return false;
}

static int load_btf(const void *data, size_t size)
{
	const struct btf_header *header = data;
	const char *strings = (const char *)data + header->hdr_len + header->str_off;
	const __u32 *at = data + header->hdr_len + header->type_off;
	const __u32 *end = (const void *)at + header->type_len;

	while (at < end) {
		const struct btf_type *t = (const void *)at;
		int kind = t->info >> 24 & 0x1f, vlen = t->info & 0xffff;

		if (is_refused(t, strings)) {
			errno = EINVAL;
			return -1;
		}
		at += 3;
		if (kind < (int)(sizeof(sizes) / sizeof(sizes[0])))
			at += sizes[kind].once + sizes[kind].each * vlen;
	}
	if (size > largest_size) {
		largest = realloc(largest, size);
		memcpy(largest, data, size);
		largest_size = size;
	}
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == __NR_bpf) {
		const union bpf_attr *attr = (const void *)a[1];

		if (a[0] == BPF_BTF_LOAD)
			return load_btf((const void *)attr->btf, attr->btf_size);
		if (a[0] == BPF_PROG_LOAD || a[0] == BPF_MAP_CREATE)
			return open("/dev/null", O_RDONLY | O_CLOEXEC);
		errno = EINVAL;
		return -1;
	}
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

int main(int argc, char **argv)
{
	char line[8192];

	if (argc != 2)
		return 1;
	lacking = argv[1];
	libbpf_set_print(quiet);
	while (fgets(line, sizeof(line), stdin)) {
		const char *path = strtok(line, " \n"), *out = strtok(NULL, " \n");
		struct bpf_object *object = bpf_object__open_file(path, NULL);

		largest_size = 0;
		if (object)
			bpf_object__load(object);
		/* Probes load types, too, but smaller ones; then they are from then on known. */
		if (largest_size > 150) {
			FILE *file = fopen(out, "wb");

			if (!file || fwrite(largest, 1, largest_size, file) != largest_size)
				return 1;
			fclose(file);
		} else {
			largest_size = 0;
		}
		printf("%zu\n", largest_size);
		fflush(stdout);
		bpf_object__close(object);
	}
	return 0;
}
