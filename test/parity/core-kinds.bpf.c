// CO-RE relocations of every kind, for comparing `gen min_core_btf`. Built where it is needed:
//
//   clang -O2 -g -target bpf -c core-kinds.bpf.c
#define CORE __attribute__((preserve_access_index))

typedef unsigned int u32;
typedef unsigned long long u64;
typedef struct {
  int counter;
} atomic_t;
typedef int (*initcall_t)(void);

struct list_head {
  struct list_head *next, *prev;
} CORE;

struct upid {
  int nr;
} CORE;

struct pid {
  u32 level;
  struct upid numbers[];
} CORE;

enum pid_type { PIDTYPE_PID, PIDTYPE_TGID };

struct mm_struct {
  union {
    struct {
      struct {
        atomic_t mm_count;
      };
      u64 total_vm;
    };
  };
} CORE;

struct task_struct {
  int pid;
  struct mm_struct *mm;
  char comm[16];
  unsigned in_execve : 1;
  struct list_head tasks;
} CORE;

struct callback_head {
  struct callback_head *next;
  void (*func)(struct callback_head *head);
};

struct hlist_node {
  struct hlist_node *next, **pprev;
};

struct in_no_kernel {
  int x;
} CORE;

enum { OFFSET, SIZE, EXISTS, SIGNED, LEFT_SHIFT, RIGHT_SHIFT };
enum { TYPE_EXISTS, TYPE_SIZE, TYPE_MATCHES };

__attribute__((section("socket"), used)) u64 every_kind(struct task_struct *task, struct pid *pid) {
  u64 sum = 0;
  sum += __builtin_preserve_field_info(task->pid, OFFSET);
  sum += __builtin_preserve_field_info(task->pid, SIGNED);
  sum += __builtin_preserve_field_info(task->comm[3], OFFSET);
  sum += __builtin_preserve_field_info(task->comm, SIZE);
  sum += __builtin_preserve_field_info(task->in_execve, LEFT_SHIFT);
  sum += __builtin_preserve_field_info(task->in_execve, RIGHT_SHIFT);
  sum += __builtin_preserve_field_info(task->mm->total_vm, EXISTS);
  sum += __builtin_preserve_field_info(task->mm->mm_count.counter, OFFSET);
  sum += __builtin_preserve_field_info(pid->numbers[2].nr, OFFSET);
  sum += __builtin_preserve_field_info(task->tasks.next, OFFSET);
  sum += __builtin_preserve_field_info(((struct in_no_kernel *)task)->x, EXISTS);
  sum += __builtin_preserve_type_info(*(struct callback_head *)0, TYPE_MATCHES);
  sum += __builtin_preserve_type_info(*(struct hlist_node *)0, TYPE_MATCHES);
  sum += __builtin_preserve_type_info(*(struct list_head *)0, TYPE_SIZE);
  sum += __builtin_preserve_type_info(*(initcall_t *)0, TYPE_EXISTS);
  sum += __builtin_preserve_type_info(*(struct in_no_kernel *)0, TYPE_EXISTS);
  sum += __builtin_btf_type_id(*(struct mm_struct *)0, 1);
  sum += __builtin_btf_type_id(*(struct mm_struct *)0, 0);
  sum += __builtin_preserve_enum_value(*(enum pid_type *)PIDTYPE_TGID, 0);
  sum += __builtin_preserve_enum_value(*(enum pid_type *)PIDTYPE_TGID, 1);
  return sum;
}
