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

enum big_signed {
	LOW = -78187493530LL,
};

enum color {
	RED = 0,
	GREEN = 7,
	BLUE = -1,
};

typedef _Bool flag;

typedef __int128 wide_t;

typedef unsigned char u8;

typedef unsigned int u32;

typedef unsigned long long u64;

struct bits {
	u32 a: 3;
	u32 b: 29;
	int c: 5;
	long: 27;
	u64 d: 40;
	enum color e: 4;
};

struct forward;

union forward_union;

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

struct squeezed {
	u8 first;
	u64 second;
} __attribute__((packed));

struct tagged {
	int plain;
	int __attribute__((btf_type_tag("user"))) *pointer;
};

typedef struct tagged tagged_t;

struct task___old {
	int pid;
};


/* BPF kfuncs */
#ifndef BPF_NO_KFUNC_PROTOTYPES
#endif

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
