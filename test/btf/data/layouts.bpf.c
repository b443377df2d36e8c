// Layouts and declarations that are hard to write down in C, for the tests of src/btf/dump.
// layouts.btf is made by hand, in this folder:
//   clang-19 -target bpfel -mcpu=v3 -g -O2 -fdebug-prefix-map=$PWD=. -c layouts.bpf.c -o el.o
//   llvm-objcopy-19 --dump-section .BTF=layouts.btf el.o
// and from it, with bpftool 7.8, layouts.raw, layouts.h and layouts.unsorted.h:
//   bpftool btf dump file layouts.btf format raw
//   bpftool btf dump file layouts.btf format c [unsorted]
#define __tag(x) __attribute__((btf_decl_tag(x)))
#define __type_tag(x) __attribute__((btf_type_tag(x)))

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum plain { ZERO, ONE, MANY = 4294967295u };
enum negative { MINUS = -1, PLUS = 1 };
enum wide { HUGE = 0x123456789abcdefULL, TINY = 1 };
enum wide_negative { LOWEST = -0x123456789abLL, HIGHEST = 1 };
enum __attribute__((mode(byte))) one_byte { SHORT_A, SHORT_B };
enum __attribute__((mode(word))) word_enum { WORD_A, WORD_B };
enum declared_only;

/* Gaps in front of, between and behind bit fields. */
struct bit_fields {
	u32 a : 3;
	u32 : 0;
	u32 b : 5;
	u32 : 7;
	int c : 9;
	u64 d : 40;
	u8 e;
	u8 f : 2;
	u16 : 0;
	enum plain g : 2;
};

struct leading_gap {
	u64 : 64;
	u32 : 9;
	u8 value : 1;
};

struct unaligned_bits {
	u8 a;
	u32 b : 24;
	u16 c;
	u64 d : 17;
	u64 e : 47;
} __attribute__((packed));

struct __attribute__((packed)) packed {
	u8 first;
	u64 second;
	struct {
		u16 third;
		u32 fourth;
	} inner;
};

/* Packed, but with nothing to show for it. */
struct __attribute__((packed)) harmless {
	u32 a, b;
};

struct __attribute__((aligned(32))) over_aligned {
	u32 a;
};

struct holds_over_aligned {
	u8 a;
	struct over_aligned b;
	u8 c;
	u64 d __attribute__((aligned(32)));
	u8 e;
};

struct empty {};

struct only_padding {
	u64 : 64;
	u64 : 64;
};

struct flexible {
	u32 count;
	struct {
		u8 key[4];
		u16 values[0];
	} head;
	u32 entries[];
};

struct anonymous {
	union {
		struct {
			u32 low, high;
			union {
				u8 bytes[8];
				enum { INSIDE_A, INSIDE_B } kind;
			};
		};
		u64 whole;
		struct {
			struct {
				struct {
					u8 deepest;
				};
			};
		} named;
	};
	struct {
		u32 x;
	} *pointer, array[2][3];
};

typedef struct {
	int value;
} anonymous_t;

typedef union {
	anonymous_t as_struct;
	long as_long;
} anonymous_union_t;

typedef enum { TYPEDEF_A, TYPEDEF_B } anonymous_enum_t;

struct forward;
union forward_union;
struct second;

struct first {
	struct second *next;
	struct forward *unknown;
	union forward_union *other;
	struct first *self;
	struct {
		struct second *inside;
	} group;
};

struct second {
	struct first first;
	struct first *other;
};

/* Function pointers, arrays of them, functions that return them. */
typedef int (*callback_t)(struct first *self, const void *data, ...);
typedef void (*handler_t)(int);
typedef handler_t (*signal_t)(int number, handler_t handler);
typedef int row_t[4];

struct pointers {
	int (*plain)(void);
	void (*table[3])(u32, const char *);
	int (*(*returns_pointer)(int))(long);
	int (*(*returns_array)(void))[5];
	callback_t callback;
	signal_t signal;
	row_t rows[2], *row_pointer;
	int (*array_pointer)[4];
	int *(*(*deep)[2])[3];
	char matrix[2][3][4];
	const char *const names[2];
	const volatile int *restrict qualified;
	char *const *volatile *tower;
	const row_t fixed;
	int __type_tag("user") *tagged;
	int __type_tag("rcu") __type_tag("percpu") *const twice;
	void (*with_struct)(struct { int local; } *argument);
	enum plain (*returns_enum)(enum wide *);
	unsigned __int128 big;
	float real;
	double wide;
	_Bool flag;
	enum declared_only *later;
};

/* The same names for other things. */
struct twice {
	int one;
};
typedef int second;
typedef struct twice twice;

u64 other_scope(void)
{
	struct twice {
		long two;
		char three;
	};
	enum plain { ZERO = 5 };
	typedef long second;
	static volatile struct twice hidden;
	static volatile second long_one;
	static volatile enum plain one;
	return hidden.two + long_one + one;
}

__tag("bpf_kfunc") __attribute__((noinline)) int kfunc_b(struct first *f, u32 flags) { return flags; }
__tag("bpf_kfunc") __tag("bpf_fastcall") __attribute__((noinline)) void *kfunc_a(void) { return 0; }
__tag("other") __attribute__((noinline)) int no_kfunc(int a) { return a; }

struct bit_fields v1; struct leading_gap v2; struct unaligned_bits v3; struct packed v4;
struct harmless v5; struct holds_over_aligned v6; struct empty v7; struct only_padding v8;
struct flexible v9; struct anonymous v10; anonymous_union_t v11; anonymous_enum_t v12;
struct second v13; struct pointers v14; twice v15; second v16; enum negative v17; enum wide v18;
enum wide_negative v19; enum one_byte v20; enum word_enum v21; enum { LONELY } v22;
