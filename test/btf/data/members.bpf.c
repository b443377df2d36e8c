// Members of members without a name, for the tests of src/btf/compatible. Made by hand, in
// this folder, the types by clang and what C says of them by gcc:
//   clang-19 -target bpfel -mcpu=v3 -g -O2 -fdebug-prefix-map=$PWD=. -c members.bpf.c -o el.o
//   llvm-objcopy-19 --dump-section .BTF=members.btf el.o
//   gcc -DPRINT -x c members.bpf.c -o members && ./members > members.golden
struct named {
	char c;
	long l;
};

typedef union {
	int by_typedef;
	char bytes[12];
} hidden_t;

struct outer {
	char first;
	union {
		struct {
			short deep_a;
			union {
				long deep_b;
				struct named deep_named[3];
				struct {
					char pad[9];
					int deepest;
				};
			};
		};
		int beside;
	};
	const struct {
		int qualified;
	};
	struct named not_entered;
	struct {
		struct {
			char matrix[2][3][5];
		};
		unsigned bits : 3;
	};
	int last[7];
};

union either {
	struct {
		long one;
		struct {
			int two;
			int three;
		};
	};
	hidden_t four;
};

struct __attribute__((packed)) tight {
	char a;
	struct {
		int b;
		long c;
	} __attribute__((packed));
	struct {
		char d;
		int e;
	};
};

#define MEMBERS                                                                              \
	M(struct outer, first) M(struct outer, deep_a) M(struct outer, deep_b)               \
	M(struct outer, deep_named) M(struct outer, pad) M(struct outer, deepest)            \
	M(struct outer, beside) M(struct outer, qualified) M(struct outer, not_entered)      \
	M(struct outer, matrix) M(struct outer, last) M(union either, one)                   \
	M(union either, two) M(union either, three) M(union either, four)                    \
	M(struct tight, a) M(struct tight, b) M(struct tight, c) M(struct tight, d)          \
	M(struct tight, e)
#define TYPES T(struct outer) T(union either) T(struct tight) T(struct named) T(hidden_t)

#ifdef PRINT
#include <stddef.h>
#include <stdio.h>

int main(void)
{
#define M(type, name)                                                                        \
	printf("%s: %s at %zu, %zu bytes\n", #type, #name, offsetof(type, name),             \
	       sizeof(((type *)0)->name));
#define T(type) printf("%s: %zu bytes, aligned to %zu\n", #type, sizeof(type), _Alignof(type));
	MEMBERS
	TYPES
	return 0;
}
#else
struct outer outer;
union either either;
struct tight tight;
#endif
