#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

typedef unsigned long long u64;

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

typedef unsigned int u32;

struct twice {
	long two;
	char three;
};

typedef long second;

enum plain {
	ZERO = 5,
};

typedef unsigned char u8;

enum plain___2 {
	ZERO___2 = 0,
	ONE = 1,
	MANY = 4294967295,
};

struct bit_fields {
	u32 a: 3;
	int: 29;
	u32 b: 5;
	char: 3;
	char: 4;
	int c: 9;
	long: 11;
	u64 d: 40;
	u8 e;
	u8 f: 2;
	long: 14;
	enum plain___2 g: 2;
};

struct leading_gap {
	long: 64;
	short: 9;
	u8 value: 1;
};

typedef unsigned short u16;

struct unaligned_bits {
	u8 a;
	u32 b: 24;
	u16 c;
	u64 d: 17;
	u64 e: 47;
} __attribute__((packed));

struct packed {
	u8 first;
	u64 second;
	struct {
		u16 third;
		u32 fourth;
	} inner;
} __attribute__((packed));

struct harmless {
	u32 a;
	u32 b;
};

struct over_aligned {
	u32 a;
	long: 64;
	long: 64;
	long: 64;
};

struct holds_over_aligned {
	u8 a;
	long: 64;
	long: 64;
	long: 64;
	struct over_aligned b;
	u8 c;
	long: 64;
	long: 64;
	long: 64;
	u64 d;
	u8 e;
	long: 64;
	long: 64;
};

struct empty {};

struct only_padding {
	long: 64;
	long: 64;
};

struct flexible {
	u32 count;
	struct {
		u8 key[4];
		u16 values[0];
	} head;
	u32 entries[0];
};

struct anonymous {
	union {
		struct {
			u32 low;
			u32 high;
			union {
				u8 bytes[8];
				enum {
					INSIDE_A = 0,
					INSIDE_B = 1,
				} kind;
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
	} *pointer;
	struct {
		u32 x;
	} array[2][3];
};

typedef struct {
	int value;
} anonymous_t;

typedef union {
	anonymous_t as_struct;
	long as_long;
} anonymous_union_t;

typedef enum {
	TYPEDEF_A = 0,
	TYPEDEF_B = 1,
} anonymous_enum_t;

struct second {
	struct first first;
	struct first *other;
};

typedef int (*callback_t)(struct first *, const void *, ...);

typedef void (*handler_t)(int);

typedef handler_t (*signal_t)(int, handler_t);

typedef int row_t[4];

enum wide {
	HUGE = 81985529216486895ULL,
	TINY = 1ULL,
};

enum declared_only;

struct pointers {
	int (*plain)(void);
	void (*table[3])(u32, const char *);
	int (* (*returns_pointer)(int))(long);
	int (* (*returns_array)(void))[5];
	callback_t callback;
	signal_t signal;
	row_t rows[2];
	row_t *row_pointer;
	int (*array_pointer)[4];
	int *(*(*deep)[2])[3];
	char matrix[2][3][4];
	const char * const names[2];
	volatile const int * restrict qualified;
	char * const * volatile *tower;
	const row_t fixed;
	int __attribute__((btf_type_tag("user"))) *tagged;
	int __attribute__((btf_type_tag("rcu"))) __attribute__((btf_type_tag("percpu"))) * const twice;
	void (*with_struct)(struct {
		int local;
	} *);
	enum plain___2 (*returns_enum)(enum wide *);
	unsigned __int128 big;
	float real;
	double wide;
	_Bool flag;
	enum declared_only *later;
};

struct twice___2 {
	int one;
};

typedef struct twice___2 twice;

typedef int second___2;

enum negative {
	MINUS = -1,
	PLUS = 1,
};

enum wide_negative {
	LOWEST = -1250999896491LL,
	HIGHEST = 1LL,
};

enum one_byte {
	SHORT_A = 0,
	SHORT_B = 1,
} __attribute__((mode(byte)));

enum word_enum {
	WORD_A = 0LL,
	WORD_B = 1LL,
} __attribute__((mode(word)));


/* BPF kfuncs */
#ifndef BPF_NO_KFUNC_PROTOTYPES
extern __bpf_fastcall void *kfunc_a(void) __weak __ksym;
extern int kfunc_b(struct first *f, u32 flags) __weak __ksym;
#endif

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
