// SPDX-License-Identifier: GPL-2.0
// What an engineer would write by hand for the jobs that the benchmark compares.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define ENTRIES 262144

struct sys_enter {
	unsigned long long common;
	long id;
	unsigned long args[6];
};

struct comm {
	char name[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, __u64);
} pids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, ENTRIES);
	__type(key, struct comm);
	__type(value, __u64);
} comms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, ENTRIES);
	__type(key, __u64);
	__type(value, __u64);
} ids SEC(".maps");

// As much as Weir's histogram tells, and exact under preemption, as Weir's is.
struct histogram {
	__u64 count;
	__u64 sum;
	__u64 slots[65];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct histogram);
} histograms SEC(".maps");

static __always_inline void count(void *map, void *key)
{
	__u64 one = 1, *value = bpf_map_lookup_elem(map, key);

	if (value)
		*value += 1;
	else
		bpf_map_update_elem(map, key, &one, BPF_NOEXIST);
}

static __always_inline __u32 log2(__u64 value)
{
	__u32 shift, result = 0;

	shift = (value > 0xffffffff) << 5; value >>= shift; result |= shift;
	shift = (value > 0xffff) << 4; value >>= shift; result |= shift;
	shift = (value > 0xff) << 3; value >>= shift; result |= shift;
	shift = (value > 0xf) << 2; value >>= shift; result |= shift;
	shift = (value > 0x3) << 1; value >>= shift; result |= shift;
	return result | (value >> 1);
}

SEC("tracepoint")
int empty(struct sys_enter *context)
{
	return 0;
}

SEC("tracepoint")
int by_pid(struct sys_enter *context)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	count(&pids, &pid);
	return 0;
}

SEC("tracepoint")
int by_comm(struct sys_enter *context)
{
	struct comm comm = {};

	bpf_get_current_comm(&comm, sizeof(comm));
	count(&comms, &comm);
	return 0;
}

SEC("tracepoint")
int histogram(struct sys_enter *context)
{
	__u32 zero = 0, slot;
	struct histogram *histogram;

	if (context->id != 110)
		return 0;
	histogram = bpf_map_lookup_elem(&histograms, &zero);
	if (!histogram)
		return 0;
	slot = context->args[1] ? log2(context->args[1]) + 1 : 0;
	if (slot > 64)
		return 0;
	__sync_fetch_and_add(&histogram->count, 1);
	__sync_fetch_and_add(&histogram->sum, context->args[1]);
	__sync_fetch_and_add(&histogram->slots[slot], 1);
	return 0;
}

// As ebpf_exporter's examples count: a hash from bucket to count, and the sum beside them.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 67);
	__type(key, __u32);
	__type(value, __u64);
} buckets SEC(".maps");

static __always_inline void add(__u32 key, __u64 number)
{
	__u64 zero = 0, *value = bpf_map_lookup_elem(&buckets, &key);

	if (!value) {
		bpf_map_update_elem(&buckets, &key, &zero, BPF_NOEXIST);
		value = bpf_map_lookup_elem(&buckets, &key);
	}
	if (value)
		__sync_fetch_and_add(value, number);
}

SEC("tracepoint")
int histogram_by_hash(struct sys_enter *context)
{
	if (context->id != 110)
		return 0;
	add(context->args[1] ? log2(context->args[1]) + 1 : 0, 1);
	add(66, context->args[1]);
	return 0;
}

SEC("tracepoint")
int by_id(struct sys_enter *context)
{
	__u64 id = context->id;

	if (id >= 1000000)
		count(&ids, &id);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, __u64);
} starts SEC(".maps");

SEC("tracepoint")
int span_start(void *context)
{
	__u64 thread = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();

	bpf_map_update_elem(&starts, &thread, &now, BPF_ANY);
	return 0;
}

SEC("tracepoint")
int span_end(void *context)
{
	__u64 thread = bpf_get_current_pid_tgid(), *start, elapsed;
	__u32 zero = 0, slot;
	struct histogram *histogram;

	start = bpf_map_lookup_elem(&starts, &thread);
	if (!start)
		return 0;
	elapsed = bpf_ktime_get_ns() - *start;
	bpf_map_delete_elem(&starts, &thread);
	histogram = bpf_map_lookup_elem(&histograms, &zero);
	if (!histogram)
		return 0;
	slot = elapsed ? log2(elapsed) + 1 : 0;
	if (slot > 64)
		return 0;
	__sync_fetch_and_add(&histogram->count, 1);
	__sync_fetch_and_add(&histogram->sum, elapsed);
	__sync_fetch_and_add(&histogram->slots[slot], 1);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 16384);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 127 * sizeof(__u64));
} stacks SEC(".maps");

SEC("tracepoint")
int by_stack(void *context)
{
	__s64 stack = bpf_get_stackid(context, &stacks, 0);
	__u32 key = stack;

	if (stack >= 0)
		count(&pids, &key);
	return 0;
}

char _license[] SEC("license") = "GPL";
