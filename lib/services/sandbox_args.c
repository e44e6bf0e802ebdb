/* sandbox_args.c - the command line of bubblewrap.
 *
 * Read from left to right bubblewrap builds a file system on an empty one: system folders, the two
 * writable ones with a size, what the caller binds (after them, so that an interpreter below /tmp
 * is still there), then everything else is closed for writing, /dev too, because a program may
 * otherwise fill the memory of the machine there. Behind it stand setpriv and prlimit of
 * util-linux: limits on processes must be set inside the user namespace, or the kernel counts
 * processes outside as well. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/services/sandbox_impl.h"

static void add(struct sandbox_args *args, const char *text)
{
	must(args->count < SANDBOX_ARGS_MAX);
	args->argv[args->count++] = text;
	args->argv[args->count] = NULL;
}

static void add_all(struct sandbox_args *args, const char *const *texts)
{
	for (size_t i = 0; texts[i]; i++)
		add(args, texts[i]);
}

/* Adds text that is made here. */
static void add_made(struct sandbox_args *args, char *take_text)
{
	must(args->made_count < SANDBOX_ARGS_MAX);
	args->made[args->made_count++] = take_text;
	add(args, take_text);
}

static void add_number(struct sandbox_args *args, const char *prefix, int64_t number)
{
	add_made(args, str_printf("%s%lld", prefix, (long long)number));
}

/* A system folder; on merged systems /lib is a link to usr/lib and becomes one inside. */
static void add_system(struct sandbox_args *args, const char *path)
{
	struct stat st;
	char target[256];
	if (lstat(path, &st) != 0)
		return;
	if (!S_ISLNK(st.st_mode)) {
		add_all(args, (const char *const[]){"--ro-bind", path, path, NULL});
		return;
	}
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	if (len <= 0)
		return;
	add(args, "--symlink");
	add_made(args, str_dup_len(target, (size_t)len));
	add(args, path);
}

/* The folders above a place where something is bound: bubblewrap would make them for root alone. */
static void add_parents(struct sandbox_args *args, const char *path)
{
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		AUTO_FREE char *parent = str_dup_len(path, (size_t)(slash - path));
		if (str_eq(parent, "/tmp") || str_eq(parent, "/out"))
			continue;
		add_all(args, (const char *const[]){"--perms", "0755", "--dir", NULL});
		add_made(args, take(parent));
	}
}

static void add_namespaces(struct sandbox_args *args, int userns_fd)
{
	add_all(args, (const char *const[]){"--unshare-pid", "--unshare-net", "--unshare-ipc",
					    "--unshare-uts", "--unshare-cgroup-try",
					    "--die-with-parent", "--new-session", "--clearenv",
					    "--hostname", "sandbox", NULL});
	if (userns_fd >= 0) {
		add(args, "--userns");
		add_number(args, "", userns_fd);
	} else if (geteuid() != 0) {
		add_all(args, (const char *const[]){"--unshare-user", "--uid", "65534", "--gid",
						    "65534", NULL});
	}
	if (geteuid() == 0)
		add_all(args, (const char *const[]){"--cap-drop", "ALL", "--cap-add", "CAP_SETUID",
						    "--cap-add", "CAP_SETGID", NULL});
}

static void add_files(struct sandbox_args *args, const struct sandbox_request *request)
{
	static const char *const system[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"};
	for (size_t i = 0; i < ARRAY_LEN(system); i++)
		add_system(args, system[i]);
	add_all(args,
		(const char *const[]){"--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache",
				      "--ro-bind-try", "/etc/alternatives", "/etc/alternatives",
				      "--proc", "/proc", "--dev", "/dev", NULL});
	static const char *const writable[] = {"/tmp", "/out"};
	for (size_t i = 0; i < ARRAY_LEN(writable); i++) {
		add(args, "--size");
		add_number(args, "", request->files_bytes_max);
		add_all(args,
			(const char *const[]){"--perms", "1777", "--tmpfs", writable[i], NULL});
	}
	for (size_t i = 0; i < request->binds_count; i++) {
		add_parents(args, request->binds[i].to);
		add_all(args, (const char *const[]){"--ro-bind", request->binds[i].from,
						    request->binds[i].to, NULL});
	}
	if (request->source_dir)
		add_all(args,
			(const char *const[]){"--ro-bind", request->source_dir, "/source", NULL});
	add_all(args, (const char *const[]){"--remount-ro", "/dev", "--remount-ro", "/", "--chdir",
					    "/", NULL});
}

static void add_limits(struct sandbox_args *args, const struct sandbox_request *request)
{
	if (geteuid() == 0)
		add_all(args,
			(const char *const[]){"/usr/bin/setpriv", "--reuid=65534", "--regid=65534",
					      "--clear-groups", "--inh-caps=-all", NULL});
	add(args, "/usr/bin/prlimit");
	add_number(args, "--nproc=", request->processes_max);
	add_number(args, "--as=", request->memory_bytes_max);
	add_number(args, "--cpu=", request->timeout_ms / 1000 + 5);
	add_number(args, "--fsize=", request->files_bytes_max);
	add_all(args, (const char *const[]){"--nofile=512", "--core=0", "--memlock=0",
					    "--msgqueue=0", NULL});
}

void sandbox_args_build(struct sandbox_args *args, const struct sandbox_request *request,
			const char *bwrap, int userns_fd, int filter_fd)
{
	*args = (struct sandbox_args){.count = 0};
	add(args, bwrap);
	add_namespaces(args, userns_fd);
	add_files(args, request);
	for (size_t i = 0; request->env[i]; i += 2)
		add_all(args, (const char *const[]){"--setenv", request->env[i],
						    request->env[i + 1], NULL});
	if (filter_fd >= 0) {
		add(args, "--seccomp");
		add_number(args, "", filter_fd);
	}
	add(args, "--");
	add_limits(args, request);
	add_all(args, request->argv);
}

void sandbox_args_dispose(struct sandbox_args *args)
{
	for (size_t i = 0; i < args->made_count; i++)
		mem_free(args->made[i]);
	args->made_count = 0;
}
