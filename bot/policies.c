/* policies.c - see policies.h. The lock is not held over a call: two threads that ask at the same
 * time both get an answer, and the later one stays. */
#include "bot/policies.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/core/policy.h"
#include "lib/services/github_policy.h"

enum {
	FILES_MAX = 1000,
	AGE_MAX_MS = 10000,
	OWNERS_AGE_MAX_MS =
		60000, /* changed seldom, and asked for by all repositories without a file */
};

struct file {
	char *repo;
	struct github_file now; /* FOUND, NONE or ODD */
	int64_t asked_mono_ms, used_mono_ms;
	bool is_old; /* a push was heard of since it was asked for */
};

struct policies {
	pthread_mutex_t mutex; /* everything below */
	struct file *files;
	size_t count;
	uint64_t moves; /* that were heard of; an answer that was asked for before one may be old */
};

struct policies *policies_new(void)
{
	struct policies *policies = mem_new(1, sizeof *policies);

	pthread_mutex_init(&policies->mutex, NULL);
	policies->files = mem_new(FILES_MAX, sizeof *policies->files);
	return policies;
}

static void dispose_file(struct file *file)
{
	github_file_dispose(&file->now);
	mem_free(file->repo);
}

void policies_free(struct policies *take_policies)
{
	if (!take_policies)
		return;
	for (size_t i = 0; i < take_policies->count; i++)
		dispose_file(&take_policies->files[i]);
	pthread_mutex_destroy(&take_policies->mutex);
	mem_free(take_policies->files);
	mem_free(take_policies);
}

/* The lock is held. */
static struct file *find(struct policies *policies, const char *repo)
{
	for (size_t i = 0; i < policies->count; i++)
		if (str_eq_nocase(policies->files[i].repo, repo))
			return &policies->files[i];
	return NULL;
}

/* A place for one more; that of the one used longest ago when all are taken. The lock is held. */
static struct file *make_room(struct policies *policies, const char *repo)
{
	struct file *oldest = &policies->files[0];

	if (policies->count < FILES_MAX) {
		oldest = &policies->files[policies->count++];
	} else {
		for (size_t i = 1; i < policies->count; i++)
			if (policies->files[i].used_mono_ms < oldest->used_mono_ms)
				oldest = &policies->files[i];
		dispose_file(oldest);
	}
	*oldest = (struct file){.repo = str_dup(repo)};
	return oldest;
}

static void copy_file(struct github_file *out, const struct github_file *from)
{
	*out = *from;
	out->text = from->text ? str_dup_len(from->text, from->len) : NULL;
}

/* What is known of a file; true when it is young enough to be used as it is. */
static bool recall(struct policies *policies, const char *repo, int64_t age_max_ms,
		   struct github_file *out, uint64_t *moves)
{
	int64_t now_ms = clock_mono_ms();
	bool young = false;
	struct file *file;

	*out = (struct github_file){0};
	pthread_mutex_lock(&policies->mutex);
	*moves = policies->moves;
	file = find(policies, repo);
	if (file) {
		file->used_mono_ms = now_ms;
		young = !file->is_old && now_ms - file->asked_mono_ms < age_max_ms;
		copy_file(out, &file->now);
	}
	pthread_mutex_unlock(&policies->mutex);
	return young;
}

static void remember(struct policies *policies, const char *repo, const struct github_file *got,
		     uint64_t moves)
{
	int64_t now_ms = clock_mono_ms();
	struct file *file;

	pthread_mutex_lock(&policies->mutex);
	file = find(policies, repo);
	if (!file)
		file = make_room(policies, repo);
	if (got->state != GITHUB_FILE_UNCHANGED) {
		github_file_dispose(&file->now);
		copy_file(&file->now, got);
	}
	file->asked_mono_ms = file->used_mono_ms = now_ms;
	file->is_old = policies->moves != moves;
	pthread_mutex_unlock(&policies->mutex);
}

void policies_moved(struct policies *policies, const char *repo)
{
	struct file *file;

	pthread_mutex_lock(&policies->mutex);
	file = find(policies, repo);
	if (file)
		file->is_old = true;
	policies->moves++;
	pthread_mutex_unlock(&policies->mutex);
}

/* The file as it is now, or was a moment ago. */
static enum err_class look(struct hands *hands, const struct github_target *to, int64_t age_max_ms,
			   struct github_file *out, struct err *err)
{
	struct policies *policies = hands->world->policies;
	struct github_file_question question = {.path = POLICIES_PATH, .max = POLICY_TEXT_MAX};
	struct github_file got;
	enum err_class class;
	uint64_t moves;

	if (recall(policies, to->repo, age_max_ms, out, &moves))
		return ERR_OK;
	question.etag = *out->etag ? out->etag : NULL;
	class = github_file(hands->world->github, hands->github_http, to, &question, &got, err);
	if (class) {
		github_file_dispose(out);
		return err_wrap(err, "cannot read the policy %s of %s", POLICIES_PATH, to->repo);
	}
	remember(policies, to->repo, &got, moves);
	if (got.state == GITHUB_FILE_UNCHANGED)
		return ERR_OK;
	if (!str_eq(out->sha, got.sha))
		log_info("policy_read", LOG_S("repo", to->repo), LOG_S("sha", got.sha));
	github_file_dispose(out);
	*out = got;
	return ERR_OK;
}

static json_t *tell(const char *repo, const struct github_file *file)
{
	AUTO_FREE char *source = str_printf("%s/%s", repo, POLICIES_PATH);
	json_t *facts = json_object();

	if (file->state == GITHUB_FILE_NONE) {
		jval_set_bool(facts, "none", true);
		return facts;
	}
	jval_set_str(facts, "source", source);
	if (file->state == GITHUB_FILE_ODD) {
		jval_set_str(facts, "why", file->why);
	} else if (!file->text || strlen(file->text) != file->len) {
		jval_set_str(facts, "why", "it has a NUL byte");
	} else {
		jval_set_str(facts, "text", file->text);
		jval_set_str(facts, "sha", file->sha);
	}
	return facts;
}

enum err_class policies_get(struct hands *hands, const struct job *job, bool fresh, json_t **out,
			    struct err *err)
{
	AUTO_FREE char *owner = str_dup_len(job->repo, strcspn(job->repo, "/"));
	AUTO_FREE char *owners = str_printf("%s/.github", owner);
	struct github_target own = {job->installation_id, job->repo_id, job->repo};
	struct github_target shared = {job->installation_id, 0, owners};
	const char *repo = job->repo;
	struct github_file file;
	enum err_class class = look(hands, &own, fresh ? 0 : AGE_MAX_MS, &file, err);

	if (!class && file.state == GITHUB_FILE_NONE && !str_eq_nocase(job->repo, owners)) {
		github_file_dispose(&file);
		repo = owners;
		class = look(hands, &shared, fresh ? AGE_MAX_MS : OWNERS_AGE_MAX_MS, &file, err);
		/* The App is not there, so it has no file that we may read. */
		if (class == ERR_DENIED && str_eq(err->code, "github.not_installed")) {
			file = (struct github_file){.state = GITHUB_FILE_NONE};
			class = err->class = ERR_OK;
		}
	}
	if (class)
		return class;
	*out = tell(repo, &file);
	github_file_dispose(&file);
	return ERR_OK;
}
