/*
 * Prints what libbpf makes of an object, as JSON, for comparison with ours:
 *
 *   libbpf-dump OBJECT [BTF]
 *
 * Maps and programs are printed as they are after opening; programs again after loading.
 * Where the kernel does not take the programs, the object is opened anew and only prepared:
 * instructions are final then, too. Sections and programs whose type libbpf does not know are
 * printed with type 0.
 *
 * What libbpf asks the kernel to load is recorded on its way there, by a syscall() of our own
 * in place of the C library's. A program that the kernel refuses is replaced by a trivial one,
 * so that the requests for those behind it are seen, too. Jump tables become arrays, as most
 * kernels have no maps of instructions.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_REQUESTS 256

/* What a BPF_PROG_LOAD asked for. */
struct request {
	char section[128];
	char name[128];
	unsigned int type, attach_type, flags, attach_btf_id, attach_prog_fd;
	bool taken;
};

static struct request requests[MAX_REQUESTS];
static size_t request_count;
static struct bpf_object *recorded;
static bool refused_some;

/* Arrays in place of jump tables. */
static int table_fds[MAX_REQUESTS];
static unsigned int table_sizes[MAX_REQUESTS];
static size_t table_count;

static long call_kernel(long number, long a, long b, long c, long d, long e, long f)
{
	static long (*next)(long, ...);

	if (!next)
		next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return next(number, a, b, c, d, e, f);
}

/* Loads `r0 = 0; exit`. */
static long load_trivial(void)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insn_cnt = 2,
		.insns = (__u64)(unsigned long)insns,
		.license = (__u64)(unsigned long)"GPL",
	};

	return call_kernel(SYS_bpf, BPF_PROG_LOAD, (long)&attr, sizeof(attr), 0, 0, 0);
}

#define MAP_TYPE_INSN_ARRAY 34

static long create_table(const union bpf_attr *attr)
{
	union bpf_attr array = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = attr->key_size,
		.value_size = attr->value_size,
		.max_entries = attr->max_entries,
	};
	long fd = call_kernel(SYS_bpf, BPF_MAP_CREATE, (long)&array, sizeof(array), 0, 0, 0);

	if (fd >= 0 && table_count < MAX_REQUESTS) {
		table_fds[table_count] = fd;
		table_sizes[table_count++] = attr->max_entries;
	}
	return fd;
}

/* The program whose instructions a request is about: feature probes bring their own. */
static struct bpf_program *find_program(const union bpf_attr *attr)
{
	struct bpf_program *program;

	if (!recorded)
		return NULL;
	bpf_object__for_each_program(program, recorded) {
		if ((__u64)(unsigned long)bpf_program__insns(program) == attr->insns)
			return program;
	}
	return NULL;
}

static void record(struct bpf_program *program, const union bpf_attr *attr, bool taken)
{
	struct request *request;

	for (size_t i = 0; i < request_count; i++) {
		request = &requests[i];
		if (!strcmp(request->name, bpf_program__name(program)) &&
		    !strcmp(request->section, bpf_program__section_name(program))) {
			/* Asked for again, with a log. */
			request->taken |= taken;
			return;
		}
	}
	if (request_count == MAX_REQUESTS)
		return;
	request = &requests[request_count++];
	snprintf(request->name, sizeof(request->name), "%s", bpf_program__name(program));
	snprintf(request->section, sizeof(request->section), "%s",
		 bpf_program__section_name(program));
	request->type = attr->prog_type;
	request->attach_type = attr->expected_attach_type;
	request->flags = attr->prog_flags;
	request->attach_btf_id = attr->attach_btf_id;
	request->attach_prog_fd = attr->attach_prog_fd;
	request->taken = taken;
}

/* libbpf calls the kernel through this. */
long syscall(long number, ...)
{
	struct bpf_program *program = NULL;
	long a, b, c, d, e, f, result;
	va_list args;

	va_start(args, number);
	a = va_arg(args, long);
	b = va_arg(args, long);
	c = va_arg(args, long);
	d = va_arg(args, long);
	e = va_arg(args, long);
	f = va_arg(args, long);
	va_end(args);
	if (number == SYS_bpf && (a & 0xffff) == BPF_MAP_CREATE &&
	    ((const union bpf_attr *)b)->map_type == MAP_TYPE_INSN_ARRAY)
		return create_table((const union bpf_attr *)b);
	if (number == SYS_bpf && (a & 0xffff) == BPF_PROG_LOAD)
		program = find_program((const union bpf_attr *)b);
	result = call_kernel(number, a, b, c, d, e, f);
	if (!program)
		return result;
	record(program, (const union bpf_attr *)b, result >= 0);
	if (result >= 0)
		return result;
	refused_some = true;
	return load_trivial();
}

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
	printf(",\"internal\":%s,\"pinned\":%s,\"autocreate\":%s,\"contents\":",
	       bpf_map__is_internal(map) ? "true" : "false",
	       bpf_map__pin_path(map) ? "true" : "false",
	       inner || bpf_map__autocreate(map) ? "true" : "false");
	/* Of structs of callbacks, libbpf puts its own pointers there. */
	if (value && bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS)
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

/* The values of the kernel's configuration, known only now. */
static void print_kconfig(struct bpf_map *map)
{
	const char *name = bpf_map__name(map);
	size_t size = 0, length = strlen(name);
	void *value = bpf_map__initial_value(map, &size);

	if (bpf_map__is_internal(map) && value && length >= 8 && !strcmp(name + length - 8, ".kconfig"))
		print_bytes(value, size);
	else
		printf("null");
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

		printf("%s\n{\"fd\":%d,\"id\":%u,\"kconfig\":", comma, fd, id_of(fd));
		print_kconfig(map);
		printf(",\"slots\":[");
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

static void print_declaration(struct bpf_program *program)
{
	printf("\"name\":");
	print_string(bpf_program__name(program));
	printf(",\"section\":");
	print_string(bpf_program__section_name(program));
	printf(",\"type\":%u,\"attachType\":%u,\"autoload\":%s", bpf_program__type(program),
	       bpf_program__expected_attach_type(program),
	       bpf_program__autoload(program) ? "true" : "false");
}

/* Programs as they are after opening. */
static void print_declared(struct bpf_object *object)
{
	struct bpf_program *program;
	const char *comma = "";

	printf(",\n\"declared\":[");
	bpf_object__for_each_program(program, object) {
		printf("%s\n{", comma);
		print_declaration(program);
		putchar('}');
		comma = ",";
	}
	printf("]");
}

static void print_request(struct bpf_program *program)
{
	for (size_t i = 0; i < request_count; i++) {
		const struct request *request = &requests[i];

		if (strcmp(request->name, bpf_program__name(program)) ||
		    strcmp(request->section, bpf_program__section_name(program)))
			continue;
		printf(",\"request\":{\"type\":%u,\"attachType\":%u,\"flags\":%u,\"attachBtfId\":%u,"
		       "\"attachProgram\":%s,\"taken\":%s}",
		       request->type, request->attach_type, request->flags,
		       request->attach_btf_id, request->attach_prog_fd ? "true" : "false",
		       request->taken ? "true" : "false");
		return;
	}
	printf(",\"request\":null");
}

static void print_programs(struct bpf_object *object)
{
	struct bpf_program *program;
	const char *comma = "";

	printf(",\n\"programs\":[");
	bpf_object__for_each_program(program, object) {
		printf("%s\n{", comma);
		print_declaration(program);
		printf(",\"id\":%u", program_id_of(bpf_program__fd(program)));
		print_request(program);
		printf(",\"insns\":");
		print_bytes(bpf_program__insns(program),
			    bpf_program__insn_cnt(program) * sizeof(struct bpf_insn));
		print_records(program);
		putchar('}');
		comma = ",";
	}
	printf("]");
}

/* The instructions in each jump table, by descriptor. */
static void print_tables(void)
{
	printf(",\n\"tables\":[");
	for (size_t i = 0; i < table_count; i++) {
		printf("%s{\"fd\":%d,\"targets\":[", i ? "," : "", table_fds[i]);
		for (unsigned int j = 0; j < table_sizes[i]; j++) {
			/* struct bpf_insn_array_value: original, then final offset. */
			__u32 value[4] = {};

			bpf_map_lookup_elem(table_fds[i], &j, value);
			printf("%s%u", j ? "," : "", value[0]);
		}
		printf("]}");
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
	recorded = *object;
	if (!bpf_object__load(*object) && !refused_some)
		return 0;
	recorded = NULL;
	bpf_object__close(*object);
	table_count = 0;
	log_length = 0;
	*stage = "prepared";
	*object = open_object(path, btf);
	return *object ? bpf_object__prepare(*object) : -errno;
}

/* A file system for pinned maps that nobody else sees, gone with the process. */
static void mount_private_bpffs(void)
{
	if (!unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		mount("bpffs", "/sys/fs/bpf", "bpf", 0, NULL);
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
	mount_private_bpffs();
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
	print_declared(object);
	error = finish(&object, argv[1], btf, &stage);
	if (!error) {
		print_created(object);
		print_programs(object);
		print_tables();
	}
	printf(",\n\"stage\":\"%s\",\"error\":%d,\"log\":", error ? "opened" : stage, error);
	log_text[log_length < sizeof(log_text) ? log_length : sizeof(log_text) - 1] = 0;
	print_string(log_text);
	printf("}\n");
	return 0;
}
