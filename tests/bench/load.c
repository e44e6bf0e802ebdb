/* load.c - signed webhooks as fast as they go, or at a fixed rate, with exact latencies.
 *
 *   bench_load --port N [--path P] [--secret S] [--connections N] [--seconds S] [--warm S]
 *              [--close] [--rate N] [--event comment|irrelevant] [--acked FILE]
 *
 * One thread, one epoll descriptor. The body is an issue_comment of about 14 KB in GitHub's shape,
 * whose comment and pull request are new in every request, so that every one is a command to store;
 * irrelevant ones are alike and signed once a second, so that the load is not what is measured.
 * Closed loop: a connection sends the next request when it has the answer. At a rate (open loop):
 * requests fall due by the clock, on whatever connection is free, and the time counts from when one
 * was due, so a server that stalls cannot hide it. With --close each request has a connection of
 * its own and the time includes making it. Prints one line of JSON; appends the GUIDs of answered
 * requests to a file for kill tests. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"

enum { BODY_MAX = 64 << 10, HEAD_MAX = 768, TAIL_MAX = 1024, EVENTS = 256, REPLY_MAX = 1024 };

struct wire {
	int fd; /* -1: not connected */
	bool busy;
	int64_t start_ns;
	size_t sent, head_len, tail_len, got;
	char head[HEAD_MAX], tail[TAIL_MAX], reply[REPLY_MAX], guid[37];
};

static struct {
	int port, connections;
	double seconds, warm;
	const char *path, *secret, *event;
	bool closing;
	int64_t rate;
	FILE *acked;
} options = {.connections = 1,
	     .seconds = 3,
	     .warm = 0.5,
	     .path = "/webhook",
	     .secret = "benchsecret",
	     .event = "comment"};

static int epoll_fd;
static struct wire *wires;
static struct buf prefix; /* of every body */
static struct sign_hmac_stream *mac;
static uint64_t serial, salt;
static char now_text[21];

static int64_t answered, refused, broken, sent_all;
static int64_t *times_ns;
static size_t time_count, time_cap;
static bool measuring;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the body --- */

static void put_links(struct buf *out, const char *base, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "\"%s_url\":\"%s/%s{/other}\",", names[i], base, names[i]);
}

static void put_user(struct buf *out, const char *login, int id)
{
	static const char *const links[] = {"html",    "followers",	"following",	 "gists",
					    "starred", "subscriptions", "organizations", "repos",
					    "events",  "avatar",	"received_event"};
	char base[64];

	snprintf(base, sizeof base, "https://api.github.com/users/%s", login);
	buf_printf(out, "{\"login\":\"%s\",\"id\":%d,\"node_id\":\"MDQ6VXNlcjIxMDMxMDY3\",", login,
		   id);
	put_links(out, base, links, ARRAY_LEN(links));
	buf_printf(out, "\"url\":\"%s\",\"type\":\"User\",\"site_admin\":false}", base);
}

static void put_repository(struct buf *out)
{
	static const char *const links[] = {
		"forks",	"keys",	      "collaborators", "teams",		"hooks",
		"issue_events", "events",     "assignees",     "branches",	"tags",
		"blobs",	"git_tags",   "git_refs",      "trees",		"statuses",
		"languages",	"stargazer",  "contributors",  "subscribers",	"subscription",
		"commits",	"git_commit", "comments",      "issue_comment", "contents",
		"compare",	"merges",     "archive",       "downloads",	"issues",
		"pulls",	"milestones", "notifications", "labels",	"releases",
		"deployments",	"git",	      "ssh",	       "clone",		"svn"};

	buf_puts(out, "{\"id\":186853002,\"node_id\":\"MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=\","
		      "\"name\":\"iris\",\"full_name\":\"octo/iris\",\"private\":false,\"owner\":");
	put_user(out, "octo", 21031067);
	buf_puts(out, ",\"html_url\":\"https://github.com/octo/iris\",\"description\":null,"
		      "\"fork\":false,");
	put_links(out, "https://api.github.com/repos/octo/iris", links, ARRAY_LEN(links));
	buf_puts(out, "\"size\":12,\"stargazers_count\":0,\"default_branch\":\"main\"}");
}

static void make_prefix(void)
{
	prefix = buf_make(BODY_MAX);
	buf_puts(&prefix, "{\"action\":\"created\",\"repository\":");
	put_repository(&prefix);
	buf_puts(&prefix, ",\"organization\":");
	put_user(&prefix, "octo", 21031067);
	buf_puts(&prefix, ",\"sender\":");
	put_user(&prefix, "ann", 1001);
	buf_puts(&prefix, ",\"installation\":{\"id\":99,\"node_id\":\"MDIzOkludGVncmF0aW9u\"},"
			  "\"issue\":{\"user\":");
	put_user(&prefix, "ann", 1001);
	buf_puts(&prefix, ",\"labels\":[],\"assignees\":[],\"locked\":false,\"body\":\"");
	while (prefix.len < 13000)
		buf_puts(&prefix,
			 "It looks like you accidentally spelled 'commit' with two 't's. ");
	buf_puts(&prefix, "\",");
	must(!prefix.truncated);
	mac = sign_hmac_stream_new(options.secret, strlen(options.secret));
}

static void make_request(struct wire *wire)
{
	static char hex[65], signed_tail[TAIL_MAX];
	bool irrelevant = str_eq(options.event, "irrelevant");
	uint64_t id = ++serial, told = irrelevant ? 0 : id,
		 mixed = (id + salt) * UINT64_C(0x9E3779B97F4A7C15);
	unsigned char digest[32];

	mixed ^= mixed >> 29;
	wire->tail_len = (size_t)snprintf(
		wire->tail, sizeof wire->tail,
		"\"number\":%llu,\"state\":\"open\",\"pull_request\":{\"url\":\"https://api.github"
		".com/repos/octo/iris/pulls/1\",\"merged_at\":null}},\"comment\":{\"id\":%llu,"
		"\"user\":{\"login\":\"ann\",\"id\":1001,\"type\":\"User\"},\"created_at\":\"%s\","
		"\"author_association\":\"MEMBER\",\"performed_via_github_app\":null,"
		"\"body\":\"/build_run --experiment churn\"}}",
		(unsigned long long)((salt + told) % 1000000007 + 1),
		(unsigned long long)(salt % 1000000007 + told), now_text);
	if (!str_eq(wire->tail, signed_tail)) {
		sign_hmac_stream_start(mac);
		sign_hmac_stream_add(mac, prefix.data, prefix.len);
		sign_hmac_stream_add(mac, wire->tail, wire->tail_len);
		sign_hmac_stream_end(mac, digest);
		str_hex(hex, digest, sizeof digest);
		must(str_copy(signed_tail, sizeof signed_tail, wire->tail));
	}
	snprintf(wire->guid, sizeof wire->guid, "%08llx-%04llx-4000-8000-%012llx",
		 (unsigned long long)(mixed >> 32), (unsigned long long)(mixed & 0xffff),
		 (unsigned long long)((id + salt) & 0xffffffffffff));
	wire->head_len = (size_t)snprintf(
		wire->head, sizeof wire->head,
		"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n"
		"Accept: */*\r\nContent-Type: application/json\r\nX-GitHub-Delivery: %s\r\n"
		"X-GitHub-Event: %s\r\nX-GitHub-Hook-ID: 292430182\r\n"
		"X-GitHub-Hook-Installation-Target-ID: 79929171\r\n"
		"X-GitHub-Hook-Installation-Target-Type: repository\r\n"
		"X-Hub-Signature-256: sha256=%s\r\nContent-Length: %zu\r\n%s\r\n",
		options.path, wire->guid, irrelevant ? "watch" : "issue_comment", hex,
		prefix.len + wire->tail_len, options.closing ? "Connection: close\r\n" : "");
	must(wire->head_len < sizeof wire->head && wire->tail_len < sizeof wire->tail);
	wire->sent = wire->got = 0;
}

/* --- connections --- */

static void watch(struct wire *wire, uint32_t events, int how)
{
	struct epoll_event event = {.events = events, .data.ptr = wire};

	if (epoll_ctl(epoll_fd, how, wire->fd, &event) != 0)
		die("epoll_ctl");
}

static void hang_up(struct wire *wire)
{
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
}

static void dial(struct wire *wire)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)options.port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int one = 1;

	wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (wire->fd < 0)
		die("socket");
	setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(wire->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
		die("connect");
	watch(wire, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void end_request(struct wire *wire, int status)
{
	if (status >= 200 && status < 300) {
		if (options.acked)
			fprintf(options.acked, "%s\n", wire->guid);
		sent_all++;
		if (measuring && time_count == time_cap) {
			time_cap = time_cap ? 2 * time_cap : 1 << 16;
			times_ns = mem_grow(times_ns, time_cap * sizeof *times_ns);
		}
		if (measuring) {
			times_ns[time_count++] = now_ns() - wire->start_ns;
			answered++;
		}
	} else if (measuring) {
		*(status ? &refused : &broken) += 1;
	}
	wire->busy = false;
	if (!status || options.closing)
		hang_up(wire);
}

static void push(struct wire *wire)
{
	struct iovec parts[3] = {{wire->head, wire->head_len},
				 {prefix.data, prefix.len},
				 {wire->tail, wire->tail_len}};
	size_t all = wire->head_len + prefix.len + wire->tail_len;

	while (wire->sent < all) {
		struct iovec left[3];
		size_t skip = wire->sent;
		int count = 0;
		ssize_t sent;

		for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
			if (skip >= parts[i].iov_len) {
				skip -= parts[i].iov_len;
				continue;
			}
			left[count].iov_base = (char *)parts[i].iov_base + skip;
			left[count++].iov_len = parts[i].iov_len - skip;
			skip = 0;
		}
		sent = writev(wire->fd, left, count);
		if (sent < 0 && (errno == EAGAIN || errno == EINPROGRESS))
			return;
		if (sent < 0) {
			end_request(wire, 0);
			return;
		}
		wire->sent += (size_t)sent;
	}
}

static void start_request(struct wire *wire, int64_t due_ns)
{
	wire->busy = true;
	wire->start_ns = due_ns ? due_ns : now_ns();
	make_request(wire);
	if (wire->fd < 0)
		dial(wire);
	else
		push(wire);
}

/* The status once the whole answer is there, 0 before. */
static int status_of(struct wire *wire)
{
	const char *end, *length;
	int status;
	size_t body = 0;

	wire->reply[wire->got] = '\0';
	end = strstr(wire->reply, "\r\n\r\n");
	if (!end || sscanf(wire->reply, "HTTP/1.1 %d", &status) != 1)
		return 0;
	length = strcasestr(wire->reply, "\r\ncontent-length:");
	if (length && length < end)
		body = (size_t)strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
	return wire->got >= (size_t)(end + 4 - wire->reply) + body ? status : 0;
}

static void pull(struct wire *wire)
{
	ssize_t got;
	int status;

	got = read(wire->fd, wire->reply + wire->got, sizeof wire->reply - 1 - wire->got);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		if (wire->busy)
			end_request(wire, 0);
		else
			hang_up(wire);
		return;
	}
	wire->got += (size_t)got;
	status = status_of(wire);
	if (status)
		end_request(wire, status);
}

static void on_event(const struct epoll_event *event)
{
	struct wire *wire = event->data.ptr;

	if (wire->fd >= 0 && wire->busy && (event->events & EPOLLOUT)) {
		push(wire);
		if (wire->fd >= 0 && wire->sent == wire->head_len + prefix.len + wire->tail_len)
			watch(wire, EPOLLIN, EPOLL_CTL_MOD);
	}
	if (wire->fd >= 0 && (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		pull(wire);
}

/* Starts what is due on whatever connection is free. */
static void start_due(int64_t begin_ns, int64_t *due_count)
{
	int64_t now = now_ns();

	for (int i = 0; i < options.connections; i++) {
		int64_t due_ns = 0;

		if (wires[i].busy)
			continue;
		if (options.rate) {
			due_ns = begin_ns + *due_count * 1000000000 / options.rate;
			if (due_ns > now)
				return;
			++*due_count;
		}
		start_request(&wires[i], due_ns);
	}
}

static void run(void)
{
	int64_t begin_ns = now_ns(), due_count = 0;
	int64_t measure_ns = begin_ns + (int64_t)(options.warm * 1e9);
	int64_t end_ns = measure_ns + (int64_t)(options.seconds * 1e9);
	struct epoll_event events[EVENTS];

	for (int64_t now = begin_ns; now < end_ns; now = now_ns()) {
		int timeout_ms = 100, count;

		measuring = now >= measure_ns;
		clock_rfc3339(now_text, clock_now_ms());
		start_due(begin_ns, &due_count);
		if (options.rate) {
			int64_t next = begin_ns + due_count * 1000000000 / options.rate - now_ns();

			timeout_ms = next > 2000000 ? (int)(next / 1000000) - 1 : 0;
		}
		count = epoll_wait(epoll_fd, events, EVENTS, timeout_ms);
		for (int i = 0; i < count; i++)
			on_event(&events[i]);
	}
}

/* --- the report --- */

static int by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double percentile_us(double share)
{
	if (!time_count)
		return 0;
	return (double)times_ns[(size_t)(share * (double)(time_count - 1))] / 1e3;
}

static void report(void)
{
	qsort(times_ns, time_count, sizeof *times_ns, by_size);
	printf("{\"connections\":%d,\"close\":%s,\"rate\":%lld,\"event\":\"%s\",\"answered\":%lld,"
	       "\"refused\":%lld,\"broken\":%lld,\"all\":%lld,\"rps\":%.1f,\"p50_us\":%.1f,"
	       "\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"body\":%zu}\n",
	       options.connections, options.closing ? "true" : "false", (long long)options.rate,
	       options.event, (long long)answered, (long long)refused, (long long)broken,
	       (long long)sent_all, (double)answered / options.seconds, percentile_us(0.5),
	       percentile_us(0.99), percentile_us(0.999), percentile_us(1),
	       prefix.len + wires[0].tail_len);
}

static void read_options(int argc, char **argv)
{
	static const struct option longs[] = {{"port", required_argument, NULL, 'p'},
					      {"path", required_argument, NULL, 'u'},
					      {"secret", required_argument, NULL, 'k'},
					      {"connections", required_argument, NULL, 'c'},
					      {"seconds", required_argument, NULL, 's'},
					      {"warm", required_argument, NULL, 'w'},
					      {"close", no_argument, NULL, 'x'},
					      {"rate", required_argument, NULL, 'r'},
					      {"event", required_argument, NULL, 'e'},
					      {"acked", required_argument, NULL, 'a'},
					      {NULL, 0, NULL, 0}};
	int letter;

	while ((letter = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (letter) {
		case 'p':
			options.port = (int)strtol(optarg, NULL, 10);
			break;
		case 'u':
			options.path = optarg;
			break;
		case 'k':
			options.secret = optarg;
			break;
		case 'c':
			options.connections = (int)strtol(optarg, NULL, 10);
			break;
		case 's':
			options.seconds = strtod(optarg, NULL);
			break;
		case 'w':
			options.warm = strtod(optarg, NULL);
			break;
		case 'x':
			options.closing = true;
			break;
		case 'r':
			options.rate = strtoll(optarg, NULL, 10);
			break;
		case 'e':
			options.event = optarg;
			break;
		case 'a':
			options.acked = fopen(optarg, "a");
			if (!options.acked)
				die(optarg);
			setvbuf(options.acked, NULL, _IOLBF, 0);
			break;
		default:
			exit(2);
		}
	}
	if (options.port <= 0 || options.connections <= 0) {
		fprintf(stderr, "bench_load: --port and at least one connection are needed\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	must(getrandom(&salt, sizeof salt, 0) == (ssize_t)sizeof salt);
	make_prefix();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	wires = mem_new((size_t)options.connections, sizeof *wires);
	for (int i = 0; i < options.connections; i++)
		wires[i].fd = -1;
	run();
	report();
	return 0;
}
