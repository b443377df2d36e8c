// Types as a kernel module has them: its own, made of the kernel's, which stand in vmlinux.h.
// With WALK, a program that reads them; the types of a target are of another build, then.
#include "vmlinux.h"

struct parity_table;

typedef int (*parity_open_t)(struct parity_table *table, struct sk_buff *packet, enum pid_type);

union parity_key {
	struct list_head node;
	struct rb_node rb;
	__u64 words[2];
};

struct parity_state {
	struct list_head list;
	spinlock_t lock;
	atomic_t users;
	enum pid_type kind;
	struct task_struct *owner;
	struct {
		struct callback_head rcu;
		const struct file_operations *operations;
	};
	struct work_struct works[2];
	union parity_key key;
	bool busy;
};

struct parity_table {
	struct hlist_head heads[8];
	struct parity_state *states;
	parity_open_t open;
	void *(*lookup)(const volatile struct parity_table *, unsigned long, ...);
	struct parity_unknown *unknown;
	struct kobject kobject;
};

#ifdef WALK
#define SEC(name) __attribute__((section(name), used))
static long (*const probe_read_kernel)(void *to, __u32 size, const void *from) = (void *)113;

SEC("raw_tp")
int walk(struct parity_table *table)
{
	struct parity_state *state = 0;
	struct list_head *next = 0;
	int pid = 0;

	probe_read_kernel(&state, sizeof(state), __builtin_preserve_access_index(&table->states));
	probe_read_kernel(&next, sizeof(next),
			  __builtin_preserve_access_index(&state->key.node.next));
	probe_read_kernel(&pid, sizeof(pid),
			  __builtin_preserve_access_index(&state->owner->pid));
	return next != 0 && pid + __builtin_preserve_type_info(*(parity_open_t *)0, 0) +
				    __builtin_preserve_type_info(*(struct rb_node *)0, 1);
}
#else
struct parity_table parity_table;
struct parity_state parity_state;
#endif
