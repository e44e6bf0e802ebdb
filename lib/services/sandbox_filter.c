/* sandbox_filter.c - which system calls the program in the sandbox may not make.
 *
 * A classic BPF program of refusals, not of permissions: a list of what Python needs would have to
 * follow every release of Python and of the C library. Refused is what an interpreter never needs
 * and what widens the kernel's surface: other namespaces and mounts, tracing, keys, BPF, io_uring,
 * modules, and sockets of any family but local ones. So is memory that belongs to no process (files
 * without a name, System V segments and queues), because nobody could count it. clone3 is answered
 * with "not there", because its flags lie in memory where a filter cannot look; the C library then
 * uses clone, whose flags are looked at. The filter comes on top of namespaces, rights and limits;
 * without it they still hold. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/services/sandbox_impl.h"

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef FILTER_ARCH

/* Answered as on a kernel without them: libraries then do what they do there. */
static const unsigned missing[] = {
	SYS_clone3, SYS_memfd_create, SYS_memfd_secret, SYS_shmget, SYS_semget, SYS_msgget,
};

static const unsigned refused[] = {
	SYS_unshare,
	SYS_setns,
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_kexec_load,
	SYS_kexec_file_load,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_open_by_handle_at,
	SYS_open_tree,
	SYS_move_mount,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_mount_setattr,
	SYS_swapon,
	SYS_swapoff,
	SYS_reboot,
	SYS_syslog,
	SYS_quotactl,
	SYS_acct,
	SYS_personality,
	SYS_lookup_dcookie,
};

enum {
	NAMESPACE_FLAGS = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
			  CLONE_NEWUTS | CLONE_NEWCGROUP,
	PROGRAM_MAX = 64 + 2 * (ARRAY_LEN(missing) + ARRAY_LEN(refused)),
	X32_BIT = 0x40000000,
};

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short len;
};

static void put(struct program *program, unsigned code, unsigned char jt, unsigned char jf,
		unsigned k)
{
	must(program->len < PROGRAM_MAX);
	program->code[program->len++] = (struct sock_filter){(unsigned short)code, jt, jf, k};
}

static void load(struct program *program, size_t offset)
{
	put(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, (unsigned)offset);
}

/* Answers `value` when the loaded word equals `k`, else goes on. */
static void answer_if(struct program *program, unsigned k, unsigned value)
{
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, k);
	put(program, BPF_RET | BPF_K, 0, 0, value);
}

static void assemble(struct program *program)
{
	const unsigned deny = SECCOMP_RET_ERRNO | EPERM;
	load(program, offsetof(struct seccomp_data, arch));
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, FILTER_ARCH);
	put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	load(program, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
	put(program, BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_BIT);
	put(program, BPF_RET | BPF_K, 0, 0, deny);
#endif
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		answer_if(program, refused[i], deny);
	for (size_t i = 0; i < ARRAY_LEN(missing); i++)
		answer_if(program, missing[i], SECCOMP_RET_ERRNO | ENOSYS);

	/* clone: no new namespaces. The flags are its first argument on both machines. */
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_clone);
	load(program, offsetof(struct seccomp_data, args[0]));
	put(program, BPF_JMP | BPF_JSET | BPF_K, 0, 1, (unsigned)NAMESPACE_FLAGS);
	put(program, BPF_RET | BPF_K, 0, 0, deny);
	put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);

	/* mmap: nothing shared without a file. Such memory stays when its pages are let go of, and
	 * then belongs to nobody. */
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, SYS_mmap);
	load(program, offsetof(struct seccomp_data, args[3]));
	put(program, BPF_ALU | BPF_AND | BPF_K, 0, 0, MAP_SHARED | MAP_ANONYMOUS);
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, MAP_SHARED | MAP_ANONYMOUS);
	put(program, BPF_RET | BPF_K, 0, 0, deny);
	put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);

	/* socket: local ones only. */
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, SYS_socket);
	load(program, offsetof(struct seccomp_data, args[0]));
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AF_UNIX);
	put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EACCES);
	put(program, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

int sandbox_filter_open(void)
{
	struct program program = {.len = 0};
	assemble(&program);
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	size_t len = program.len * sizeof(program.code[0]); /* far below what a pipe holds */
	ssize_t wrote = write(fds[1], program.code, len);
	close(fds[1]);
	if (wrote == (ssize_t)len)
		return fds[0];
	close(fds[0]);
	return -1;
}

#else

int sandbox_filter_open(void)
{
	return -1;
}

#endif
