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

typedef unsigned char u8;

struct forward;

union forward_union;

typedef _Bool flag;

struct node {
	struct node *next;
	union {
		int number;
		struct {
			u8 low;
			u8 high;
		};
	};
	const char name[16];
	volatile int * restrict pointers[3][2];
	int (*callback)(struct node *, const void *, ...);
	struct forward *unknown;
	union forward_union *other;
	float real;
	double wide;
	flag on;
	char tail[0];
};

typedef unsigned long long u64;

struct task___old {
	int pid;
};

typedef unsigned int u32;

enum color {
	RED = 0,
	GREEN = 7,
	BLUE = -1,
};

struct bits {
	u32 a: 3;
	u32 b: 29;
	int c: 5;
	long: 27;
	u64 d: 40;
	enum color e: 4;
};

enum big {
	BIG = 4294967295,
	ONE = 1,
} __attribute__((mode(word)));

enum big_signed {
	LOW = -78187493530LL,
};

struct squeezed {
	u8 first;
	u64 second;
} __attribute__((packed));

struct tagged {
	int plain;
	int __attribute__((btf_type_tag("user"))) *pointer;
};

typedef struct tagged tagged_t;

typedef __int128 wide_t;


/* BPF kfuncs */
#ifndef BPF_NO_KFUNC_PROTOTYPES
#endif

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
