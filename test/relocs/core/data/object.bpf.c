// Accesses of every kind to types of kernel.c; the instructions that libbpf 1.7 makes of them are
// in object.golden.
//
//   clang-19 -target bpf -mcpu=v3 -g -O2 -fdebug-prefix-map=$PWD=. -c object.bpf.c -o object.o
//   llvm-strip-19 -g object.o
//   clang-19 -target bpf -g -c kernel.c -o kernel.o
//   llvm-objcopy-19 --dump-section .BTF=kernel.btf kernel.o

typedef unsigned int u32;
typedef unsigned long u64;

#define PROGRAM(name) __attribute__((section("raw_tp/" #name), used)) long name(void *ctx)
#define RELOCATED __attribute__((preserve_access_index))
#define field(access, kind) __builtin_preserve_field_info(access, kind)
#define type(name, kind) __builtin_preserve_type_info(*(name *)0, kind)

enum { OFFSET, SIZE, EXISTS, SIGNED, LSHIFT, RSHIFT };
enum { TYPE_EXISTS, TYPE_SIZE, TYPE_MATCHES };

struct task {
	int pid;
	u32 flags;
	struct task *parent;
	char comm[16];
	u32 low : 3;
	u32 high : 7;
	int sign : 4;
	u64 start;
	int narrow;
	u32 widened;
	u32 shrunk;
	void *pointer;
	int gone;
	int moved_to_struct;
	struct { int in_anonymous; union { int in_union; long other; }; };
	struct { int x, y; } points[3];
	int grid[2][3];
} RELOCATED;

struct task___old { int old_pid; u32 state; } RELOCATED;
struct task___new { u32 __state; } RELOCATED;
struct absent { int a; } RELOCATED;
struct twins { int same; int differs; } RELOCATED;
struct pruned { int both; int one; } RELOCATED;
struct tail { int n; int items[]; } RELOCATED;
struct plain { int a; u32 b; };
struct strict { int a; struct task *p; long (*call)(int, void *); };
enum color { RED = 1, GREEN = 2, PURPLE = 3 };
enum wide { WIDE_LOW = 1, WIDE_HIGH = 0x100000000UL };
enum high { HIGH_BIT = 0x80000000 };
enum negative { MINUS = -1, ZERO = 0 };
enum color___ext { RED___ext = 9 };
typedef int number;
typedef long (*callback)(int, void *);
typedef struct { int v; } counter;

PROGRAM(loads) {
	struct task *t = ctx;
	return t->pid + t->flags + t->parent->parent->start + t->comm[3] + t[1].comm[2];
}
PROGRAM(stores) {
	struct task *t = ctx;
	t->flags = (u32)(u64)ctx;
	t->pid = 7;
	return 0;
}
PROGRAM(nested) {
	struct task *t = ctx;
	return t->in_anonymous + t->in_union + t->points[2].y + t->grid[1][2];
}
PROGRAM(bits_low) {
	struct task *t = ctx;
	return field(t->low, OFFSET) + field(t->low, SIZE) + field(t->low, EXISTS) +
	       field(t->low, SIGNED) + field(t->low, LSHIFT) + field(t->low, RSHIFT);
}
PROGRAM(bits_high) {
	struct task *t = ctx;
	return field(t->high, OFFSET) + field(t->high, SIZE) + field(t->high, LSHIFT) + field(t->high, RSHIFT);
}
PROGRAM(bits_sign) { return field(((struct task *)ctx)->sign, SIGNED) + field(((struct task *)ctx)->sign, LSHIFT); }
PROGRAM(read_bits) { return ((struct task *)ctx)->low + ((struct task *)ctx)->high; }
PROGRAM(fields) {
	struct task *t = ctx;
	return field(t->pid, OFFSET) + field(t->pid, SIZE) + field(t->pid, SIGNED) + field(t->pid, LSHIFT) +
	       field(t->pid, RSHIFT) + field(t->comm, SIZE) + field(t->comm[4], SIZE) + field(t->comm[4], OFFSET);
}
PROGRAM(resized_unsigned) { return ((struct task *)ctx)->widened + ((struct task *)ctx)->shrunk; }
PROGRAM(resized_signed) { return ((struct task *)ctx)->narrow; }
PROGRAM(resized_signed_offset) { return field(((struct task *)ctx)->narrow, OFFSET); }
PROGRAM(pointer_to_pointer) { return (long)((struct task *)ctx)->pointer; }
PROGRAM(missing) { return ((struct task *)ctx)->gone; }
PROGRAM(incompatible) { return ((struct task *)ctx)->moved_to_struct; }
PROGRAM(guarded) {
	struct task___old *o = ctx;
	struct task___new *n = ctx;
	if (field(o->old_pid, EXISTS)) return o->old_pid;
	if (field(n->__state, EXISTS)) return n->__state;
	return field(o->state, EXISTS);
}
PROGRAM(no_candidate) { return ((struct absent *)ctx)->a; }
PROGRAM(twins_agree) { return ((struct twins *)ctx)->same; }
PROGRAM(twins_disagree) { return ((struct twins *)ctx)->differs; }
PROGRAM(twins_exist) { return field(((struct twins *)ctx)->differs, EXISTS); }
PROGRAM(twins_size) { return type(struct twins, TYPE_SIZE); }
PROGRAM(twins_id) { return __builtin_btf_type_id(*(struct twins *)0, 1); }
PROGRAM(not_pruned) { return ((struct pruned *)ctx)->both; }
PROGRAM(pruned_first) { return ((struct pruned *)ctx)->one + ((struct pruned *)ctx)->both; }
PROGRAM(pruned_last) { return field(((struct pruned *)ctx)->both, SIZE) + ((struct pruned *)ctx)->one; }
PROGRAM(flexible) { return ((struct tail *)ctx)->items[5]; }
PROGRAM(type_ids) {
	return __builtin_btf_type_id(*(struct task *)0, 0) + __builtin_btf_type_id(*(struct task *)0, 1) +
	       __builtin_btf_type_id(*(struct absent *)0, 1);
}
PROGRAM(types_exist) {
	return type(struct task, TYPE_EXISTS) + type(struct absent, TYPE_EXISTS) + type(number, TYPE_EXISTS) +
	       type(callback, TYPE_EXISTS) + type(enum color, TYPE_EXISTS) + type(counter, TYPE_EXISTS);
}
PROGRAM(type_sizes) {
	return type(struct task, TYPE_SIZE) + type(struct absent, TYPE_SIZE) + type(number, TYPE_SIZE) +
	       type(enum color, TYPE_SIZE) + type(callback, TYPE_SIZE);
}
PROGRAM(types_match) {
	return type(struct plain, TYPE_MATCHES) + type(struct strict, TYPE_MATCHES) +
	       type(struct task, TYPE_MATCHES) + type(struct tail, TYPE_MATCHES) + type(number, TYPE_MATCHES) +
	       type(callback, TYPE_MATCHES) + type(enum color, TYPE_MATCHES) + type(enum negative, TYPE_MATCHES) +
	       type(counter, TYPE_MATCHES) + type(struct absent, TYPE_MATCHES);
}
#define enumerator(e, v, kind) __builtin_preserve_enum_value(*(enum e *)v, kind)
PROGRAM(enumerators_exist) {
	return enumerator(color, RED, 0) + enumerator(color, PURPLE, 0) + enumerator(wide, WIDE_HIGH, 0);
}
PROGRAM(enumerators) { return enumerator(color, RED, 1) + enumerator(color, GREEN, 1); }
PROGRAM(enumerator_gone) { return enumerator(color, PURPLE, 1); }
PROGRAM(enumerator_wide) { return enumerator(wide, WIDE_HIGH, 1) + enumerator(wide, WIDE_LOW, 1); }
PROGRAM(enumerator_negative) { return enumerator(negative, MINUS, 1); }
PROGRAM(enumerator_high) { return enumerator(high, HIGH_BIT, 1); }
PROGRAM(enumerator_flavour) { return enumerator(color___ext, RED___ext, 1); }
PROGRAM(far) { return field(((struct task *)ctx)[2000].pid, OFFSET); }
PROGRAM(too_far) { return ((struct task *)ctx)[250].pid; }
