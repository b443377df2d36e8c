/*
 * Prints what libbpf makes of an object, as JSON, for comparison with ours:
 *
 *   libbpf-dump OBJECT [BTF]
 *
 * Maps are printed as they are after opening; programs after loading. Where the kernel does
 * not take the programs, the object is opened anew and only prepared: instructions are final
 * then, too. Sections and programs whose type libbpf does not know are printed with type 0.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char log_text[1 << 16];
static size_t log_length;

static int keep_log(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[4096];
	int length = vsnprintf(line, sizeof(line), format, args);

	if (level != LIBBPF_WARN || length <= 0)
		return 0;
	if ((size_t)length >= sizeof(line))
		length = sizeof(line) - 1;
	if (log_length + length < sizeof(log_text)) {
		memcpy(log_text + log_length, line, length);
		log_length += length;
	}
	return 0;
}

static void print_string(const char *text)
{
	const unsigned char *at = (const unsigned char *)(text ? text : "");

	putchar('"');
	for (; *at; at++) {
		if (*at == '"' || *at == '\\')
			printf("\\%c", *at);
		else if (*at < 0x20 || *at >= 0x7f)
			printf("\\u%04x", *at);
		else
			putchar(*at);
	}
	putchar('"');
}

static void print_bytes(const void *bytes, size_t size)
{
	const unsigned char *at = bytes;

	putchar('"');
	for (size_t i = 0; i < size; i++)
		printf("%02x", at[i]);
	putchar('"');
}

static void print_map_attributes(struct bpf_map *map, bool inner)
{
	size_t size = 0;
	void *value = inner ? NULL : bpf_map__initial_value(map, &size);

	printf("\"name\":");
	print_string(bpf_map__name(map));
	printf(",\"type\":%u,\"keySize\":%u,\"valueSize\":%u,\"maxEntries\":%u,\"flags\":%u",
	       bpf_map__type(map), bpf_map__key_size(map), bpf_map__value_size(map),
	       bpf_map__max_entries(map), bpf_map__map_flags(map));
	printf(",\"numaNode\":%u,\"extra\":\"%llu\",\"keyType\":%u,\"valueType\":%u",
	       bpf_map__numa_node(map), (unsigned long long)bpf_map__map_extra(map),
	       bpf_map__btf_key_type_id(map), bpf_map__btf_value_type_id(map));
	printf(",\"internal\":%s,\"pinned\":%s,\"contents\":", bpf_map__is_internal(map) ? "true" : "false",
	       bpf_map__pin_path(map) ? "true" : "false");
	if (value)
		print_bytes(value, size);
	else
		printf("null");
}

static void print_maps(struct bpf_object *object)
{
	struct bpf_map *map;
	const char *comma = "";

	printf("\"maps\":[");
	bpf_object__for_each_map(map, object) {
		struct bpf_map *inner = bpf_map__inner_map(map);

		printf("%s\n{", comma);
		print_map_attributes(map, false);
		printf(",\"inner\":");
		if (inner) {
			putchar('{');
			print_map_attributes(inner, true);
			putchar('}');
		} else {
			printf("null");
		}
		putchar('}');
		comma = ",";
	}
	printf("]");
}

static unsigned int id_of(int fd)
{
	struct bpf_map_info map = {};
	__u32 size = sizeof(map);

	return fd >= 0 && !bpf_map_get_info_by_fd(fd, &map, &size) ? map.id : 0;
}

static unsigned int program_id_of(int fd)
{
	struct bpf_prog_info program = {};
	__u32 size = sizeof(program);

	return fd >= 0 && !bpf_prog_get_info_by_fd(fd, &program, &size) ? program.id : 0;
}

/* Descriptors, and the ids of maps and programs that maps were given in C. */
static void print_created(struct bpf_object *object)
{
	struct bpf_map *map;
	const char *comma = "";

	printf(",\n\"created\":[");
	bpf_object__for_each_map(map, object) {
		int fd = bpf_map__fd(map);
		enum bpf_map_type type = bpf_map__type(map);
		const char *separator = "";

		printf("%s\n{\"fd\":%d,\"id\":%u,\"slots\":[", comma, fd, id_of(fd));
		if (type == BPF_MAP_TYPE_PROG_ARRAY || type == BPF_MAP_TYPE_ARRAY_OF_MAPS ||
		    type == BPF_MAP_TYPE_HASH_OF_MAPS) {
			for (__u32 i = 0; i < bpf_map__max_entries(map) && i < 256; i++) {
				__u32 id = 0;

				if (bpf_map_lookup_elem(fd, &i, &id))
					continue;
				printf("%s{\"index\":%u,\"id\":%u}", separator, i, id);
				separator = ",";
			}
		}
		printf("]}");
		comma = ",";
	}
	printf("]");
}

static void print_records(struct bpf_program *program)
{
	const struct bpf_func_info *functions = bpf_program__func_info(program);
	const struct bpf_line_info *lines = bpf_program__line_info(program);

	printf(",\"funcInfo\":[");
	for (__u32 i = 0; i < bpf_program__func_info_cnt(program); i++)
		printf("%s[%u,%u]", i ? "," : "", functions[i].insn_off, functions[i].type_id);
	printf("],\"lineInfo\":[");
	for (__u32 i = 0; i < bpf_program__line_info_cnt(program); i++)
		printf("%s[%u,%u,%u,%u]", i ? "," : "", lines[i].insn_off, lines[i].file_name_off,
		       lines[i].line_off, lines[i].line_col);
	printf("]");
}

static void print_programs(struct bpf_object *object)
{
	struct bpf_program *program;
	const char *comma = "";

	printf(",\n\"programs\":[");
	bpf_object__for_each_program(program, object) {
		printf("%s\n{\"name\":", comma);
		print_string(bpf_program__name(program));
		printf(",\"section\":");
		print_string(bpf_program__section_name(program));
		printf(",\"type\":%u,\"attachType\":%u,\"flags\":%u,\"autoload\":%s,\"id\":%u,\"insns\":",
		       bpf_program__type(program), bpf_program__expected_attach_type(program),
		       bpf_program__flags(program), bpf_program__autoload(program) ? "true" : "false",
		       program_id_of(bpf_program__fd(program)));
		print_bytes(bpf_program__insns(program),
			    bpf_program__insn_cnt(program) * sizeof(struct bpf_insn));
		print_records(program);
		putchar('}');
		comma = ",";
	}
	printf("]");
}

static struct bpf_object *open_object(const char *path, const char *btf)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = btf);

	return bpf_object__open_file(path, &options);
}

/* 0 when loaded or prepared; the stage that was reached is stored. */
static int finish(struct bpf_object **object, const char *path, const char *btf, const char **stage)
{
	*stage = "loaded";
	if (!bpf_object__load(*object))
		return 0;
	bpf_object__close(*object);
	log_length = 0;
	*stage = "prepared";
	*object = open_object(path, btf);
	return *object ? bpf_object__prepare(*object) : -errno;
}

int main(int argc, char **argv)
{
	const char *btf = argc > 2 ? argv[2] : NULL;
	const char *stage = "opened";
	struct bpf_object *object;
	int error;

	if (argc < 2) {
		fprintf(stderr, "usage: libbpf-dump OBJECT [BTF]\n");
		return 2;
	}
	libbpf_set_print(keep_log);
	object = open_object(argv[1], btf);
	if (!object) {
		printf("{\"stage\":\"refused\",\"error\":%d,\"log\":", errno);
		print_string(log_text);
		printf("}\n");
		return 0;
	}
	printf("{\"libbpf\":");
	print_string(libbpf_version_string());
	printf(",\"name\":");
	print_string(bpf_object__name(object));
	printf(",");
	print_maps(object);
	error = finish(&object, argv[1], btf, &stage);
	if (!error) {
		print_created(object);
		print_programs(object);
	}
	printf(",\n\"stage\":\"%s\",\"error\":%d,\"log\":", error ? "opened" : stage, error);
	log_text[log_length < sizeof(log_text) ? log_length : sizeof(log_text) - 1] = 0;
	print_string(log_text);
	printf("}\n");
	return 0;
}
