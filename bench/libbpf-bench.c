// SPDX-License-Identifier: Apache-2.0
// The peer of our benchmarks: libbpf doing one thing at a time, on command, timed inside.
// Commands come as lines on standard input, each is answered by a line with nanoseconds:
//
//   open FILE...          bpf_object__open_mem of every file, together
//   btf FILE              btf__new of a raw BTF file
//   lookup FILE N         find_by_name_kind for N of the named types, spread evenly; the BTF
//                         is parsed before the clock starts
//
// Files are read before the clock starts, results are freed after it stops.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_FILES 512

struct file {
	char *path;
	void *data;
	size_t size;
};

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what, const char *name)
{
	fprintf(stderr, "libbpf-bench: %s: %s\n", what, name);
	exit(1);
}

/* Files stay in memory: the same one is asked for many times. */
static struct file *read_file(const char *path)
{
	static struct file cache[MAX_FILES];
	static int count;
	struct file *file;
	size_t room = 1 << 16;
	FILE *stream;

	for (int i = 0; i < count; i++)
		if (!strcmp(cache[i].path, path))
			return &cache[i];
	if (count == MAX_FILES)
		die("too many files", path);
	stream = fopen(path, "rb");
	if (!stream)
		die("cannot open", path);
	file = &cache[count++];
	file->path = strdup(path);
	file->data = malloc(room);
	for (;;) {
		file->size += fread((char *)file->data + file->size, 1, room - file->size, stream);
		if (file->size < room)
			break;
		room *= 2;
		file->data = realloc(file->data, room);
	}
	fclose(stream);
	return file;
}

static long long time_open(void)
{
	struct bpf_object *objects[MAX_FILES];
	struct file *files[MAX_FILES];
	int count = 0;
	long long start, end;

	for (char *path; count < MAX_FILES && (path = strtok(NULL, " \n"));)
		files[count++] = read_file(path);
	start = now();
	for (int i = 0; i < count; i++)
		objects[i] = bpf_object__open_mem(files[i]->data, files[i]->size, NULL);
	end = now();
	for (int i = 0; i < count; i++) {
		if (!objects[i])
			die("cannot open object", files[i]->path);
		bpf_object__close(objects[i]);
	}
	return end - start;
}

static struct btf *parse(const char *path, long long *elapsed)
{
	struct file *file = read_file(path);
	long long start = now();
	struct btf *btf = btf__new(file->data, file->size);

	*elapsed = now() - start;
	if (!btf)
		die("cannot parse BTF", path);
	return btf;
}

static long long time_btf(void)
{
	long long elapsed;

	btf__free(parse(strtok(NULL, " \n"), &elapsed));
	return elapsed;
}

static bool named(const struct btf *btf, unsigned int id)
{
	return btf__type_by_id(btf, id)->name_off != 0;
}

/* Every nth type that has a name: its name and its kind. */
static long long time_lookup(void)
{
	long long start, end, unused;
	struct btf *btf = parse(strtok(NULL, " \n"), &unused);
	unsigned int types = btf__type_cnt(btf), seen = 0, step;
	int wanted = atoi(strtok(NULL, " \n")), count = 0;
	const char **names = calloc(wanted, sizeof(*names));
	int *kinds = calloc(wanted, sizeof(*kinds));

	for (unsigned int id = 1; id < types; id++)
		seen += named(btf, id);
	step = seen / wanted ? seen / wanted : 1;
	seen = 0;
	for (unsigned int id = 1; id < types && count < wanted; id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);

		if (!named(btf, id) || seen++ % step != 0)
			continue;
		names[count] = btf__name_by_offset(btf, type->name_off);
		kinds[count++] = btf_kind(type);
	}
	start = now();
	for (int i = 0; i < count; i++)
		btf__find_by_name_kind(btf, names[i], kinds[i]);
	end = now();
	free(names);
	free(kinds);
	btf__free(btf);
	return end - start;
}

static long long time_dedup(void)
{
	long long start, end, unused;
	struct btf *copy = parse(strtok(NULL, " \n"), &unused);
	struct btf *btf = btf__new_empty();
	int copies = atoi(strtok(NULL, " \n"));

	for (int i = 0; i < copies; i++)
		if (btf__add_btf(btf, copy) < 0)
			die("cannot add BTF", "");
	start = now();
	if (btf__dedup(btf, NULL))
		die("cannot dedup BTF", "");
	end = now();
	btf__free(btf);
	btf__free(copy);
	return end - start;
}

/* Where a dump goes: as much memory as it needs, which is counted in the time, as ours is. */
struct text {
	char *start;
	size_t length, room;
};

static void print_text(void *context, const char *format, va_list arguments)
{
	struct text *text = context;

	for (;;) {
		va_list again;
		size_t left = text->room - text->length;
		int length;

		va_copy(again, arguments);
		length = vsnprintf(text->start + text->length, left, format, again);
		va_end(again);
		if ((size_t)length < left) {
			text->length += length;
			return;
		}
		text->room *= 2;
		text->start = realloc(text->start, text->room);
	}
}

static long long time_c_dump(void)
{
	long long start, unused;
	struct btf *btf = parse(strtok(NULL, " \n"), &unused);
	struct text text = { .room = 1 << 16 };
	unsigned int types = btf__type_cnt(btf);
	struct btf_dump *dump;

	start = now();
	text.start = malloc(text.room);
	dump = btf_dump__new(btf, print_text, &text, NULL);
	for (unsigned int id = 1; id < types; id++)
		if (btf_dump__dump_type(dump, id))
			die("cannot dump type", "");
	start = now() - start;
	btf_dump__free(dump);
	btf__free(btf);
	free(text.start);
	return start;
}

static int silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return 0;
}

int main(void)
{
	static char line[1 << 16];

	libbpf_set_print(silent);
	while (fgets(line, sizeof(line), stdin)) {
		const char *command = strtok(line, " \n");

		if (command && !strcmp(command, "open"))
			printf("%lld\n", time_open());
		else if (command && !strcmp(command, "btf"))
			printf("%lld\n", time_btf());
		else if (command && !strcmp(command, "lookup"))
			printf("%lld\n", time_lookup());
		else if (command && !strcmp(command, "dedup"))
			printf("%lld\n", time_dedup());
		else if (command && !strcmp(command, "cdump"))
			printf("%lld\n", time_c_dump());
		else
			die("unknown command", command ? command : "");
		fflush(stdout);
	}
	return 0;
}
