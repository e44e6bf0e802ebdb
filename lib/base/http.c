/* http.c - see http.h. One easy handle per client, reset before each request, so no option leaks
 * from one to the next while connections and names stay cached. libcurl is initialised by the first
 * request, because a daemon that has nothing to ask should not pay for TLS in memory.
 *
 * Two of libcurl's habits are undone. It repeats a request of any method by itself when a
 * kept-alive connection turns out dead; for a request that changes something this is refused at the
 * second start, since the first may have been acted on. And its answer has no bound; the write
 * callback counts decoded bytes. HTTP/1.1 only: one request per connection at a time makes "sent in
 * full" a plain question, and our request rates need no multiplexing.
 *
 * The system's authorities are looked up in the folder of hashed certificates, where OpenSSL reads
 * the one it needs. Reading the bundle of all of them costs a megabyte for every client; that is
 * done only where there is no such folder, or when it does not vouch for a server.
 *
 * libcurl tells kept connections apart by host, port, certificates and verification, but not by the
 * addresses a request may reach; so these are looked at twice, when a socket is opened and before
 * each request is sent. */
#include "lib/base/http.h"

#include <curl/curl.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/base/address.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"

enum {
	CONNECT_TIMEOUT_MS = 5000,
	REQUEST_TIMEOUT_MS = 30000,
	RESPONSE_MAX = 8 * 1024 * 1024,
	HEADERS_BYTES_MAX = 64 * 1024,
	IDLE_CONNECTION_S = 30,
	CONNECTIONS_MAX = 4,
	HOST_MAX = 256,
};

static const char system_ca_dir[] = "/etc/ssl/certs";

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_uint abort_generation;

struct http {
	CURL *curl; /* made by the first request */
	char *user_agent;
	char *ca_file;
	char *ca_dir; /* NULL: libcurl's bundle is used */
	bool allow_http;
	int connect_timeout_ms;
};

/* One request under way; what the callbacks share. */
struct transfer {
	struct http_response *out;
	bool is_safe; /* GET or HEAD: may be started twice */
	bool keeps_end;
	bool repeat_refused;
	bool too_large;
	bool out_of_reach;
	enum http_reach reach;
	int starts;	     /* times libcurl began to send the request */
	unsigned generation; /* of http_abort_all when it began */
	char fault[CURL_ERROR_SIZE];
};

static void init_curl(void)
{
	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

void http_global_init(void)
{
	/* Debian's libcurl may be initialised from any thread, so this waits for the first request.
	 */
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	if (!(info->features & CURL_VERSION_THREADSAFE))
		pthread_once(&once, init_curl);
}

/* "5ed36f99.0": a certificate by the hash of its subject, as OpenSSL looks for it. */
static bool is_hash_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == 8 && str_eq(name + 8, ".0");
}

static bool holds_hashes(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = is_hash_name(entry->d_name);
	if (dir)
		closedir(dir);
	return found;
}

struct http *http_new(const struct http_options *options)
{
	const char *ca_dir = options->ca_dir ? options->ca_dir : system_ca_dir;
	struct http *http = mem_new(1, sizeof *http);

	http->user_agent = str_dup(options->user_agent);
	http->ca_file = str_dup(options->ca_file);
	if (!options->ca_file && holds_hashes(ca_dir))
		http->ca_dir = str_dup(ca_dir);
	http->allow_http = options->allow_http;
	http->connect_timeout_ms =
		options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	return http;
}

void http_free(struct http *take_http)
{
	if (!take_http)
		return;
	curl_easy_cleanup(take_http->curl);
	mem_free(take_http->user_agent);
	mem_free(take_http->ca_file);
	mem_free(take_http->ca_dir);
	mem_free(take_http);
}

void http_abort_all(void)
{
	atomic_fetch_add(&abort_generation, 1);
}

/* Forgets the beginning where the bytes to come would not fit; half at once, so that moving stays
 * cheap. */
static void make_room(struct buf *body, size_t len)
{
	size_t keep = body->max / 2;

	if (body->len + len <= body->max)
		return;
	if (keep > body->len)
		keep = body->len;
	if (len > body->max - keep)
		keep = len < body->max ? body->max - len : 0;
	memmove(body->data, body->data + body->len - keep, keep);
	body->len = keep;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	size_t len = size * count;

	if (transfer->keeps_end)
		make_room(&transfer->out->body, len);
	buf_add(&transfer->out->body, data, len);
	if (transfer->out->body.truncated) {
		transfer->too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	return len;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	struct buf *headers = &transfer->out->headers;
	size_t len = size * count, name_len = 0, value, end = len;

	if (len >= 5 && !memcmp(data, "HTTP/", 5)) {
		buf_clear(headers); /* an interim answer came before; only the last one counts */
		return len;
	}
	while (end && (data[end - 1] == '\r' || data[end - 1] == '\n' || data[end - 1] == ' '))
		end--;
	while (name_len < end && data[name_len] != ':')
		name_len++;
	if (!name_len || name_len == end)
		return len;
	for (size_t i = 0; i < name_len; i++)
		buf_putc(headers,
			 (char)(data[i] >= 'A' && data[i] <= 'Z' ? data[i] + 32 : data[i]));
	for (value = name_len + 1; value < end && (data[value] == ' ' || data[value] == '\t');)
		value++;
	buf_puts(headers, ": ");
	buf_add(headers, data + value, end - value);
	buf_putc(headers, '\n');
	if (headers->truncated) {
		transfer->too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	return len;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		       curl_off_t up)
{
	const struct transfer *transfer = arg;

	(void)down_total, (void)down, (void)up_total, (void)up;
	return atomic_load(&abort_generation) != transfer->generation;
}

static bool is_within(enum http_reach reach, const struct sockaddr *address)
{
	switch (reach) {
	case HTTP_REACH_SERVICE:
		return !address_is_off_limits(address);
	case HTTP_REACH_LOOPBACK:
		return address_is_loopback(address);
	default:
		return true;
	}
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *transfer = arg;

	(void)purpose;
	if (!is_within(transfer->reach, &address->addr)) {
		transfer->out_of_reach = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool is_peer_within(enum http_reach reach, const char *peer_ip)
{
	struct sockaddr_storage address;

	return reach == HTTP_REACH_ANY || (address_parse(&address, peer_ip) &&
					   is_within(reach, (const struct sockaddr *)&address));
}

static int on_start(void *arg, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	struct transfer *transfer = arg;

	(void)local_ip, (void)peer_port, (void)local_port;
	if (!is_peer_within(transfer->reach, peer_ip)) {
		transfer->out_of_reach = true;
		return CURL_PREREQFUNC_ABORT;
	}
	if (transfer->starts++ && !transfer->is_safe) {
		transfer->repeat_refused = true;
		return CURL_PREREQFUNC_ABORT;
	}
	return CURL_PREREQFUNC_OK;
}

#define SET(option, value) must(curl_easy_setopt(curl, option, value) == CURLE_OK)

static void set_bounds(const struct http *http, const struct http_request *request,
		       struct transfer *transfer)
{
	CURL *curl = http->curl;

	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, http->allow_http ? "http,https" : "https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (http->ca_file)
		SET(CURLOPT_CAINFO, http->ca_file);
	if (http->ca_dir) {
		SET(CURLOPT_CAPATH, http->ca_dir);
		SET(CURLOPT_CAINFO, NULL);
	}
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms);
	SET(CURLOPT_TIMEOUT_MS,
	    (long)(request->timeout_ms ? request->timeout_ms : REQUEST_TIMEOUT_MS));
	SET(CURLOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
	SET(CURLOPT_MAXAGE_CONN, (long)IDLE_CONNECTION_S);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_ACCEPT_ENCODING, "gzip");
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, transfer);
	SET(CURLOPT_PREREQFUNCTION, on_start);
	SET(CURLOPT_PREREQDATA, transfer);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
	SET(CURLOPT_OPENSOCKETDATA, transfer);
	if (transfer->reach != HTTP_REACH_ANY)
		SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->fault);
}

/* PEM in memory that outlives the request. */
static struct curl_blob blob_of(const char *pem)
{
	union {
		const char *in;
		void *out;
	} data = {.in = pem};

	return (struct curl_blob){data.out, strlen(pem), CURL_BLOB_NOCOPY};
}

static void set_tls(CURL *curl, const struct http_tls *tls)
{
	struct curl_blob blob;

	if (tls->ca) {
		blob = blob_of(tls->ca);
		SET(CURLOPT_CAINFO_BLOB, &blob);
		SET(CURLOPT_CAPATH, NULL);
	}
	if (tls->cert) {
		blob = blob_of(tls->cert);
		SET(CURLOPT_SSLCERT_BLOB, &blob);
		SET(CURLOPT_SSLCERTTYPE, "PEM");
	}
	if (tls->key) {
		blob = blob_of(tls->key);
		SET(CURLOPT_SSLKEY_BLOB, &blob);
		SET(CURLOPT_SSLKEYTYPE, "PEM");
	}
	if (tls->unverified) {
		SET(CURLOPT_SSL_VERIFYPEER, 0L);
		SET(CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

/* Method, body and upload. The part handed out as *mime lives until the request is over. */
static void set_content(CURL *curl, const struct http_request *request, curl_mime **mime)
{
	bool has_body = request->body || str_eq(request->method, "POST") ||
			str_eq(request->method, "PUT") || str_eq(request->method, "PATCH");

	if (request->upload) {
		const struct http_upload *upload = request->upload;
		curl_mimepart *part;

		*mime = curl_mime_init(curl);
		must(*mime);
		part = curl_mime_addpart(*mime);
		must(part && curl_mime_name(part, upload->field) == CURLE_OK &&
		     curl_mime_filename(part, upload->filename) == CURLE_OK &&
		     curl_mime_type(part, upload->content_type) == CURLE_OK &&
		     curl_mime_data(part, upload->data, upload->len) == CURLE_OK);
		SET(CURLOPT_MIMEPOST, *mime);
	} else if (has_body) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)(request->body ? request->body_len : 0));
		SET(CURLOPT_POSTFIELDS, request->body ? request->body : "");
	} else if (str_eq(request->method, "HEAD")) {
		SET(CURLOPT_NOBODY, 1L);
	} else {
		SET(CURLOPT_HTTPGET, 1L);
	}
	SET(CURLOPT_CUSTOMREQUEST, request->method);
}

static enum err_class add_header(struct curl_slist **list, const char *name, const char *value,
				 struct err *err)
{
	struct curl_slist *grown;
	char *line;

	if (strpbrk(name, "\r\n") || strpbrk(value, "\r\n"))
		return err_set(err, ERR_CONFIG,
			       "the value of the request header %.40s holds a line break", name);
	line = *value ? str_printf("%s: %s", name, value) : str_printf("%s;", name);
	grown = curl_slist_append(*list, line);
	must(grown);
	*list = grown;
	/* It may hold a credential. */
	explicit_bzero(line, strlen(line));
	mem_free(line);
	return ERR_OK;
}

static void free_headers(struct curl_slist *list)
{
	for (struct curl_slist *at = list; at; at = at->next)
		explicit_bzero(at->data, strlen(at->data));
	curl_slist_free_all(list);
}

static enum err_class make_headers(struct curl_slist **list, const struct http *http,
				   const struct http_request *request, struct err *err)
{
	enum err_class class = ERR_OK;

	/* libcurl would wait for "100 Continue" before it sends a longer body. */
	*list = curl_slist_append(NULL, "Expect:");
	must(*list);
	if (http->user_agent)
		class = add_header(list, "User-Agent", http->user_agent, err);
	for (int i = 0; !class && i < HTTP_HEADERS_MAX && request->headers[i].name; i++)
		class = add_header(list, request->headers[i].name,
				   request->headers[i].value ? request->headers[i].value : "", err);
	return class;
}

/* Host and port of a URL for messages, without user, path or query. */
static void host_of(char out[HOST_MAX], const char *url)
{
	const char *start = strstr(url, "://"), *end, *at;

	start = start ? start + 3 : url;
	end = start + strcspn(start, "/?#");
	for (at = end; at > start; at--)
		if (at[-1] == '@') {
			start = at;
			break;
		}
	if ((size_t)(end - start) >= HOST_MAX)
		end = start + HOST_MAX - 1;
	memcpy(out, start, (size_t)(end - start));
	out[end - start] = '\0';
}

static enum err_class class_of(CURLcode code, const struct transfer *transfer, const char *fault)
{
	switch (code) {
	case CURLE_UNSUPPORTED_PROTOCOL:
		/* After the start it speaks of an answer that is not HTTP, not of our URL. */
		return transfer->starts ? ERR_TRANSIENT : ERR_CONFIG;
	case CURLE_URL_MALFORMAT:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return ERR_CONFIG;
	case CURLE_SSL_CONNECT_ERROR:
		/* A handshake that broke off on the wire is not a matter of configuration. */
		return strcasestr(fault, "SYSCALL") || strcasestr(fault, "reset") ||
				       strcasestr(fault, "unexpected eof")
			       ? ERR_TRANSIENT
			       : ERR_CONFIG;
	default:
		return ERR_TRANSIENT;
	}
}

/* True when every byte of the request had been handed to the connection. */
static bool was_sent(CURL *curl, const struct http_request *request,
		     const struct transfer *transfer)
{
	curl_off_t sent = 0, size = -1;
	long head = 0;

	if (!transfer->starts)
		return false;
	if (transfer->repeat_refused)
		return true;
	curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &head);
	curl_easy_getinfo(curl, CURLINFO_SIZE_UPLOAD_T, &sent);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_UPLOAD_T, &size);
	if (request->upload)
		return head > 0 && (size < 0 || sent >= size);
	return head > 0 && sent >= (curl_off_t)(request->body ? request->body_len : 0);
}

static enum err_class transport_error(struct http *http, const struct http_request *request,
				      const struct transfer *transfer, CURLcode code,
				      struct err *err)
{
	const char *fault = *transfer->fault ? transfer->fault : curl_easy_strerror(code);
	enum err_class class = class_of(code, transfer, fault);
	char host[HOST_MAX];

	host_of(host, request->url);
	if (transfer->out_of_reach)
		class = err_code(err, ERR_CONFIG, "http.out_of_reach",
				 "%s leads to an address that kfops does not speak to%s", host,
				 transfer->reach == HTTP_REACH_LOOPBACK
					 ? ": only this machine itself is allowed here"
					 : " (link-local, metadata or not a host)");
	else if (transfer->too_large)
		err_set(err, class, "the answer of %s is larger than %zu bytes", host,
			transfer->out->headers.truncated ? transfer->out->headers.max
							 : transfer->out->body.max);
	else if (transfer->repeat_refused)
		err_set(err, class, "%s closed the connection without an answer", host);
	else if (code == CURLE_ABORTED_BY_CALLBACK)
		err_set(err, class, "the request to %s was broken off because kfops stops", host);
	else
		err_set(err, class, "the request to %s failed: %s", host, fault);
	if (err)
		err->in_doubt = !transfer->is_safe && was_sent(http->curl, request, transfer);
	return class;
}

/* From whatever host and port the URL names to this one. */
static struct curl_slist *make_detour(const char *connect_to)
{
	AUTO_FREE char *line = str_printf("::%s", connect_to);
	struct curl_slist *list = curl_slist_append(NULL, line);

	must(list);
	return list;
}

/* One try. What it set on the handle and the caller frees is taken off again, except the buffer
 * for messages, which transport_error still reads. */
static CURLcode perform(struct http *http, const struct http_request *request,
			struct curl_slist *headers, struct transfer *transfer)
{
	struct curl_slist *detour = NULL;
	curl_mime *mime = NULL;
	CURLcode code;

	pthread_once(&once, init_curl);
	if (!http->curl)
		http->curl = curl_easy_init();
	must(http->curl);
	curl_easy_reset(http->curl);
	transfer->fault[0] = '\0';
	set_bounds(http, request, transfer);
	set_content(http->curl, request, &mime);
	if (request->tls)
		set_tls(http->curl, request->tls);
	if (request->connect_to)
		detour = make_detour(request->connect_to);
	must(curl_easy_setopt(http->curl, CURLOPT_CONNECT_TO, detour) == CURLE_OK);
	must(curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK);
	code = curl_easy_setopt(http->curl, CURLOPT_URL, request->url);
	if (!code)
		code = curl_easy_perform(http->curl);
	curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(http->curl, CURLOPT_CONNECT_TO, NULL);
	curl_slist_free_all(detour);
	curl_mime_free(mime);
	return code;
}

enum err_class http_do(struct http *http, const struct http_request *request,
		       struct http_response *out, struct err *err)
{
	size_t response_max = request->response_max ? request->response_max : RESPONSE_MAX;
	struct transfer transfer = {
		.out = out,
		.is_safe = str_eq(request->method, "GET") || str_eq(request->method, "HEAD"),
		.keeps_end = request->keeps_end,
		.generation = atomic_load(&abort_generation),
		.reach = request->reach,
	};
	int64_t started_ms = clock_mono_ms();
	struct curl_slist *headers = NULL;
	enum err_class class;
	long status = 0;
	CURLcode code;

	*out = (struct http_response){.body = buf_make(response_max),
				      .headers = buf_make(HEADERS_BYTES_MAX)};
	if (request->tls && request->tls->unverified)
		transfer.reach = HTTP_REACH_LOOPBACK;
	class = make_headers(&headers, http, request, err);
	if (class) {
		free_headers(headers);
		return class;
	}
	code = perform(http, request, headers, &transfer);
	if (code == CURLE_PEER_FAILED_VERIFICATION && http->ca_dir && !transfer.starts &&
	    !(request->tls && request->tls->ca)) {
		mem_free(http->ca_dir);
		http->ca_dir = NULL;
		code = perform(http, request, headers, &transfer);
	}
	out->took_ms = clock_mono_ms() - started_ms;
	curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
	out->status = (int)status;
	if (code)
		class = transport_error(http, request, &transfer, code, err);
	curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, NULL);
	free_headers(headers);
	return class;
}

void http_response_dispose(struct http_response *response)
{
	buf_dispose(&response->body);
	buf_dispose(&response->headers);
}

const char *http_response_header(const struct http_response *response, const char *name, char *out,
				 size_t size)
{
	const char *line = buf_text(&response->headers);
	size_t name_len = strlen(name);

	out[0] = '\0';
	while (*line) {
		size_t len = strcspn(line, "\n");

		if (len >= name_len + 2 && !memcmp(line, name, name_len) &&
		    !memcmp(line + name_len, ": ", 2)) {
			size_t value_len = len - name_len - 2;

			if (value_len >= size)
				value_len = size - 1;
			memcpy(out, line + name_len + 2, value_len);
			out[value_len] = '\0';
			break;
		}
		line += len + (line[len] == '\n');
	}
	return out;
}

int64_t http_retry_at_ms(const struct http_response *response, int64_t max_ms)
{
	int64_t now_ms = clock_now_ms(), seconds, at_ms;
	char value[64];

	http_response_header(response, "retry-after", value, sizeof value);
	if (str_to_int64(&seconds, value) && seconds >= 0)
		at_ms = now_ms + (seconds < max_ms / 1000 ? seconds * 1000 : max_ms);
	else if (!*value || !clock_parse(&at_ms, value))
		return 0;
	return at_ms > now_ms + max_ms ? now_ms + max_ms : at_ms;
}

void http_escape(struct buf *out, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c)) {
			buf_putc(out, (char)c);
		} else {
			buf_putc(out, '%');
			buf_putc(out, digits[c >> 4]);
			buf_putc(out, digits[c & 15]);
		}
	}
}
