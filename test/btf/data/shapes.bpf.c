// Every kind of BTF that clang emits, for the tests of src/btf. shapes.el.* and shapes.eb.*
// are made by hand, in this folder, for bpfel and bpfeb:
//   clang-19 -target bpfel -mcpu=v3 -g -O2 -fdebug-prefix-map=$PWD=. -c shapes.bpf.c -o el.o
//   llvm-objcopy-19 --dump-section .BTF=shapes.el.btf --dump-section .BTF.ext=shapes.el.btf-ext el.o
// and shapes.golden from either, with bpftool 7.8:
//   bpftool btf dump file shapes.el.btf -j
#define SEC(name) __attribute__((section(name), used))
#define __tag(x) __attribute__((btf_decl_tag(x)))
#define __type_tag(x) __attribute__((btf_type_tag(x)))
#define CORE __attribute__((preserve_access_index))

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool flag;

struct forward;
union forward_union;

enum color { RED, GREEN = 7, BLUE = -1 };
enum big : u64 { BIG = 0xffffffffffffffffULL, ONE = 1 };
enum big_signed : long long { LOW = -0x123456789aLL };

struct bits {
  u32 a : 3;
  u32 b : 29;
  int c : 5;
  u64 d : 40;
  enum color e : 4;
};

struct node {
  struct node *next;
  union {
    int number;
    struct {
      u8 low, high;
    };
  };
  const char name[16];
  volatile int *restrict pointers[3][2];
  int (*callback)(struct node *self, const void *data, ...);
  struct forward *unknown;
  union forward_union *other;
  float real;
  double wide;
  flag on;
  char tail[];
} CORE;

struct __attribute__((packed)) squeezed {
  u8 first;
  u64 second;
};

struct task___old {
  int pid;
} CORE;

struct tagged {
  int plain __tag("member");
  int __type_tag("user") *pointer;
} __tag("whole");

typedef struct tagged tagged_t;
typedef __int128 wide_t;

struct node global_node;
static volatile const u64 constant = 42;
extern int external_variable __attribute__((section(".ksyms")));
struct bits some_bits = { .a = 1 };
enum big some_big = BIG;
enum big_signed some_low = LOW;
struct squeezed some_squeezed SEC(".data.custom");
tagged_t some_tagged;
wide_t some_wide;
enum color some_color;

__attribute__((noinline)) int subprogram(struct node *n __tag("argument"), u64 more)
{
  return n->number + (int)more + some_color;
}

static __attribute__((noinline)) int hidden(struct task___old *t)
{
  return t->pid;
}

SEC("tracepoint/first")
int first(struct node *n)
{
  return subprogram(n, constant) + n->next->high;
}

SEC("xdp")
int second(struct task___old *t)
{
  return hidden(t) + external_variable;
}

char _license[] SEC("license") = "GPL";
