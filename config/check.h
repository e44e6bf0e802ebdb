/* check.h - what a text in a configuration must look like.
 *
 * Each returns NULL when the text is good, else the end of the sentence "... must be". Pure. */
#ifndef KF_CONFIG_CHECK_H
#define KF_CONFIG_CHECK_H

#include <stdbool.h>

const char *check_listen(const char *text); /* "127.0.0.1:8080", "[::1]:8080" */
const char *check_webhook_path(const char *text);
const char *check_url(const char *text); /* http or https, no user, query or fragment */
const char *check_log_level(const char *text);
const char *check_compile_mode(const char *text);
const char *check_absolute(const char *text);
const char *check_date(const char *text); /* "2022-11-28" */
const char *check_cluster_name(const char *text);
const char *check_model_store(const char *text); /* "s3://models/team-a" */
const char *check_secret_name(const char *text); /* of Kubernetes, or "" */
const char *check_region(const char *text);	 /* "eu-central-1" */
const char *check_role_arn(const char *text);	 /* "arn:aws:iam::123456789012:role/kfops" */
const char *check_match(const char *text);	 /* "owner/name" or "owner/" and a star */

const char *check_owner(const char *text); /* of a GitHub repository */
const char *check_repo_name(const char *text);
const char *check_label(const char *text);	   /* RFC 1123: namespaces, services */
const char *check_repo_path(const char *text);	   /* relative, stays inside the repository */
const char *check_pipeline_path(const char *text); /* the same, and .py, .yaml, .yml or .json */
const char *check_identifier(const char *text);	   /* of Python */
const char *check_mode(const char *text);	   /* pipeline_execution_mode */
const char *check_merge_method(const char *text);
const char *check_merge_method(const char *text);
const char *check_command(const char *text); /* a word that may be one; the bot knows which are */
const char *check_environment(const char *text);
const char *check_permission(const char *text); /* read, triage, write, maintain, admin */
const char *check_quota(const char *text);	/* "20/day" */
const char *check_forks(const char *text);	/* never, ok-to-run */
const char *check_registry(const char *text);
const char *check_image(const char *text); /* one or more parts of an image name */

/* True when a checked URL is https, or http to a place inside the machine or the cluster: loopback,
 * a name without dots, *.svc, *.svc.cluster.local. */
bool check_url_is_safe(const char *url);

#endif
