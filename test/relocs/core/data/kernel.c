// The "kernel" that object.bpf.c is relocated against.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

struct inner { int in_anonymous; int pad; union { long other; int in_union; }; };
struct point { long z; int y; int x; };

struct task {
	u64 start;
	long pad1;
	struct {
		int before;
		struct { int in_anonymous; union { char c; struct { long other; int in_union; }; }; };
	};
	struct task *parent;
	u8 comm[32];
	u32 flags;
	int pid;
	u32 pad2 : 11;
	u32 low : 3;
	u32 pad3 : 15;
	u64 high : 9;
	u32 sign : 4;
	long narrow;
	u64 widened;
	u8 shrunk;
	u64 pointer_pad;
	const char *pointer;
	struct point moved_to_struct;
	struct point points[4];
	short grid[2][4];
	u32 __state;
	char rest[1000];
};

struct twins { int same; int differs; };
struct twins___2 { int same; int pad; int differs; };
struct pruned { int pad; int both; int one; };
struct pruned___2 { int both; };
struct tail { long pad; int n; u32 items[]; };
struct plain { long extra; u32 b; const int a; };
struct strict { struct task *p; int a; long (*call)(int, void *); };
enum color { GREEN = 20, BLUE = 30, RED = 0x7fffffff };
enum wide { WIDE_LOW = 3, WIDE_HIGH = 0x123456789abUL };
enum high { HIGH_BIT = 0x80000001 };
enum negative { MINUS = -5, ZERO = 0, PLUS = 1 };
typedef int number;
typedef long (*callback)(int, void *);
typedef struct { int v; } counter;

struct task *task;
struct twins *twins;
struct twins___2 *twins2;
struct pruned *pruned;
struct pruned___2 *pruned2;
struct tail *tail;
struct plain *plain;
struct strict *strict;
enum color *color;
enum wide *wide;
enum high *high;
enum negative *negative;
number *a_number;
callback *a_callback;
counter *a_counter;
