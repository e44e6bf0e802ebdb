/* compile_result.c - what came out of the sandbox, read as data.
 *
 * The result pipe brings "kfops 1\n", "ready 0\n" when our own tools are loaded, then frames ("name
 * length\n" and the bytes), then "end\n". Their code ran in the process that wrote them and could
 * have written anything, so nothing here is trusted: lengths are checked, the pipeline is parsed
 * with bounds, a path must be a plain relative one, a line a sensible number. Without the first
 * line the sandbox never got as far as Python, which is the operator's matter; without the last one
 * their code ended the process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"
#include "lib/services/compile_impl.h"

enum {
	ERROR_BYTES_MAX = 256 * 1024,
	SERVICE_BYTES_MAX = 256 * 1024,
	LINE_MAX_NUMBER = 10 * 1000 * 1000,
	LOG_QUOTE = 400
};

struct frames {
	bool started, ready, ended;	    /* ready: what follows may be theirs */
	const char *yaml, *service, *error; /* borrowed from the result */
	size_t yaml_len, service_len, error_len;
};

static bool starts_with(const char *data, size_t len, const char *text)
{
	size_t need = strlen(text);
	return len >= need && memcmp(data, text, need) == 0;
}

/* "name length\n" at data; the length of the head, 0 when it is none. */
static size_t read_head(const char *data, size_t len, size_t *name_len, size_t *body_len)
{
	size_t most = len < 64 ? len : 64;
	const char *newline = memchr(data, '\n', most);
	const char *space = newline ? memchr(data, ' ', (size_t)(newline - data)) : NULL;
	char number[24];
	int64_t value;
	if (!space || newline - space > 20)
		return 0;
	size_t digits = (size_t)(newline - space) - 1;
	memcpy(number, space + 1, digits);
	number[digits] = '\0';
	if (!str_to_int64(&value, number) || value < 0)
		return 0;
	*name_len = (size_t)(space - data);
	*body_len = (size_t)value;
	return (size_t)(newline - data) + 1;
}

static struct frames read_frames(const char *data, size_t len)
{
	struct frames out = {.started = starts_with(data, len, "kfops 1\n")};
	if (!out.started)
		return out;
	data += 8;
	len -= 8;
	while (len > 0) {
		if (starts_with(data, len, "end\n")) {
			out.ended = true;
			break;
		}
		size_t name_len, body_len, head = read_head(data, len, &name_len, &body_len);
		if (head == 0 || body_len > len - head)
			break;
		if (starts_with(data, name_len, "ready")) {
			out.ready = true;
		} else if (starts_with(data, name_len, "pipeline.yaml")) {
			out.yaml = data + head;
			out.yaml_len = body_len;
		} else if (starts_with(data, name_len, "service.json")) {
			out.service = data + head;
			out.service_len = body_len;
		} else if (starts_with(data, name_len, "error.json")) {
			out.error = data + head;
			out.error_len = body_len;
		}
		data += head + body_len;
		len -= head + body_len;
	}
	return out;
}

/* --- errors --- */

/* A relative path as git knows it, so that it can be shown and linked. */
static bool is_repository_path(const char *path)
{
	if (str_is_empty(path) || path[0] == '/' || strlen(path) > 1024 || strstr(path, ".."))
		return false;
	for (const unsigned char *c = (const unsigned char *)path; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			return false;
	return true;
}

static void set_place(struct compile_result *out, const char *path, int64_t line,
		      const char *message)
{
	if (!is_repository_path(path))
		return;
	out->error.path = str_dup(path);
	out->error.line = line > 0 && line < LINE_MAX_NUMBER ? (int)line : 1;
	out->error.message = str_dup(message);
}

/* Their own failure, as error.json tells it. */
static enum err_class read_error(struct compile_result *out, const struct frames *frames,
				 struct err *err)
{
	AUTO_JSON json_t *value = NULL;
	if (frames->error_len > ERROR_BYTES_MAX ||
	    jval_parse(&value, frames->error, frames->error_len, NULL) != ERR_OK)
		return err_code(err, ERR_USER, "compile.invalid",
				"The compiler's account of the failure cannot be read.");
	const char *kind = jval_str(value, "kind", "exception");
	const char *type = jval_str(value, "type", "Exception");
	const char *text = jval_str(value, "message", "");
	const char *path = jval_str(value, "path", NULL);
	int64_t line = jval_int(value, "line", 0);
	if (str_eq(kind, "no_kfp") && !frames->ready)
		return err_code(err, ERR_CONFIG, "compile.no_kfp", "%s", text);
	bool raised = str_eq(kind, "exception") || str_eq(kind, "memory") || str_eq(kind, "output");
	AUTO_FREE char *message = raised ? str_printf("%s: %s", type, text) : str_dup(text);
	set_place(out, path, line, message);
	const char *code = str_eq(kind, "not_found") ? "compile.not_found"
			   : str_eq(kind, "memory")  ? "compile.memory"
			   : str_eq(kind, "output")  ? "compile.output"
						     : "compile.failed";
	if (out->error.path && raised)
		return err_code(err, ERR_USER, code, "%s (%s, line %d)", message, out->error.path,
				out->error.line);
	return err_code(err, ERR_USER, code, "%s", message);
}

/* The end of the log as one line, for the operator. */
static const char *last_line(const char *log)
{
	size_t len = log ? strlen(log) : 0;
	while (len > 0 && (log[len - 1] == '\n' || log[len - 1] == '\r'))
		len--;
	size_t from = len > LOG_QUOTE ? len - LOG_QUOTE : 0;
	const char *newline = log ? memrchr(log, '\n', len) : NULL;
	if (newline && (size_t)(newline - log) + 1 > from)
		from = (size_t)(newline - log) + 1;
	return log && len > 0 ? log + from : "nothing was printed";
}

/* It ended without a result. */
static enum err_class read_end(const struct sandbox_outcome *outcome, struct err *err)
{
	switch (outcome->signal) {
	case 24: /* SIGXCPU */
		return err_code(err, ERR_USER, "compile.timeout",
				"The pipeline file used up its processor time.");
	case 25: /* SIGXFSZ */
		return err_code(err, ERR_USER, "compile.output",
				"The pipeline file wrote a file larger than allowed.");
	case 0:
		return err_code(err, ERR_USER, "compile.killed",
				"The pipeline file ended the interpreter (exit code %d) before the "
				"pipeline was compiled.",
				outcome->exit_code);
	default:
		return err_code(err, ERR_USER, "compile.killed",
				"The compiler was killed by signal %d; too little memory is the "
				"usual cause.",
				outcome->signal);
	}
}

/* One JSON document, whose form whoever uses it looks at. */
static enum err_class read_service(struct compile_result *out, const struct frames *frames,
				   struct err *err)
{
	json_t *value;

	if (!frames->service || frames->service_len > SERVICE_BYTES_MAX ||
	    jval_parse(&value, frames->service, frames->service_len, NULL) != ERR_OK)
		return err_code(err, ERR_USER, "compile.invalid",
				"The file that defines the service brought back no object.");
	out->documents = json_array();
	json_array_append_new(out->documents, value);
	return ERR_OK;
}

enum err_class compile_result_read(struct compile_result *out,
				   const struct sandbox_outcome *outcome,
				   const struct compile_request *request,
				   const struct compile_bounds *bounds, struct err *err)
{
	struct frames frames = read_frames(buf_text(&outcome->result), outcome->result.len);
	char limit[32];
	str_duration(limit, bounds->timeout_ms);
	if (outcome->timed_out)
		return err_code(err, ERR_USER, "compile.timeout",
				"Compiling %s took longer than %s and was stopped.",
				request->pipeline_path, limit);
	if (outcome->starved)
		return err_code(err, ERR_USER, "compile.memory",
				"Compiling %s used more than %lld MiB of memory, all its processes "
				"together, and was stopped.",
				request->pipeline_path,
				(long long)(bounds->memory_bytes_max >> 20));
	if (outcome->flooded)
		return err_code(err, ERR_USER, "compile.output",
				"Compiling %s wrote more than is allowed and was stopped.",
				request->pipeline_path);
	if (!frames.started)
		return err_code(err, ERR_CONFIG, "compile.sandbox",
				"The sandbox did not start the compiler: %s",
				last_line(outcome->log));
	if (!frames.ended)
		return read_end(outcome, err);
	if (frames.error)
		return read_error(out, &frames, err);
	if (request->service)
		return read_service(out, &frames, err);
	if (!frames.yaml)
		return err_code(err, ERR_USER, "compile.invalid",
				"The compiler brought back no pipeline.");
	out->yaml = str_dup_len(frames.yaml, frames.yaml_len);
	out->yaml_len = frames.yaml_len;
	return compile_documents_read(out, request->pipeline_path, false, err);
}

/* --- documents --- */

static bool is_ir(const json_t *document)
{
	return jval_str(document, "pipelineInfo.name", NULL) &&
	       json_is_object(jval_at(document, "root"));
}

static bool is_argo(const json_t *document)
{
	return str_starts(jval_str(document, "apiVersion", ""), "argoproj.io/") &&
	       str_eq(jval_str(document, "kind", ""), "Workflow");
}

/* "line L, column C: ..." at the start of the parser's message. */
static int64_t line_of(const char *message)
{
	const char *at = strstr(message, "line ");
	return at ? strtol(at + 5, NULL, 10) : 1;
}

enum err_class compile_documents_read(struct compile_result *out, const char *path,
				      bool argo_allowed, struct err *err)
{
	struct yaml_node **docs = NULL;
	size_t count = 0;
	struct err cause = {.class = ERR_OK};
	if (yaml_parse(&docs, &count, out->yaml, out->yaml_len, &cause) != ERR_OK) {
		if (argo_allowed)
			set_place(out, path, line_of(cause.msg), cause.msg);
		return err_code(err, ERR_USER, "compile.invalid", "%s is no valid pipeline: %s",
				path, cause.msg);
	}
	out->documents = json_array();
	bool good = false;
	for (size_t i = 0; i < count; i++) {
		json_t *value = yaml_to_json(docs[i]);
		good = good || is_ir(value) || (argo_allowed && is_argo(value));
		if (json_is_object(value))
			json_array_append(out->documents, value);
		json_decref(value);
	}
	yaml_docs_free(docs, count);
	if (good)
		return ERR_OK;
	json_decref(out->documents);
	out->documents = NULL;
	return err_code(err, ERR_USER, "compile.invalid", "%s holds no compiled pipeline%s.", path,
			argo_allowed ? " and no Argo Workflow" : "");
}
