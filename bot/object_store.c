/* object_store.c - see object_store.h.
 *
 * AWS's own programs look at the environment by themselves; a bot that does finds credentials that
 * nobody meant for it (those of the machine it was started on). So it is asked only where the file
 * says `s3_environment`. The order is AWS's: keys before a role. */
#include "bot/object_store.h"

#include <stdlib.h>

#include "lib/base/str.h"

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return str_is_empty(value) ? NULL : value;
}

static enum err_class from_environment(struct s3_options *options, struct err *err)
{
	options->access_key = variable("AWS_ACCESS_KEY_ID");
	options->secret_key = variable("AWS_SECRET_ACCESS_KEY");
	options->session_token = variable("AWS_SESSION_TOKEN");
	if (!options->region)
		options->region = variable("AWS_REGION");
	if (!options->region)
		options->region = variable("AWS_DEFAULT_REGION");
	if (options->access_key && options->secret_key)
		return ERR_OK;
	options->access_key = options->secret_key = options->session_token = NULL;
	options->role_arn = variable("AWS_ROLE_ARN");
	options->identity_token_file = variable("AWS_WEB_IDENTITY_TOKEN_FILE");
	if (options->role_arn && options->identity_token_file)
		return ERR_OK;
	return err_set(err, ERR_CONFIG,
		       "s3_environment is on, but the environment has neither AWS_ACCESS_KEY_ID "
		       "and AWS_SECRET_ACCESS_KEY nor AWS_ROLE_ARN and "
		       "AWS_WEB_IDENTITY_TOKEN_FILE");
}

enum err_class object_store_open(struct s3 **out, const struct config *config, size_t i,
				 struct err *err)
{
	struct s3_options options = {
		.url = config_cluster_text(config, i, "s3_url"),
		.region = config_cluster_text(config, i, "s3_region"),
		.path_style = config_cluster_bool(config, i, "s3_path_style"),
		.access_key_file = config_cluster_text(config, i, "s3_access_key_file"),
		.secret_key_file = config_cluster_text(config, i, "s3_secret_key_file"),
		.session_token_file = config_cluster_text(config, i, "s3_session_token_file"),
		.role_arn = config_cluster_text(config, i, "s3_role_arn"),
		.identity_token_file = config_cluster_text(config, i, "s3_identity_token_file"),
		.sts_url = config_cluster_text(config, i, "s3_sts_url"),
	};

	*out = NULL;
	if (config_cluster_bool(config, i, "s3_environment") && from_environment(&options, err))
		return err->class;
	return s3_new(out, &options, err);
}
