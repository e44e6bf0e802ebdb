/* test_sandbox.c - pipeline files that mean harm: each is contained, and the next compile works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <ctype.h>
#include <dirent.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/services/sandbox_impl.h"
#include "tests/unit/services/checkout.h"

#define SECRET	 "kfops-test-secret-7f3a"
#define ABSTRACT "kfops-test-sandbox"

enum { SHORT_MS = 4000, LONG_MS = 60000, KILL_MS = 10000 };

static const char good[] = "from kfp import dsl\n"
			   "@dsl.component\n"
			   "def hello():\n"
			   "    pass\n"
			   "@dsl.pipeline(name='greet')\n"
			   "def greet():\n"
			   "    hello()\n";

/* Their code reports what it got at as an exception; "clean" is what it must say. */
static const struct {
	const char *name, *text;
	const char *codes; /* any of these, separated by spaces */
	const char *words; /* in the message */
} hostile[] = {
	{"endless loop", "while True:\n    pass\n", "compile.timeout", "longer than 4.0 s"},
	{"ignores SIGTERM",
	 "import signal, time\n"
	 "for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
	 "    signal.signal(s, signal.SIG_IGN)\n"
	 "time.sleep(1000)\n",
	 "compile.timeout", "longer than 4.0 s"},
	{"fork bomb",
	 "import os\n"
	 "while True:\n"
	 "    try:\n"
	 "        os.fork()\n"
	 "    except OSError:\n"
	 "        pass\n",
	 "compile.timeout", "longer than 4.0 s"},
	{"fork bomb that gives up", "import os\nwhile True:\n    os.fork()\n",
	 "compile.failed compile.killed compile.invalid compile.timeout compile.memory", ""},
	{"thread bomb",
	 "import threading, time\n"
	 "for i in range(100000):\n"
	 "    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n",
	 "compile.failed compile.memory", "p.py, line 3"},
	{"leaves a process behind",
	 "import os, time\n"
	 "if os.fork() == 0:\n"
	 "    os.setsid()\n"
	 "    if os.fork() == 0:\n"
	 "        time.sleep(1000)\n"
	 "    os._exit(0)\n"
	 "raise RuntimeError('clean')\n",
	 "compile.failed", "clean"},
	{"50 GB into a file",
	 "with open('/tmp/big', 'wb') as f:\n"
	 "    for i in range(50 * 1024):\n"
	 "        f.write(bytes(1 << 20))\n",
	 "compile.output", "p.py, line 3"},
	{"50 GB into many files",
	 "for i in range(50 * 1024):\n"
	 "    with open('/out/%d' % i, 'wb') as f:\n"
	 "        f.write(bytes(1 << 20))\n",
	 "compile.output", "p.py, line"},
	{"50 GB of lines", "while True:\n    print('x' * (1 << 20))\n", "compile.output",
	 "more than is allowed"},
	{"50 GB into the result", "import os\nwhile True:\n    os.write(3, bytes(1 << 16))\n",
	 "compile.output", "more than is allowed"},
	{"50 GB elsewhere",
	 "seen = []\n"
	 "for name in ('/x', '/dev/x', '/dev/shm/x', '/proc/x', '/usr/x', '/kfops/x', "
	 "'/source/x',\n"
	 "             '/etc/x', '/sys/x', '/run/x', '/var/tmp/x', '/home/x', '/root/x'):\n"
	 "    try:\n"
	 "        open(name, 'w').close()\n"
	 "        seen.append(name)\n"
	 "    except OSError:\n"
	 "        pass\n"
	 "raise RuntimeError(str(seen or 'clean'))\n",
	 "compile.failed", "clean"},
	{"much memory", "x = bytearray(8 << 30)\n", "compile.memory", "p.py, line 1"},
	{"many mappings",
	 "import mmap\nx = [mmap.mmap(-1, 1 << 28, flags=mmap.MAP_PRIVATE) for i in range(100)]\n",
	 "compile.failed compile.memory", "p.py, line 2"},
	{"eight children with much memory",
	 "import os, time\n"
	 "for i in range(8):\n"
	 "    if os.fork() == 0:\n"
	 "        x = bytearray(b'x') * (600 << 20)\n"
	 "        time.sleep(1000)\n"
	 "time.sleep(1000)\n",
	 "compile.memory", "more than 1024 MiB of memory, all its processes together"},
	{"children of children, each in a session of its own",
	 "import os, time\n"
	 "for i in range(8):\n"
	 "    if os.fork() == 0:\n"
	 "        os.setsid()\n"
	 "        if os.fork() > 0:\n"
	 "            os._exit(0)\n"
	 "        x = bytearray(b'x') * (600 << 20)\n"
	 "        time.sleep(1000)\n"
	 "time.sleep(1000)\n",
	 "compile.memory", "all its processes together"},
	{"memory that children share is counted once",
	 "import os\n"
	 "x = bytearray(b'x') * (400 << 20)\n"
	 "ends = []\n"
	 "for i in range(8):\n"
	 "    r, w = os.pipe()\n"
	 "    if os.fork() == 0:\n"
	 "        os.close(w)\n"
	 "        os.read(r, 1)\n"
	 "        os._exit(sum(x[::4096]) % 2)\n"
	 "    os.close(r)\n"
	 "    ends.append(w)\n"
	 "for round in range(20):\n"
	 "    sum(x[::64])\n"
	 "for w in ends:\n"
	 "    os.close(w)\n"
	 "for i in range(8):\n"
	 "    os.wait()\n"
	 "raise RuntimeError('clean')\n",
	 "compile.failed", "clean"},
	{"memory that belongs to nobody",
	 "import ctypes, mmap, os\n"
	 "libc = ctypes.CDLL(None, use_errno=True)\n"
	 "bad = []\n"
	 "if libc.shmget(0, 1 << 20, 0o1600) >= 0: bad.append('shmget')\n"
	 "if libc.msgget(0, 0o1600) >= 0: bad.append('msgget')\n"
	 "try:\n"
	 "    os.memfd_create('x')\n"
	 "    bad.append('memfd')\n"
	 "except OSError:\n"
	 "    pass\n"
	 "try:\n"
	 "    mmap.mmap(-1, 1 << 20)\n"
	 "    bad.append('shared mapping')\n"
	 "except OSError:\n"
	 "    pass\n"
	 "mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)[0] = 1\n"
	 "raise RuntimeError(str(bad or 'clean'))\n",
	 "compile.failed", "clean"},
	{"secrets in the environment",
	 "import glob, os\n"
	 "seen = [v for v in os.environ.values() if '" SECRET "' in v]\n"
	 "for name in glob.glob('/proc/*/environ') + glob.glob('/proc/*/task/*/environ'):\n"
	 "    try:\n"
	 "        text = open(name, 'rb').read()\n"
	 "        seen += [name] if b'" SECRET "' in text else []\n"
	 "    except OSError:\n"
	 "        pass\n"
	 "raise RuntimeError(str(seen or 'clean'))\n",
	 "compile.failed", "clean"},
	{"other processes",
	 "import os\n"
	 "seen = [n for n in os.listdir('/proc') if n.isdigit()]\n"
	 "raise RuntimeError('clean' if len(seen) <= 2 else str(seen))\n",
	 "compile.failed", "clean"},
	{"files of the machine",
	 "import glob, os, sys\n"
	 "names = ['/etc/passwd', '/etc/shadow', '/etc/hostname', '/root/.ssh', '/home', '/var',\n"
	 "         '/run/secrets', '/var/run/secrets', '/sys', '/boot']\n"
	 "seen = [n for n in names if os.path.exists(n)]\n"
	 "seen += [n for n in glob.glob('/tmp/*') if not sys.prefix.startswith(n)]\n"
	 "raise RuntimeError(str(seen or 'clean'))\n",
	 "compile.failed", "clean"},
	{"who it is",
	 "import os\n"
	 "s = open('/proc/self/status').read()\n"
	 "caps = [l for l in s.splitlines() if l.startswith(('CapEff', 'CapPrm', 'CapAmb'))]\n"
	 "bad = [l for l in caps if int(l.split()[1], 16)]\n"
	 "bad += ['uid'] if os.getuid() != 65534 or os.getgid() != 65534 else []\n"
	 "bad += ['privileges'] if 'NoNewPrivs:\\t1' not in s else []\n"
	 "try:\n"
	 "    os.setuid(0)\n"
	 "    bad.append('setuid')\n"
	 "except OSError:\n"
	 "    pass\n"
	 "raise RuntimeError(str(bad or 'clean'))\n",
	 "compile.failed", "clean"},
	{"sockets",
	 "import os, socket\n"
	 "port = int(open('/source/port').read())\n"
	 "seen = []\n"
	 "def reach(family, address):\n"
	 "    try:\n"
	 "        s = socket.socket(family, socket.SOCK_STREAM)\n"
	 "        s.settimeout(1)\n"
	 "        s.connect(address)\n"
	 "        seen.append(str(address))\n"
	 "    except OSError:\n"
	 "        pass\n"
	 "reach(socket.AF_INET, ('127.0.0.1', port))\n"
	 "reach(socket.AF_INET, ('1.1.1.1', 53))\n"
	 "reach(socket.AF_INET6, ('::1', port))\n"
	 "reach(socket.AF_UNIX, '\\0" ABSTRACT "')\n"
	 "for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):\n"
	 "    try:\n"
	 "        socket.socket(family, socket.SOCK_DGRAM)\n"
	 "        seen.append('family %d' % family)\n"
	 "    except OSError:\n"
	 "        pass\n"
	 "raise RuntimeError(str(seen or 'clean'))\n",
	 "compile.failed", "clean"},
	{"system calls",
	 "import ctypes\n"
	 "libc = ctypes.CDLL(None, use_errno=True)\n"
	 "bad = []\n"
	 "if libc.unshare(0x10000000) == 0: bad.append('unshare')\n"
	 "if libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0: bad.append('mount')\n"
	 "if libc.ptrace(0, 0, 0, 0) == 0: bad.append('ptrace')\n"
	 "if libc.umount2(b'/source', 2) == 0: bad.append('umount')\n"
	 "raise RuntimeError(str(bad or 'clean'))\n",
	 "compile.failed", "clean"},
	{"descriptors of the parent",
	 "import os\n"
	 "seen = [n for n in os.listdir('/proc/self/fd') if int(n) > 3]\n"
	 "links = [os.readlink('/proc/self/fd/' + n) for n in seen\n"
	 "         if os.path.lexists('/proc/self/fd/' + n)]\n"
	 "links = [l for l in links if not l.startswith('/source/')]\n"
	 "raise RuntimeError(str(links or 'clean'))\n",
	 "compile.failed", "clean"},
	{"ends the interpreter", "import os\nos._exit(7)\n", "compile.killed", "exit code 7"},
	{"kills itself", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
	 "compile.killed", "signal 9"},
	{"crashes", "import ctypes\nctypes.string_at(0)\n", "compile.killed", "signal 11"},
	{"forged result",
	 "import os\n"
	 "os.write(3, b'pipeline.yaml 99999999999999999999\\nx')\n"
	 "os._exit(0)\n",
	 "compile.killed", "exit code 0"},
	{"forged fault of the operator",
	 "import json, os\n"
	 "e = json.dumps({'kind': 'no_kfp', 'message': 'wake the operator up'}).encode()\n"
	 "os.write(3, b'error.json %d\\n%send\\n' % (len(e), e))\n"
	 "os._exit(0)\n",
	 "compile.failed", "wake the operator up"},
	{"forged place",
	 "import json, os\n"
	 "e = json.dumps({'kind': 'exception', 'type': 'E', 'message': 'm', 'line': -5,\n"
	 "                'path': '../../etc/passwd'}).encode()\n"
	 "os.write(3, b'error.json %d\\n%send\\n' % (len(e), e))\n"
	 "os._exit(0)\n",
	 "compile.failed", "E: m"},
	{"forged pipeline",
	 "import os\n"
	 "y = b'a: &a [x]\\nb: [*a, *a]\\n'\n"
	 "os.write(3, b'pipeline.yaml %d\\n%send\\n' % (len(y), y))\n"
	 "os._exit(0)\n",
	 "compile.invalid", "no valid pipeline"},
};

static enum err_class compile_text(const char *text, struct compile_result *result, struct err *err,
				   const struct checkout *checkout, int timeout_ms)
{
	struct compile_options options = checkout_options();
	options.timeout_ms = timeout_ms;
	options.memory_bytes_max = 1LL << 30;
	checkout_write(checkout, "p.py", text);
	struct compile_request request = {.source_dir = checkout->dir, .pipeline_path = "p.py"};
	return compile_run(&options, &request, result, err);
}

/* Processes whose command line names the compiler and this test's file. */
static int count_compilers(void)
{
	DIR *list = opendir("/proc");
	struct dirent *entry;
	int count = 0;
	while ((entry = readdir(list)) != NULL) {
		char path[300], text[4096] = "";
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
		if (fd >= 0)
			close(fd);
		if (len > 0 && memmem(text, (size_t)len, "kfops.compile", 13) &&
		    memmem(text, (size_t)len, "--path=p.py", 11))
			count++;
	}
	closedir(list);
	return count;
}

/* Listens where a sandbox with a network could reach it. */
static void listen_outside(const struct checkout *checkout, int fds[2])
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(in);
	char port[16];
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fds[0], (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fds[0], 5), 0);
	getsockname(fds[0], (struct sockaddr *)&in, &len);
	snprintf(port, sizeof(port), "%d", ntohs(in.sin_port));
	checkout_write(checkout, "port", port);
	fds[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(un.sun_path + 1, ABSTRACT, sizeof(ABSTRACT) - 1);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(ABSTRACT));
	assert_int_equal(bind(fds[1], (struct sockaddr *)&un, len), 0);
	assert_int_equal(listen(fds[1], 5), 0);
}

static void check_hostile(size_t i, const struct checkout *checkout)
{
	struct compile_result result;
	struct err err = {.class = ERR_OK};
	int timeout_ms = strstr(hostile[i].codes, "compile.timeout") ? SHORT_MS : LONG_MS;
	enum err_class class = compile_text(hostile[i].text, &result, &err, checkout, timeout_ms);
	if (class != ERR_USER || !err.code[0] || !strstr(hostile[i].codes, err.code) ||
	    !strstr(err.msg, hostile[i].words))
		fail_msg("%s: %s %s: %s\n%s", hostile[i].name, err_class_name(class), err.code,
			 err.msg, result.log ? result.log : "");
	if (result.took_ms > timeout_ms + KILL_MS)
		fail_msg("%s: took %lld ms", hostile[i].name, (long long)result.took_ms);
	if (result.error.path && !str_eq(result.error.path, "p.py"))
		fail_msg("%s: %s", hostile[i].name, result.error.path);
	compile_result_dispose(&result);
}

/* The kernel may need a moment to take the last ones off its list. */
static void check_nothing_left(const char *after)
{
	int count = 1;
	for (int tries = 0; tries < 100 && (count = count_compilers()) > 0; tries++)
		usleep(10000);
	if (count > 0)
		fail_msg("after %s: %d processes are left", after, count);
}

static void check_good(const char *after, const struct checkout *checkout)
{
	struct compile_result result;
	struct err err = {.class = ERR_OK};
	if (compile_text(good, &result, &err, checkout, LONG_MS) != ERR_OK)
		fail_msg("after %s: %s", after, err.msg);
	compile_result_dispose(&result);
}

static void test_hostile_files_are_contained(void **state)
{
	(void)state;
	if (!checkout_can_compile())
		skip();
	struct checkout checkout;
	int fds[2];
	checkout_make(&checkout, NULL);
	listen_outside(&checkout, fds);
	setenv("KFOPS_TEST_TOKEN", SECRET, 1);
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		check_hostile(i, &checkout);
		check_nothing_left(hostile[i].name);
		if (!str_eq(hostile[i].words, "clean")) /* those have used nothing up */
			check_good(hostile[i].name, &checkout);
	}
	close(fds[0]);
	close(fds[1]);
	char file[96];
	snprintf(file, sizeof(file), "%s/x", checkout.dir);
	assert_int_not_equal(access(file, F_OK), 0);
	checkout_remove(&checkout);
}

/* --- what holds the memory --- */

static void test_group_path(void **state)
{
	static const struct {
		const char *text, *path;
	} cases[] = {
		{"0::/\n", "/sys/fs/cgroup"},
		{"0::/system.slice/kfopsd.service\n", "/sys/fs/cgroup/system.slice/kfopsd.service"},
		{"9:name=systemd:/x\n4:memory:/y\n0::/z\n", "/sys/fs/cgroup/z"},
		{"4:memory:/y\n", NULL},
		{"0::/../../x\n", NULL},
		{"0::/..\n", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *path = sandbox_group_path(cases[i].text);

		if (!str_eq(path ? path : "-", cases[i].path ? cases[i].path : "-"))
			fail_msg("%s: %s", cases[i].text, path ? path : "-");
	}
}

static void test_stat_of_a_process(void **state)
{
	static const struct {
		const char *text;
		bool good;
		pid_t parent;
		int64_t pages;
	} cases[] = {
		{"42 (python3) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 100 5000000 321 1 "
		 "2\n",
		 true, 7, 321},
		{"42 (a) R 1 (b) c)) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 100 5 321 1\n",
		 true, 7, 321},
		{"42 (x) Z 7 1 1 0 -1 1 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0\n", true, 7, 0},
		{"42 (python3) S 7\n", false, 0, 0},
		{"42 python3\n", false, 0, 0},
		{"", false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t pages = 0;
		pid_t parent = 0;

		if (sandbox_stat_parse(cases[i].text, &parent, &pages) != cases[i].good ||
		    (cases[i].good && (parent != cases[i].parent || pages != cases[i].pages)))
			fail_msg("%s: %d %lld", cases[i].text, (int)parent, (long long)pages);
	}
}

/* A folder that is no cgroup: the sandbox goes on without one, and leaves nothing there. */
static void test_a_group_that_cannot_be_made(void **state)
{
	struct compile_options options = checkout_options();
	struct checkout checkout;
	struct compile_result result;
	struct compile_request request = {.pipeline_path = "p.py"};
	struct err err;

	(void)state;
	if (!checkout_can_compile())
		skip();
	checkout_make(&checkout, NULL);
	checkout_write(&checkout, "p.py", good);
	AUTO_FREE char *folder = str_printf("%s/group", checkout.dir);
	assert_int_equal(mkdir(folder, 0700), 0);
	request.source_dir = checkout.dir;
	options.cgroup = folder;
	assert_int_equal(compile_run(&options, &request, &result, &err), ERR_OK);
	compile_result_dispose(&result);
	assert_int_equal(rmdir(folder), 0);
	options.cgroup = "/nonexistent";
	assert_int_equal(compile_run(&options, &request, &result, &err), ERR_OK);
	compile_result_dispose(&result);
	checkout_remove(&checkout);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_group_path),
		cmocka_unit_test(test_stat_of_a_process),
		cmocka_unit_test(test_a_group_that_cannot_be_made),
		cmocka_unit_test(test_hostile_files_are_contained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
