// SPDX-License-Identifier: Apache-2.0
// libbpf's dumps of BTF, for comparison with ours: one command a line on standard input.
//
//   time FILE                      C of all types in the order of ids into memory;
//                                  answer: nanoseconds and bytes
//   declare FILE ID NAME INDENT STRIP
//                                  btf_dump__emit_type_decl; NAME may be -
//   define FILE ID                 btf_dump__dump_type
//   data FILE ID FLAGS INDENT HEX  btf_dump__dump_type_data; FLAGS are some of c (compact),
//                                  n (skip names), z (emit zeroes), s (emit strings), x
//                                  (indent by two spaces), or -
//
// Answers to the last three: the result as a number, a space, the text in hex, a newline.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct text {
	char *bytes;
	size_t length, room;
};

static struct text text;

static void collect(void *ctx, const char *format, va_list args)
{
	struct text *t = ctx;
	va_list again;
	int need;

	va_copy(again, args);
	need = vsnprintf(t->bytes + t->length, t->room - t->length, format, args);
	if (t->length + need >= t->room) {
		t->room = 2 * (t->room + need);
		t->bytes = realloc(t->bytes, t->room);
		vsnprintf(t->bytes + t->length, t->room - t->length, format, again);
	}
	va_end(again);
	t->length += need;
}

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
	fprintf(stderr, "libbpf-btf-dump: %s: %s\n", what, name);
	exit(1);
}

/* The last file stays parsed: many questions are about the same one. */
static struct btf *parse(const char *path)
{
	static char *last;
	static struct btf *btf;

	if (last && !strcmp(last, path))
		return btf;
	btf__free(btf);
	free(last);
	last = strdup(path);
	btf = btf__parse(path, NULL);
	if (!btf)
		die("cannot parse", path);
	return btf;
}

static struct btf_dump *start(struct btf *btf)
{
	struct btf_dump *dump = btf_dump__new(btf, collect, &text, NULL);

	if (!dump)
		die("cannot dump", "BTF");
	text.length = 0;
	return dump;
}

static void answer(int result)
{
	printf("%d ", result);
	for (size_t i = 0; i < text.length; i++)
		printf("%02x", (unsigned char)text.bytes[i]);
	printf("\n");
}

static char *word(void)
{
	char *w = strtok(NULL, " \n");

	if (!w)
		die("a word is missing", "command");
	return w;
}

static void time_all(void)
{
	struct btf *btf = parse(word());
	long long begin = now(), end;
	struct btf_dump *dump = start(btf);
	int count = btf__type_cnt(btf);

	for (int id = 1; id < count; id++)
		if (btf_dump__dump_type(dump, id))
			die("cannot dump", "type");
	btf_dump__free(dump);
	end = now();
	printf("%lld %zu\n", end - begin, text.length);
}

static void declare(void)
{
	DECLARE_LIBBPF_OPTS(btf_dump_emit_type_decl_opts, opts);
	struct btf_dump *dump = start(parse(word()));
	int id = atoi(word());
	char *name = word();

	opts.field_name = strcmp(name, "-") ? name : "";
	opts.indent_level = atoi(word());
	opts.strip_mods = atoi(word());
	answer(btf_dump__emit_type_decl(dump, id, &opts));
	btf_dump__free(dump);
}

static void define(void)
{
	struct btf_dump *dump = start(parse(word()));

	answer(btf_dump__dump_type(dump, atoi(word())));
	btf_dump__free(dump);
}

static void data(void)
{
	DECLARE_LIBBPF_OPTS(btf_dump_type_data_opts, opts);
	struct btf_dump *dump = start(parse(word()));
	int id = atoi(word());
	char *flags = word(), *hex;
	unsigned char *bytes;
	size_t size;

	opts.compact = strchr(flags, 'c');
	opts.skip_names = strchr(flags, 'n');
	opts.emit_zeroes = strchr(flags, 'z');
	opts.emit_strings = strchr(flags, 's');
	opts.indent_str = strchr(flags, 'x') ? "  " : NULL;
	opts.indent_level = atoi(word());
	hex = word();
	size = strcmp(hex, "-") ? strlen(hex) / 2 : 0;
	/* libbpf looks for zeros past the end, too. */
	bytes = calloc(1, size + (1 << 24));
	for (size_t i = 0; i < size; i++)
		sscanf(hex + 2 * i, "%2hhx", &bytes[i]);
	answer(btf_dump__dump_type_data(dump, id, bytes, size, &opts));
	free(bytes);
	btf_dump__free(dump);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	libbpf_set_print(quiet);
	text.room = 1 << 23;
	text.bytes = malloc(text.room);
	while (getline(&line, &room, stdin) > 0) {
		char *command = strtok(line, " \n");

		if (!command)
			continue;
		if (!strcmp(command, "time"))
			time_all();
		else if (!strcmp(command, "declare"))
			declare();
		else if (!strcmp(command, "define"))
			define();
		else if (!strcmp(command, "data"))
			data();
		else
			die("unknown command", command);
		fflush(stdout);
	}
	return 0;
}
