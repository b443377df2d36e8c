// SPDX-License-Identifier: Apache-2.0
// Types of the simulated kernel: the VM lays its objects out by these, and CO-RE relocates
// against them unless another target is given. Names and meanings are Linux's (6.18, x86-64),
// the selection is what tracing and networking programs commonly read. The order of members
// is ours on purpose: an object that only works with one layout fails here.
//
// scripts/generate-builtin-btf.ts compiles this file to src/vm/builtin-btf.ts.

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __s8 s8;
typedef __u8 u8;
typedef __s16 s16;
typedef __u16 u16;
typedef __s32 s32;
typedef __u32 u32;
typedef __s64 s64;
typedef __u64 u64;
typedef __u16 __le16;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef __u16 __sum16;
typedef _Bool bool;
typedef unsigned long size_t;
typedef long ssize_t;
typedef unsigned long uintptr_t;
typedef long __kernel_long_t;
typedef int __kernel_pid_t;
typedef __kernel_pid_t pid_t;
typedef unsigned int __kernel_uid32_t;
typedef __kernel_uid32_t uid_t;
typedef unsigned int __kernel_gid32_t;
typedef __kernel_gid32_t gid_t;
typedef __u32 dev_t;
typedef unsigned short umode_t;
typedef unsigned int fmode_t;
typedef long long loff_t;
typedef u64 sector_t;
typedef unsigned int gfp_t;
typedef s64 ktime_t;
typedef s64 time64_t;
typedef unsigned short sa_family_t;
typedef unsigned int sk_buff_data_t;
typedef u64 netdev_features_t;

// Page size, for programs that round by it.
enum page_size_enum {
	__PAGE_SIZE = 4096,
};

// ---- small building blocks -------------------------------------------------------------

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

typedef atomic64_t atomic_long_t;

struct refcount_struct {
	atomic_t refs;
};
typedef struct refcount_struct refcount_t;

struct list_head {
	struct list_head *next, *prev;
};

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

struct rb_node {
	unsigned long __rb_parent_color;
	struct rb_node *rb_right;
	struct rb_node *rb_left;
};

struct rb_root {
	struct rb_node *rb_node;
};

struct callback_head {
	struct callback_head *next;
	void (*func)(struct callback_head *head);
};

struct kref {
	refcount_t refcount;
};

typedef struct raw_spinlock {
	u32 raw_lock;
} raw_spinlock_t;

typedef struct spinlock {
	struct raw_spinlock rlock;
} spinlock_t;

struct mutex {
	atomic_long_t owner;
	raw_spinlock_t wait_lock;
	struct list_head wait_list;
};

struct rw_semaphore {
	atomic_long_t count;
	atomic_long_t owner;
	raw_spinlock_t wait_lock;
	struct list_head wait_list;
};

struct timespec64 {
	time64_t tv_sec;
	long tv_nsec;
};

typedef struct {
	uid_t val;
} kuid_t;

typedef struct {
	gid_t val;
} kgid_t;

typedef struct {
	u64 val;
} kernel_cap_t;

struct cpumask {
	unsigned long bits[2];
};

// ---- processes -------------------------------------------------------------------------

enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
	PIDTYPE_PGID,
	PIDTYPE_SID,
	PIDTYPE_MAX,
};

struct ns_common {
	unsigned int inum;
	refcount_t count;
	struct dentry *stashed;
	const struct proc_ns_operations *ops;
};

struct pid_namespace {
	unsigned int level;
	struct ns_common ns;
	struct pid_namespace *parent;
	struct task_struct *child_reaper;
	struct user_namespace *user_ns;
};

struct upid {
	struct pid_namespace *ns;
	int nr;
};

struct pid {
	unsigned int level;
	refcount_t count;
	struct hlist_head tasks[PIDTYPE_MAX];
	struct callback_head rcu;
	struct upid numbers[];
};

struct user_namespace {
	struct ns_common ns;
	int level;
	kuid_t owner;
	kgid_t group;
	struct user_namespace *parent;
};

struct uts_namespace {
	struct ns_common ns;
	struct user_namespace *user_ns;
	struct new_utsname {
		char release[65];
		char version[65];
		char machine[65];
		char sysname[65];
		char nodename[65];
		char domainname[65];
	} name;
};

struct mnt_namespace {
	struct user_namespace *user_ns;
	u64 seq;
	struct ns_common ns;
	unsigned int nr_mounts;
};

struct nsproxy {
	struct net *net_ns;
	struct uts_namespace *uts_ns;
	struct mnt_namespace *mnt_ns;
	struct ipc_namespace *ipc_ns;
	struct pid_namespace *pid_ns_for_children;
	struct cgroup_namespace *cgroup_ns;
	struct time_namespace *time_ns;
	refcount_t count;
};

struct cred {
	kgid_t gid;
	kuid_t uid;
	atomic_long_t usage;
	kuid_t suid;
	kgid_t sgid;
	kuid_t euid;
	kgid_t egid;
	kuid_t fsuid;
	kgid_t fsgid;
	unsigned int securebits;
	struct user_namespace *user_ns;
	kernel_cap_t cap_inheritable;
	kernel_cap_t cap_effective;
	kernel_cap_t cap_permitted;
	kernel_cap_t cap_bset;
	kernel_cap_t cap_ambient;
};

struct vm_area_struct {
	unsigned long vm_end;
	unsigned long vm_start;
	unsigned long vm_flags;
	struct mm_struct *vm_mm;
	unsigned long vm_pgoff;
	struct file *vm_file;
};

struct mm_struct {
	int map_count;
	unsigned long task_size;
	atomic_t mm_users;
	atomic_t mm_count;
	unsigned long total_vm;
	unsigned long locked_vm;
	unsigned long data_vm, exec_vm, stack_vm;
	unsigned long start_code, end_code, start_data, end_data;
	unsigned long start_brk, brk, start_stack;
	unsigned long arg_start, arg_end, env_start, env_end;
	struct file *exe_file;
	struct rw_semaphore mmap_lock;
	struct task_struct *owner;
	struct user_namespace *user_ns;
};

struct fdtable {
	struct file **fd;
	unsigned int max_fds;
	unsigned long *open_fds;
	unsigned long *close_on_exec;
};

struct files_struct {
	struct fdtable *fdt;
	atomic_t count;
	unsigned int next_fd;
	struct fdtable fdtab;
	struct file *fd_array[64];
};

struct rlimit {
	__kernel_long_t rlim_cur;
	__kernel_long_t rlim_max;
};

struct signal_struct {
	int nr_threads;
	atomic_t live;
	refcount_t sigcnt;
	struct tty_struct *tty;
	int group_exit_code;
	unsigned int flags;
	struct pid *pids[PIDTYPE_MAX];
	short oom_score_adj;
	struct rlimit rlim[16];
	unsigned long nvcsw, nivcsw;
	unsigned long min_flt, maj_flt;
};

struct tty_struct {
	int index;
	char name[64];
	struct kref kref;
};

struct load_weight {
	unsigned long weight;
	u32 inv_weight;
};

struct sched_entity {
	u64 vruntime;
	u64 exec_start;
	u64 sum_exec_runtime;
	u64 prev_sum_exec_runtime;
	struct load_weight load;
	u64 nr_migrations;
	unsigned char on_rq;
};

struct thread_info {
	u32 status;
	unsigned long flags;
	u32 cpu;
};

struct css_set {
	struct cgroup *dfl_cgrp;
	refcount_t refcount;
	struct cgroup_subsys_state *subsys[14];
	int nr_tasks;
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
	u64 id;
	unsigned short flags;
	umode_t mode;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	int id;
	u64 serial_nr;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup_subsys_state self;
	unsigned long flags;
	int max_depth;
	int nr_descendants;
	struct cgroup *ancestors[];
};

struct task_struct {
	struct task_struct *group_leader;
	char comm[16];
	struct task_struct *real_parent;
	struct task_struct *parent;
	struct thread_info thread_info;
	u64 start_time;
	u64 start_boottime;
	int on_rq;
	int on_cpu;
	unsigned int __state;
	unsigned int saved_state;
	pid_t tgid;
	pid_t pid;
	unsigned int flags;
	unsigned int ptrace;
	int exit_state;
	int exit_code;
	int exit_signal;
	unsigned int personality;
	unsigned in_execve : 1;
	unsigned in_iowait : 1;
	unsigned sched_reset_on_fork : 1;
	unsigned sched_contributes_to_load : 1;
	unsigned sched_migrated : 1;
	unsigned no_new_privs : 1;
	unsigned frozen : 1;
	int prio;
	int static_prio;
	int normal_prio;
	unsigned int rt_priority;
	unsigned int policy;
	int nr_cpus_allowed;
	struct sched_entity se;
	void *stack;
	refcount_t usage;
	struct mm_struct *mm;
	struct mm_struct *active_mm;
	struct list_head tasks;
	struct list_head children;
	struct list_head sibling;
	struct list_head thread_node;
	const struct cred *real_cred;
	const struct cred *cred;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct sighand_struct *sighand;
	struct fs_struct *fs;
	struct files_struct *files;
	struct pid *thread_pid;
	struct css_set *cgroups;
	u64 utime;
	u64 stime;
	u64 gtime;
	unsigned long nvcsw;
	unsigned long nivcsw;
	unsigned long min_flt;
	unsigned long maj_flt;
	unsigned int sessionid;
	kuid_t loginuid;
	u64 parent_exec_id;
	u32 self_exec_id;
	int recent_used_cpu;
	int wake_cpu;
	unsigned long last_switch_count;
	struct bpf_local_storage *bpf_storage;
};

struct linux_binprm {
	const char *filename;
	const char *interp;
	struct file *file;
	struct cred *cred;
	struct mm_struct *mm;
	int argc, envc;
	unsigned long p;
	char buf[256];
};

struct kernel_clone_args {
	int exit_signal;
	u64 flags;
	unsigned long stack;
	unsigned long stack_size;
};

// ---- files -----------------------------------------------------------------------------

struct qstr {
	const unsigned char *name;
	union {
		struct {
			u32 hash;
			u32 len;
		};
		u64 hash_len;
	};
};

struct dentry {
	struct inode *d_inode;
	unsigned int d_flags;
	struct dentry *d_parent;
	struct super_block *d_sb;
	struct qstr d_name;
	unsigned char d_iname[40];
	struct list_head d_child;
};

struct vfsmount {
	struct super_block *mnt_sb;
	int mnt_flags;
	struct dentry *mnt_root;
};

struct path {
	struct dentry *dentry;
	struct vfsmount *mnt;
};

struct fs_struct {
	int umask;
	int users;
	int in_exec;
	struct path pwd;
	struct path root;
};

struct file_system_type {
	int fs_flags;
	const char *name;
};

struct super_block {
	unsigned long s_magic;
	dev_t s_dev;
	unsigned long s_blocksize;
	struct file_system_type *s_type;
	struct dentry *s_root;
	unsigned long s_flags;
	char s_id[32];
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	kuid_t i_uid;
	kgid_t i_gid;
	umode_t i_mode;
	dev_t i_rdev;
	loff_t i_size;
	unsigned int i_nlink;
	unsigned int i_flags;
	time64_t i_mtime_sec;
	u32 i_mtime_nsec;
	u64 i_version;
	void *i_private;
};

struct file {
	struct path f_path;
	unsigned int f_flags;
	fmode_t f_mode;
	loff_t f_pos;
	struct inode *f_inode;
	const struct file_operations *f_op;
	const struct cred *f_cred;
	void *private_data;
};

struct filename {
	const char *uptr;
	const char *name;
	int refcnt;
};

struct open_how {
	__u64 flags;
	__u64 mode;
	__u64 resolve;
};

struct iov_iter {
	u8 iter_type;
	bool data_source;
	size_t iov_offset;
	size_t count;
};

struct kiocb {
	loff_t ki_pos;
	struct file *ki_filp;
	int ki_flags;
};

struct seq_file {
	size_t size;
	char *buf;
	size_t from;
	size_t count;
	loff_t index;
	void *private;
};

// ---- block devices ---------------------------------------------------------------------

struct block_device {
	dev_t bd_dev;
	sector_t bd_start_sect;
	sector_t bd_nr_sectors;
	struct gendisk *bd_disk;
};

struct gendisk {
	int first_minor;
	int major;
	int minors;
	char disk_name[32];
	struct block_device *part0;
	struct request_queue *queue;
};

struct request_queue {
	unsigned long queue_flags;
	struct gendisk *disk;
	int node;
};

struct request {
	unsigned int __data_len;
	sector_t __sector;
	unsigned int cmd_flags;
	struct request_queue *q;
	struct block_device *part;
	u64 start_time_ns;
	u64 io_start_time_ns;
	struct bio *bio;
};

struct bio {
	unsigned int bi_opf;
	struct bio *bi_next;
	struct block_device *bi_bdev;
	unsigned short bi_flags;
};

// ---- network ---------------------------------------------------------------------------

struct in_addr {
	__be32 s_addr;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be16 u6_addr16[8];
		__be32 u6_addr32[4];
	} in6_u;
};

struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};

struct sockaddr_in {
	sa_family_t sin_family;
	__be16 sin_port;
	struct in_addr sin_addr;
	unsigned char __pad[8];
};

struct ethhdr {
	unsigned char h_dest[6];
	unsigned char h_source[6];
	__be16 h_proto;
};

struct iphdr {
	__u8 ihl : 4, version : 4;
	__u8 tos;
	__be16 tot_len;
	__be16 id;
	__be16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__sum16 check;
	__be32 saddr;
	__be32 daddr;
};

struct ipv6hdr {
	__u8 priority : 4, version : 4;
	__u8 flow_lbl[3];
	__be16 payload_len;
	__u8 nexthdr;
	__u8 hop_limit;
	struct in6_addr saddr;
	struct in6_addr daddr;
};

struct tcphdr {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack_seq;
	__u16 res1 : 4, doff : 4, fin : 1, syn : 1, rst : 1, psh : 1, ack : 1, urg : 1, ece : 1,
		cwr : 1;
	__be16 window;
	__sum16 check;
	__be16 urg_ptr;
};

struct udphdr {
	__be16 source;
	__be16 dest;
	__be16 len;
	__sum16 check;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net {
	unsigned int ifindex;
	struct ns_common ns;
	u64 net_cookie;
	struct list_head dev_base_head;
	struct user_namespace *user_ns;
	struct net_device *loopback_dev;
};

struct net_device {
	int ifindex;
	char name[16];
	unsigned int mtu;
	unsigned int flags;
	unsigned short type;
	unsigned short hard_header_len;
	possible_net_t nd_net;
	unsigned char addr_len;
	const unsigned char *dev_addr;
	unsigned int num_rx_queues;
	unsigned int real_num_rx_queues;
	unsigned int num_tx_queues;
	netdev_features_t features;
	struct bpf_prog *xdp_prog;
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_reuse : 4;
	unsigned char skc_reuseport : 1;
	unsigned char skc_ipv6only : 1;
	unsigned char skc_net_refcnt : 1;
	int skc_bound_dev_if;
	union {
		u64 skc_addrpair;
		struct {
			__be32 skc_daddr;
			__be32 skc_rcv_saddr;
		};
	};
	union {
		u32 skc_portpair;
		struct {
			__be16 skc_dport;
			__u16 skc_num;
		};
	};
	union {
		unsigned int skc_hash;
		__u16 skc_u16hashes[2];
	};
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
	struct proto *skc_prot;
	refcount_t skc_refcnt;
};

struct proto {
	unsigned int obj_size;
	char name[32];
};

struct sk_buff_head {
	u32 qlen;
	struct sk_buff *next;
	struct sk_buff *prev;
	spinlock_t lock;
};

struct sock {
	int sk_err;
	struct sock_common __sk_common;
	u16 sk_type;
	u16 sk_protocol;
	u32 sk_mark;
	u32 sk_priority;
	int sk_sndbuf;
	int sk_rcvbuf;
	int sk_wmem_queued;
	u32 sk_ack_backlog;
	u32 sk_max_ack_backlog;
	kuid_t sk_uid;
	unsigned long sk_flags;
	u8 sk_shutdown;
	struct sk_buff_head sk_receive_queue;
	struct sk_buff_head sk_write_queue;
	struct socket *sk_socket;
	long sk_rcvtimeo;
	long sk_sndtimeo;
	void *sk_user_data;
};

struct inet_sock {
	__be16 inet_sport;
	__be32 inet_saddr;
	struct sock sk;
	__u8 tos;
	__u8 min_ttl;
	__u16 inet_id;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	u32 icsk_rto;
	__u8 icsk_ca_state : 5, icsk_ca_initialized : 1;
	__u8 icsk_retransmits;
	const struct tcp_congestion_ops *icsk_ca_ops;
	u64 icsk_ca_priv[13];
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u32 snd_nxt;
	u32 snd_una;
	u32 rcv_nxt;
	u32 copied_seq;
	u32 write_seq;
	u32 snd_cwnd;
	u32 snd_ssthresh;
	u32 srtt_us;
	u32 mdev_us;
	u32 packets_out;
	u32 retrans_out;
	u32 total_retrans;
	u32 mss_cache;
	u32 delivered;
	u64 bytes_received;
	u64 bytes_acked;
	u64 bytes_sent;
};

struct udp_sock {
	struct inet_sock inet;
	__u16 len;
	unsigned long udp_flags;
};

struct tcp_congestion_ops {
	u32 flags;
	u32 key;
	u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked);
	void (*set_state)(struct sock *sk, u8 new_state);
	u32 (*undo_cwnd)(struct sock *sk);
	void (*init)(struct sock *sk);
	void (*release)(struct sock *sk);
	char name[16];
};

struct socket {
	short type;
	int state;
	unsigned long flags;
	struct sock *sk;
	struct file *file;
};

struct msghdr {
	int msg_namelen;
	void *msg_name;
	struct iov_iter msg_iter;
	unsigned int msg_flags;
};

struct skb_shared_info {
	__u8 nr_frags;
	__u8 tx_flags;
	unsigned short gso_size;
	unsigned short gso_segs;
	unsigned int gso_type;
	u32 tskey;
	atomic_t dataref;
};

struct sk_buff {
	unsigned int len;
	unsigned int data_len;
	struct sk_buff *next;
	struct sk_buff *prev;
	struct sock *sk;
	struct net_device *dev;
	char cb[48];
	__u16 mac_len;
	__u16 hdr_len;
	__u16 queue_mapping;
	__u8 pkt_type : 3;
	__u8 ignore_df : 1;
	__u8 ip_summed : 2;
	__u8 encapsulation : 1;
	__u8 cloned : 1;
	__be16 protocol;
	__u16 transport_header;
	__u16 network_header;
	__u16 mac_header;
	__be16 vlan_proto;
	__u16 vlan_tci;
	__u32 priority;
	__u32 mark;
	int skb_iif;
	__u32 hash;
	__wsum csum;
	ktime_t tstamp;
	unsigned char *head;
	unsigned char *data;
	sk_buff_data_t tail;
	sk_buff_data_t end;
	unsigned int truesize;
	refcount_t users;
};

struct xdp_rxq_info {
	u32 queue_index;
	struct net_device *dev;
	u32 reg_state;
	u32 frag_size;
};

struct xdp_buff {
	struct xdp_rxq_info *rxq;
	void *data_hard_start;
	void *data_meta;
	void *data;
	void *data_end;
	struct xdp_txq_info *txq;
	u32 frame_sz;
	u32 flags;
};

// ---- registers -------------------------------------------------------------------------

// The order of registers is part of Linux's binary interface: kprobe contexts have it.
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax;
	unsigned long ip, cs, flags, sp, ss;
};

// ---- tracepoint records ----------------------------------------------------------------

// Records are a binary interface too, so these keep Linux's order.
struct trace_entry {
	unsigned short type;
	unsigned char flags;
	unsigned char preempt_count;
	int pid;
};

struct trace_event_raw_sys_enter {
	struct trace_entry ent;
	long id;
	unsigned long args[6];
	char __data[];
};

struct trace_event_raw_sys_exit {
	struct trace_entry ent;
	long id;
	long ret;
	char __data[];
};

struct trace_event_raw_sched_switch {
	struct trace_entry ent;
	char prev_comm[16];
	pid_t prev_pid;
	int prev_prio;
	long prev_state;
	char next_comm[16];
	pid_t next_pid;
	int next_prio;
	char __data[];
};

struct trace_event_raw_sched_wakeup_template {
	struct trace_entry ent;
	char comm[16];
	pid_t pid;
	int prio;
	int target_cpu;
	char __data[];
};

struct trace_event_raw_sched_process_exec {
	struct trace_entry ent;
	u32 __data_loc_filename;
	pid_t pid;
	pid_t old_pid;
	char __data[];
};

struct trace_event_raw_sched_process_fork {
	struct trace_entry ent;
	u32 __data_loc_parent_comm;
	pid_t parent_pid;
	u32 __data_loc_child_comm;
	pid_t child_pid;
	char __data[];
};

struct trace_event_raw_sched_process_template {
	struct trace_entry ent;
	char comm[16];
	pid_t pid;
	int prio;
	char __data[];
};

struct trace_event_raw_inet_sock_set_state {
	struct trace_entry ent;
	const void *skaddr;
	int oldstate;
	int newstate;
	__u16 sport;
	__u16 dport;
	__u16 family;
	__u16 protocol;
	__u8 saddr[4];
	__u8 daddr[4];
	__u8 saddr_v6[16];
	__u8 daddr_v6[16];
	char __data[];
};

struct trace_event_raw_block_rq {
	struct trace_entry ent;
	dev_t dev;
	sector_t sector;
	unsigned int nr_sector;
	unsigned int bytes;
	char rwbs[8];
	char comm[16];
	u32 __data_loc_cmd;
	char __data[];
};

// ---- arguments of BTF tracepoints (the first one is the probe's own) -------------------

typedef void (*btf_trace_sys_enter)(void *, struct pt_regs *regs, long id);
typedef void (*btf_trace_sys_exit)(void *, struct pt_regs *regs, long ret);
typedef void (*btf_trace_sched_switch)(void *, bool preempt, struct task_struct *prev,
				       struct task_struct *next, unsigned int prev_state);
typedef void (*btf_trace_sched_wakeup)(void *, struct task_struct *p);
typedef void (*btf_trace_sched_wakeup_new)(void *, struct task_struct *p);
typedef void (*btf_trace_sched_process_fork)(void *, struct task_struct *parent,
					     struct task_struct *child);
typedef void (*btf_trace_sched_process_exec)(void *, struct task_struct *p, pid_t old_pid,
					     struct linux_binprm *bprm);
typedef void (*btf_trace_sched_process_exit)(void *, struct task_struct *p, bool group_dead);
typedef void (*btf_trace_task_newtask)(void *, struct task_struct *task,
				       unsigned long clone_flags);
typedef void (*btf_trace_task_rename)(void *, struct task_struct *task, const char *comm);
typedef void (*btf_trace_inet_sock_set_state)(void *, const struct sock *sk, const int oldstate,
					      const int newstate);
typedef void (*btf_trace_kfree_skb)(void *, struct sk_buff *skb, void *location,
				    u32 reason, struct sock *rx_sk);
typedef void (*btf_trace_netif_receive_skb)(void *, struct sk_buff *skb);
typedef void (*btf_trace_block_rq_issue)(void *, struct request *rq);
typedef void (*btf_trace_block_rq_complete)(void *, struct request *rq, u8 error,
					    unsigned int nr_bytes);

// ---- bpf -------------------------------------------------------------------------------

enum bpf_map_type {
	BPF_MAP_TYPE_UNSPEC,
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_STACK_TRACE,
	BPF_MAP_TYPE_CGROUP_ARRAY,
	BPF_MAP_TYPE_LRU_HASH,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_LPM_TRIE,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_DEVMAP,
	BPF_MAP_TYPE_SOCKMAP,
	BPF_MAP_TYPE_CPUMAP,
	BPF_MAP_TYPE_XSKMAP,
	BPF_MAP_TYPE_SOCKHASH,
	BPF_MAP_TYPE_CGROUP_STORAGE,
	BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
	BPF_MAP_TYPE_QUEUE,
	BPF_MAP_TYPE_STACK,
	BPF_MAP_TYPE_SK_STORAGE,
	BPF_MAP_TYPE_DEVMAP_HASH,
	BPF_MAP_TYPE_STRUCT_OPS,
	BPF_MAP_TYPE_RINGBUF,
	BPF_MAP_TYPE_INODE_STORAGE,
	BPF_MAP_TYPE_TASK_STORAGE,
	BPF_MAP_TYPE_BLOOM_FILTER,
	BPF_MAP_TYPE_USER_RINGBUF,
	BPF_MAP_TYPE_CGRP_STORAGE,
	BPF_MAP_TYPE_ARENA,
};

struct bpf_map {
	enum bpf_map_type map_type;
	u32 id;
	u32 key_size;
	u32 value_size;
	u32 max_entries;
	u32 map_flags;
	u64 map_extra;
	struct bpf_map *inner_map_meta;
	char name[16];
	u32 btf_key_type_id;
	u32 btf_value_type_id;
	atomic64_t refcnt;
	bool frozen;
	int numa_node;
};

struct bpf_array {
	struct bpf_map map;
	u32 elem_size;
	u32 index_mask;
	char value[];
};

struct bpf_htab {
	struct bpf_map map;
	u32 n_buckets;
	u32 elem_size;
	u32 hashrnd;
};

struct bpf_ringbuf_map {
	struct bpf_map map;
	struct bpf_ringbuf *rb;
};

struct bpf_prog_aux {
	u32 id;
	u32 func_cnt;
	u32 used_map_cnt;
	char name[16];
	struct bpf_prog *prog;
	u64 load_time;
};

struct bpf_prog {
	u32 len;
	u16 pages;
	u32 type;
	u32 expected_attach_type;
	u8 tag[8];
	struct bpf_prog_aux *aux;
};

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

struct bpf_spin_lock {
	__u32 val;
};

struct bpf_timer {
	__u64 __opaque[2];
};

struct bpf_dynptr {
	__u64 __opaque[2];
};

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

// Contexts: their layout is Linux's binary interface.
struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

struct bpf_sock {
	__u32 bound_dev_if;
	__u32 family;
	__u32 type;
	__u32 protocol;
	__u32 mark;
	__u32 priority;
	__u32 src_ip4;
	__u32 src_ip6[4];
	__u32 src_port;
	__be16 dst_port;
	__u32 dst_ip4;
	__u32 dst_ip6[4];
	__u32 state;
	__s32 rx_queue_mapping;
};

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 data_meta;
	union {
		struct bpf_flow_keys *flow_keys;
	} __attribute__((aligned(8)));
	__u64 tstamp;
	__u32 wire_len;
	__u32 gso_segs;
	union {
		struct bpf_sock *sk;
	} __attribute__((aligned(8)));
	__u32 gso_size;
	__u8 tstamp_type;
	__u32 : 24;
	__u64 hwtstamp;
};

enum xdp_action {
	XDP_ABORTED,
	XDP_DROP,
	XDP_PASS,
	XDP_TX,
	XDP_REDIRECT,
};
