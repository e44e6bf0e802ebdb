/* credentials.c - see credentials.h. A refusal is a state, not an event: it is logged when it
 * begins and when it ends, however many calls meet it. That a file was replaced is only looked for
 * by its stamp; whether the new content is any better the next call finds out. */
#include "bot/credentials.h"

#include "lib/base/log.h"
#include "lib/base/str.h"

static atomic_bool refused[CREDENTIALS_MAX];

/* "GitHub", "main", "object store of main"; the caller frees. */
static char *name_of(const struct world *world, size_t who)
{
	if (who == CREDENTIALS_GITHUB)
		return str_dup("GitHub");
	if (who < CREDENTIALS_STORE)
		return str_dup(
			config_cluster_text(world->config, who - CREDENTIALS_CLUSTER, "name"));
	return str_printf("object store of %s",
			  config_cluster_text(world->config, who - CREDENTIALS_STORE, "name"));
}

/* That an App's installation refuses its token concerns that installation alone: it was removed, or
 * the token was withdrawn. A server that is too old has not even looked at the token. */
static bool says_nothing(const struct world *world, const struct err *err)
{
	enum err_class class = err->class;

	return (world->app_mode && str_eq(err->code, "github.token_refused")) ||
	       str_eq(err->code, "kfp.too_old") || class == ERR_TRANSIENT ||
	       class == ERR_THROTTLED || class == ERR_CORRUPT || class == ERR_BUG;
}

void credentials_note(const struct world *world, size_t who, const struct err *err)
{
	bool is_refused = err->class == ERR_CONFIG;
	AUTO_FREE char *name = NULL;

	must(who < ARRAY_LEN(refused));
	if (says_nothing(world, err) || atomic_exchange(&refused[who], is_refused) == is_refused)
		return;
	name = name_of(world, who);
	if (is_refused)
		log_error("credentials_refused", LOG_S("by", name), LOG_S("message", err->msg));
	else
		log_info("credentials_taken", LOG_S("by", name));
}

void credentials_note_store(const struct world *world, const struct job *job, const struct err *err)
{
	size_t cluster;
	struct err ignored;

	if (!world_cluster_of(world, job->repo, &cluster, &ignored))
		credentials_note(world, CREDENTIALS_STORE + cluster, err);
}

void credentials_note_effect(const struct world *world, const struct job *job,
			     enum effect_kind kind, const struct err *err)
{
	size_t cluster;
	struct err ignored;

	if (str_starts(effect_name(kind), "github."))
		credentials_note(world, CREDENTIALS_GITHUB, err);
	else if (str_starts(effect_name(kind), "kfp.") &&
		 !world_cluster_of(world, job->repo, &cluster, &ignored))
		credentials_note(world, CREDENTIALS_CLUSTER + cluster, err);
}

bool credentials_are_refused_by_github(void)
{
	return atomic_load(&refused[CREDENTIALS_GITHUB]);
}

/* The files of all credentials of a cluster. */
static bool is_replaced(struct sign_stamp stamps[CREDENTIALS_FILES], const struct config *config,
			size_t cluster)
{
	static const char *const files[CREDENTIALS_FILES] = {
		"kfp_token_file", "s3_access_key_file", "s3_secret_key_file",
		"s3_session_token_file", "s3_identity_token_file"};
	bool replaced = false;

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		replaced |= sign_stamp_changed(&stamps[i],
					       config_cluster_text(config, cluster, files[i]));
	return replaced;
}

bool credentials_look(struct credentials_watch *watch, const struct world *world)
{
	const struct config *config = world->config;
	bool any_refused = false, any_replaced = false;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		any_refused |= atomic_load(&refused[i]);
	any_replaced |= sign_stamp_changed(&watch->stamps[0],
					   config_text(config, "github.private_key_file"));
	any_replaced |=
		sign_stamp_changed(&watch->stamps[1], config_text(config, "github.token_file"));
	for (size_t i = 0; i < world->cluster_count; i++)
		any_replaced |= is_replaced(&watch->stamps[2 + CREDENTIALS_FILES * i], config, i);
	return any_refused && any_replaced;
}
