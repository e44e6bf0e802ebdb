/* daemon.c - see daemon.h.
 *
 * Start-up is recovery: the database is opened, orphaned jobs are ready again, the socket listens,
 * and only then is anybody asked over the network (who are we, what can Kubeflow do), by a thread
 * of its own, so a GitHub that is down does not keep webhooks out. SIGTERM: not ready, answer what
 * is in hand, workers stop at a step boundary, drain, checkpoint; a second signal leaves at once.
 */
#include "bot/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bot/credentials.h"
#include "bot/disk.h"
#include "bot/health.h"
#include "bot/object_store.h"
#include "bot/policies.h"
#include "bot/poller.h"
#include "bot/receive.h"
#include "bot/reporter.h"
#include "bot/worker.h"
#include "bot/world.h"
#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/core/markdown.h"
#include "lib/services/sandbox.h"
#include "lib/store/audit.h"
#include "lib/store/queue.h"

enum {
	GREET_AGAIN_MS = 5000,
	SHUTDOWN_MAX_S = 11,
	STOP_POLLER_MS = 1000,
	STOP_WORKERS_MS = 5000,
	MALLOC_BLOCK = 128 << 10,
	HIDDEN_OF_CLUSTER = 5, /* files with secrets that have no form of their own */
};

struct daemon {
	const struct config *config;
	struct world world;
	struct db *db;
	struct receive *receive;
	struct workers *workers;
	struct reporter *reporter;
	struct poller *poller;
	pthread_t greeter;
	bool greeting;
	char *secrets[2];
	char *cgroup; /* NULL: none is delegated to us */
	/* what no comment may show: secrets and tokens, borrowed first */
	char *hidden[3 + HIDDEN_OF_CLUSTER * WORLD_CLUSTERS_MAX];
	size_t hidden_count;
};

/* --- opening --- */

static enum err_class make_dir(const char *path, struct err *err)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_set(err, ERR_CONFIG, "cannot make %s: %s", path, strerror(errno));
	return ERR_OK;
}

static bool any_cluster_serves(const struct config *config)
{
	for (size_t i = 0; i < config_cluster_count(config); i++)
		if (config_cluster_bool(config, i, "serving"))
			return true;
	return false;
}

static enum err_class open_github(struct world *world, struct err *err)
{
	const struct config *config = world->config;
	struct github_options options = {
		.api_url = config_text(config, "github.api_url"),
		.graphql_url = config_text(config, "github.graphql_url"),
		.api_version = config_text(config, "github.api_version"),
		.app_id = config_text(config, "github.app_id"),
		.private_key_file = config_text(config, "github.private_key_file"),
		.token_file = config_text(config, "github.token_file"),
		.writes_per_minute = (int)config_int(config, "github.writes_per_minute"),
		.writes_per_hour = (int)config_int(config, "github.writes_per_hour"),
		.write_gap_ms = (int)config_ms(config, "github.write_gap"),
		.deploys = any_cluster_serves(config),
	};

	world->app_mode = options.app_id != NULL;
	world->policies = policies_new();
	return github_new(&world->github, &options, err);
}

/* What a cluster needs to serve models; asks nobody. */
static enum err_class open_serving(struct world *world, size_t i, struct err *err)
{
	const struct config *config = world->config;
	struct world_serving *serving = &world->serving[i];
	struct kube_options kube = {
		.kubeconfig = config_cluster_text(config, i, "kubeconfig"),
		.context = config_cluster_text(config, i, "kube_context"),
	};
	struct mlmd_options mlmd = {
		.url = config_cluster_text(config, i, "mlmd_url"),
		.token_file = config_cluster_text(config, i, "kfp_token_file"),
	};

	if (!config_cluster_bool(config, i, "serving"))
		return ERR_OK;
	if (kube_new(&serving->kube, &kube, err) ||
	    object_store_open(&serving->s3, config, i, err) || mlmd_new(&serving->mlmd, &mlmd, err))
		return err->class;
	return ERR_OK;
}

static void close_serving(struct world_serving *serving)
{
	if (serving->kube)
		kube_free(serving->kube);
	if (serving->mlmd)
		mlmd_free(serving->mlmd);
	s3_free(serving->s3);
}

static enum err_class open_clusters(struct world *world, struct err *err)
{
	world->cluster_count = config_cluster_count(world->config);
	if (world->cluster_count > WORLD_CLUSTERS_MAX)
		return err_set(err, ERR_CONFIG, "more than %d clusters", WORLD_CLUSTERS_MAX);
	for (size_t i = 0; i < world->cluster_count; i++) {
		struct kfp_options options = {
			.url = config_cluster_text(world->config, i, "kfp_url"),
			.ui_url = config_cluster_text(world->config, i, "kfp_ui_url"),
			.token_file = config_cluster_text(world->config, i, "kfp_token_file"),
			.dashboard = config_cluster_bool(world->config, i, "kfp_dashboard"),
		};

		if (kfp_new(&world->clusters[i], &options, err) || open_serving(world, i, err))
			return err_wrap(err, "cluster %s",
					config_cluster_text(world->config, i, "name"));
	}
	return ERR_OK;
}

/* A repository leaves one worker to the others, if there are two. */
static int64_t in_hand_max(const struct config *config)
{
	int64_t workers = config_int(config, "limits.workers"),
		asked = config_int(config, "limits.workers_per_repository");

	if (asked)
		return asked;
	return workers > 1 ? workers - 1 : 1;
}

static void read_options(struct world *world)
{
	const struct config *config = world->config;

	world->compile = (struct compile_options){
		.mode = str_eq(config_text(config, "compile.mode"), "precompiled")
				? COMPILE_PRECOMPILED
				: COMPILE_SANDBOX,
		.python = config_text(config, "compile.python"),
		.package_dir = config_text(config, "compile.package_dir"),
		.bwrap = config_text(config, "compile.bwrap"),
		.timeout_ms = (int)config_ms(config, "compile.timeout"),
		.memory_bytes_max = config_bytes(config, "compile.memory"),
		.output_bytes_max = config_bytes(config, "compile.output"),
		.processes_max = (int)config_int(config, "compile.processes"),
	};
	world->rules = (struct job_rules){
		.look_first_ms = config_ms(config, "poll.run_first"),
		.look_until_ms = config_ms(config, "poll.run_until"),
		.doubt_ms = config_ms(config, "poll.run_doubt"),
		.look_service_ms = config_ms(config, "poll.service_first"),
		.look_held_ms = config_ms(config, "poll.held_interval"),
	};
	world->notify_after_ms = config_ms(config, "report.notify_after");
	world->edit_interval_ms = config_ms(config, "report.edit_interval");
	world->list_lag_ms = config_ms(config, "report.list_lag");
	world->denial_pause_ms = config_ms(config, "report.denial_pause");
	world->patience_ms = config_ms(config, "limits.patience");
	world->in_hand_max = in_hand_max(config);
}

/* How the memory of a compile, all its processes together, is held; the daemon lives in `cgroup`
 * from then on. */
static void limit_memory(struct daemon *daemon)
{
	const char *why = "";

	if (daemon->world.compile.mode != COMPILE_SANDBOX)
		return;
	daemon->cgroup = sandbox_group_prepare(true, &why);
	daemon->world.compile.cgroup = daemon->cgroup;
	log_info("compile_memory", LOG_S("held_by", daemon->cgroup ? "cgroup" : "watching"),
		 LOG_S("message", daemon->cgroup ? "" : why));
}

static enum err_class open_repos(struct world *world, const char *state_dir, struct err *err)
{
	const struct config *config = world->config;
	AUTO_FREE char *dir = str_printf("%s/mirrors", state_dir), *program = NULL;
	struct repo_limits limits = {
		.file_bytes_max = config_bytes(config, "limits.checkout_file_bytes"),
		.tree_bytes_max = config_bytes(config, "limits.checkout_bytes"),
		.files_max = config_int(config, "limits.checkout_files"),
		.allow_http =
			true, /* config_load has refused it where it would leave the cluster */
		.ca_file = config_text(config, "github.ca_file"),
	};

	if (make_dir(dir, err) || make_dir(world->work_dir, err) ||
	    repo_program_find(&program, err))
		return err->class;
	limits.program = program;
	return repo_store_open(&world->repos, dir, &limits, err);
}

/* To start is to write: on a full disk that takes what is kept back for it. */
static enum err_class open_database(struct daemon *daemon, struct err *err)
{
	const char *path = daemon->world.db_path;
	enum err_class class = db_open(&daemon->db, path, clock_now_ms(), err);

	if (class == ERR_TRANSIENT && str_eq(err->code, "store.full") && disk_free_ballast(path))
		class = db_open(&daemon->db, path, clock_now_ms(), err);
	return class;
}

/* The end of the audit's chain, for whoever keeps the log elsewhere. */
static enum err_class tell_audit(struct daemon *daemon, struct err *err)
{
	struct audit_mark head = {0};
	enum err_class class = audit_head(daemon->db, &head, err);

	if (class == ERR_OK)
		log_info("audit_head", LOG_I("no", head.no), LOG_S("digest", head.digest));
	return class;
}

static enum err_class open_world(struct daemon *daemon, struct err *err)
{
	struct world *world = &daemon->world;
	const char *state_dir = config_text(daemon->config, "state_dir");
	struct disk_limits limits;
	pthread_condattr_t attr;

	world->config = daemon->config;
	world->db_path = str_printf("%s/kfops.db", state_dir);
	world->work_dir = str_printf("%s/work", state_dir);
	pthread_mutex_init(&world->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&world->work, &attr);
	pthread_condattr_destroy(&attr);
	read_options(world);
	limit_memory(daemon);
	if (make_dir(state_dir, err) || open_database(daemon, err) ||
	    db_watch_crashes(daemon->db, err) || tell_audit(daemon, err))
		return err->class;
	if (open_repos(world, state_dir, err) || open_github(world, err) ||
	    open_clusters(world, err))
		return err->class;
	if (writer_start(&world->writer, daemon->db,
			 (size_t)config_int(daemon->config, "limits.queue"), err))
		return err->class;
	writer_on_commit(world->writer, world_committed, world);
	limits = (struct disk_limits){.path = world->db_path,
				      .free_min_bytes =
					      config_bytes(daemon->config, "limits.free_disk")};
	return writer_watch_disk(world->writer, &limits, err);
}

static bool repo_is_allowed(void *arg, const char *repo)
{
	const struct world *world = arg;

	return config_cluster_of_repo(world->config, repo) >= 0;
}

static void default_branch_moved(void *arg, const char *repo)
{
	const struct world *world = arg;

	policies_moved(world->policies, repo);
}

/* Tokens have no form of their own on every server: those of the start are known by their letters,
 * too. One that cannot be read is reported by who needs it. */
static void hide_token(struct daemon *daemon, const char *path)
{
	struct err err = {0};
	char *token = NULL;

	if (path && !sign_secret_read(&token, path, &err))
		daemon->hidden[daemon->hidden_count++] = token;
}

static void hide_secrets(struct daemon *daemon)
{
	static const char *const files[HIDDEN_OF_CLUSTER] = {
		"kfp_token_file", "serving_token_file", "s3_secret_key_file",
		"s3_session_token_file", "s3_identity_token_file"};
	const struct config *config = daemon->config;

	daemon->hidden[daemon->hidden_count++] = daemon->secrets[0];
	daemon->hidden[daemon->hidden_count++] = daemon->secrets[1];
	hide_token(daemon, config_text(config, "github.token_file"));
	for (size_t i = 0; i < daemon->world.cluster_count; i++)
		for (size_t k = 0; k < ARRAY_LEN(files); k++)
			hide_token(daemon, config_cluster_text(config, i, files[k]));
	markdown_redact_also((const char *const *)daemon->hidden, daemon->hidden_count);
}

static enum err_class open_receive(struct daemon *daemon, struct err *err)
{
	static const char *const paths[2] = {"server.webhook_secret_file",
					     "server.webhook_secret_previous_file"};
	const struct config *config = daemon->config;
	struct receive_options options = {
		.listen = config_text(config, "server.listen"),
		.path = config_text(config, "server.webhook_path"),
		.commands = &commands,
		.job_deadline_ms = config_ms(config, "limits.job_deadline"),
		.comment_age_max_ms = config_ms(config, "limits.comment_age"),
		.connections_max = (int)config_int(config, "server.connections_max"),
		.connections_per_address_max =
			(int)config_int(config, "server.connections_per_address_max"),
		.repo_is_allowed = repo_is_allowed,
		.default_branch_moved = default_branch_moved,
		.page = health_page,
		.arg = &daemon->world,
	};

	for (size_t i = 0; i < 2; i++) {
		const char *path = config_text(config, paths[i]);

		if (path && sign_secret_read(&daemon->secrets[i], path, err))
			return err_wrap(err, "%s", paths[i]);
		options.secrets[i] = daemon->secrets[i];
	}
	hide_secrets(daemon);
	return receive_open(&daemon->receive, &options, daemon->world.writer, err);
}

static enum err_class open_all(struct daemon *daemon, struct err *err)
{
	struct world *world = &daemon->world;

	if (open_world(daemon, err) || open_receive(daemon, err) ||
	    receive_start(daemon->receive, err))
		return err->class;
	log_info("listening", LOG_S("address", config_text(daemon->config, "server.listen")),
		 LOG_I("port", receive_port(daemon->receive)),
		 LOG_I("incarnation", db_incarnation(daemon->db)));
	if (workers_start(&daemon->workers, world,
			  (int)config_int(daemon->config, "limits.workers"), err) ||
	    reporter_start(&daemon->reporter, world, err) ||
	    poller_start(&daemon->poller, world, daemon->receive, err))
		return err->class;
	return ERR_OK;
}

/* --- greeting the far sides, after we listen --- */

static bool greet_github(struct hands *hands, struct daemon *daemon)
{
	struct github_identity who;
	struct err err = {0};

	if (github_identity(hands->world->github, hands->github_http, &who, &err)) {
		credentials_note(hands->world, CREDENTIALS_GITHUB, &err);
		if (err_is_retried(err.class))
			log_info("github_unreachable", LOG_S("message", err.msg));
		else
			log_error("github_refuses", LOG_S("message", err.msg));
		return false;
	}
	credentials_note(hands->world, CREDENTIALS_GITHUB, &(struct err){.class = ERR_OK});
	receive_set_identity(daemon->receive, who.app_id, who.user_id);
	health_set_identified(true);
	log_info("identified", LOG_S("login", who.login), LOG_I("app", who.app_id),
		 LOG_I("user", who.user_id));
	return true;
}

/* True, with the sentence in *err, when commands of some repository will be refused because its
 * cluster is multi-user and its entry names no namespaces. */
static bool lacks_namespaces(const struct world *world, size_t cluster,
			     const struct kfp_capabilities *seen, struct err *err)
{
	const char *match = config_entry_without_namespaces(world->config, cluster);

	if (!seen->multi_user || !match)
		return false;
	err_code(err, ERR_CONFIG, "config.no_namespaces",
		 "the cluster is multi-user, and the entry %s of repositories has no namespaces: "
		 "its commands are refused",
		 match);
	return true;
}

static bool greet_cluster(struct hands *hands, size_t i)
{
	const char *name = config_cluster_text(hands->world->config, i, "name");
	struct kfp_capabilities seen;
	struct err err = {0};

	enum err_class class =
		kfp_probe(hands->world->clusters[i], hands_kfp_http(hands, i), &seen, &err);

	atomic_store(&hands->world->too_old[i], class && str_eq(err.code, "kfp.too_old"));
	if (class) {
		if (class == ERR_CONFIG)
			log_error("kubeflow_refused", LOG_S("cluster", name),
				  LOG_S("message", err.msg));
		else
			log_info("kubeflow_unreachable", LOG_S("cluster", name),
				 LOG_S("message", err.msg));
		return false;
	}
	log_info("kubeflow", LOG_S("cluster", name), LOG_S("version", seen.version),
		 LOG_S("multi_user", seen.multi_user ? "yes" : "no"));
	if (lacks_namespaces(hands->world, i, &seen, &err))
		log_warn("namespaces_missing", LOG_S("cluster", name), LOG_S("message", err.msg));
	return true;
}

/* What a process that did not end on purpose has left is looked through beside the work, because it
 * takes seconds for a large file. A damaged one is not written to any more. */
static void check_database(struct daemon *daemon, struct hands *hands)
{
	struct err err = {0};

	if (db_was_clean(daemon->db))
		return;
	if (db_check(hands->reader, &err) != ERR_CORRUPT) {
		log_info("database_checked", LOG_S("found", err.class ? err.msg : "nothing wrong"));
		return;
	}
	log_error("database_damaged", LOG_S("message", err.msg),
		  LOG_S("effect", "the process ends; put a copy in its place"));
	_exit(EXIT_CODE_DATA);
}

static void *greet(void *arg)
{
	struct daemon *daemon = arg;
	struct world *world = &daemon->world;
	bool github_done = false, cluster_done[WORLD_CLUSTERS_MAX] = {false}, all = false;
	struct hands hands;
	struct err err;

	if (hands_open(&hands, world, &err)) {
		log_error("greeting_failed", LOG_S("message", err.msg));
		return NULL;
	}
	check_database(daemon, &hands);
	while (!all && !atomic_load(&world->stopping)) {
		github_done = github_done || greet_github(&hands, daemon);
		all = github_done;
		for (size_t i = 0; i < world->cluster_count; i++) {
			cluster_done[i] = cluster_done[i] || greet_cluster(&hands, i);
			all = all && cluster_done[i];
		}
		if (!all)
			world_nap(world, GREET_AGAIN_MS);
	}
	hands_close(&hands);
	mem_settle(); /* starting up has used more than will be needed */
	return NULL;
}

/* --- running and closing --- */

/* The threads that take work first, the writer last: whatever they still bring is stored. */
static void stop_threads(struct daemon *daemon)
{
	int64_t now_ms = clock_mono_ms();

	atomic_store(&daemon->world.stopping, true);
	if (daemon->world.repos)
		repo_store_abort(daemon->world.repos);
	world_poke(&daemon->world);
	if (daemon->poller) /* it hands recovered deliveries to receive, so it ends before */
		poller_stop(daemon->poller, now_ms + STOP_POLLER_MS);
	if (daemon->receive)
		receive_stop(daemon->receive);
	if (daemon->workers)
		workers_stop(daemon->workers, now_ms + STOP_WORKERS_MS);
	if (daemon->reporter)
		reporter_stop(daemon->reporter, now_ms + STOP_WORKERS_MS);
	if (daemon->greeting)
		world_join(daemon->greeter, now_ms + STOP_WORKERS_MS);
}

static void close_all(struct daemon *daemon)
{
	struct world *world = &daemon->world;

	stop_threads(daemon);
	if (world->writer)
		writer_stop(world->writer);
	if (daemon->db) {
		struct err err;

		if (tell_audit(daemon, &err))
			log_warn("audit_unread", LOG_S("message", err.msg));
		db_close(daemon->db);
	}
	for (size_t i = 0; i < world->cluster_count; i++)
		if (world->clusters[i])
			kfp_free(world->clusters[i]);
	for (size_t i = 0; i < world->cluster_count; i++)
		close_serving(&world->serving[i]);
	if (world->github)
		github_free(world->github);
	policies_free(world->policies);
	if (world->repos)
		repo_store_close(world->repos);
	for (size_t i = 0; i < world->namespace_count; i++)
		mem_free(world->namespaces[i].name);
	mem_free(world->namespaces);
	mem_free(world->db_path);
	mem_free(world->work_dir);
	mem_free(daemon->cgroup);
	for (size_t i = 2; i < daemon->hidden_count; i++)
		sign_secret_free(daemon->hidden[i]);
	sign_secret_free(daemon->secrets[0]);
	sign_secret_free(daemon->secrets[1]);
}

int daemon_exit_code(const struct err *err)
{
	if (str_eq(err->code, "store.locked"))
		return EXIT_CODE_LOCKED;
	if (str_eq(err->code, "start.os"))
		return EXIT_CODE_OS;
	if (err->class == ERR_CORRUPT)
		return str_eq(err->code, "store.damaged") ? EXIT_CODE_DATA : EXIT_CODE_TEMP;
	if (err->class == ERR_TRANSIENT) /* the disk is full, or somebody has the database locked */
		return EXIT_CODE_TEMP;
	return err->class == ERR_CONFIG ? EXIT_CODE_CONFIG : EXIT_CODE_OS;
}

/* The second signal, or a stop that takes too long, ends the process: nothing depends on a clean
 * end. */
static void leave_now(int signal)
{
	(void)signal;
	_exit(EXIT_CODE_OK);
}

static void wait_for_signal(void)
{
	sigset_t set;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigwait(&set, &signal);
	log_info("stopping", LOG_I("signal", signal));
	struct sigaction leave = {.sa_handler = leave_now};

	sigaction(SIGTERM, &leave, NULL);
	sigaction(SIGINT, &leave, NULL);
	sigaction(SIGALRM, &leave, NULL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	alarm(SHUTDOWN_MAX_S);
}

static void block_signals(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

int daemon_run(const struct config *config)
{
	struct daemon daemon = {.config = config};
	struct err err = {0};
	enum log_level level;

	if (log_level_from_name(&level, config_text(config, "log.level")))
		log_set_level(level);
	umask(077);
	/* Many threads, little memory each; and what is freed goes back: without the two thresholds
	 * set, the first large block freed would raise them for good. */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, MALLOC_BLOCK);
	mallopt(M_TRIM_THRESHOLD, MALLOC_BLOCK);
	block_signals();
	crash_init();
	http_global_init();
	if (open_all(&daemon, &err)) {
		log_error("start_failed", LOG_S("message", err.msg));
		close_all(&daemon);
		return daemon_exit_code(&err);
	}
	daemon.greeting = pthread_create(&daemon.greeter, NULL, greet, &daemon) == 0;
	wait_for_signal();
	close_all(&daemon);
	log_info("stopped", LOG_I("pid", getpid()));
	return EXIT_CODE_OK;
}

/* --- the other modes --- */

static void print_job(const json_t *row)
{
	const char *step = jval_int(row, "finished_at_ms", 0) ? "" : jval_str(row, "step", "");
	char at[21];

	clock_rfc3339(at, jval_int(row, "created_at_ms", 0));
	printf("%-6" PRId64 " %-10s %-12s %-14s %-30s #%-6" PRId64 " %.12s %-20s %s %s\n",
	       jval_int(row, "id", 0), jval_str(row, "state", "?"), jval_str(row, "command", "?"),
	       step, jval_str(row, "repo", ""), jval_int(row, "pr", 0), jval_str(row, "sha", "-"),
	       jval_str(row, "actor", "?"), at, jval_str(row, "code", ""));
}

int daemon_print_jobs(const struct config *config)
{
	enum { ROWS_MAX = 200 };
	AUTO_FREE char *path = str_printf("%s/kfops.db", config_text(config, "state_dir"));
	AUTO_JSON json_t *rows = NULL;
	struct db *db = NULL;
	struct err err = {0};
	json_t *row;
	size_t i;

	if (db_open_reader(&db, path, &err) || db_is_current(db, &err) ||
	    queue_list(db, 0, 0, ROWS_MAX, &rows, &err)) {
		fprintf(stderr, "kfopsd: %s\n", err.msg);
		if (db)
			db_close(db);
		return daemon_exit_code(&err);
	}
	json_array_foreach(rows, i, row) print_job(row);
	db_close(db);
	return EXIT_CODE_OK;
}

static bool check_one(const char *what, enum err_class class, const struct err *err)
{
	if (class)
		printf("FAIL %s: %s\n", what, err->msg);
	else
		printf("ok   %s\n", what);
	return class == ERR_OK;
}

/* What would hold a compile's memory for a process that starts where this one does. */
static void tell_memory(const struct world *world)
{
	const char *why = "";
	char *cgroup;

	if (world->compile.mode != COMPILE_SANDBOX)
		return;
	cgroup = sandbox_group_prepare(false, &why);
	if (cgroup)
		printf("ok   compile memory: held by a cgroup below %s\n", cgroup);
	else
		printf("ok   compile memory: held for each process, and watched for all together "
		       "(%s)\n",
		       why);
	mem_free(cgroup);
}

static enum err_class check_cluster(struct hands *hands, size_t i, struct err *err)
{
	struct world *world = hands->world;
	struct kfp_capabilities seen;

	if (kfp_probe(world->clusters[i], hands_kfp_http(hands, i), &seen, err))
		return err->class;
	return lacks_namespaces(world, i, &seen, err) ? err->class : ERR_OK;
}

/* Which buckets there are is not known, but a role can be taken on. */
static bool check_store(struct hands *hands, size_t i)
{
	struct world *world = hands->world;
	struct s3 *s3 = world->serving[i].s3;
	struct err err = {0};
	AUTO_FREE char *what = str_printf("keys for the object store of cluster %s",
					  config_cluster_text(world->config, i, "name"));

	return !s3 ||
	       check_one(what, s3_credentials_check(s3, hands_cluster_http(hands), &err), &err);
}

static bool check_far_sides(struct world *world)
{
	struct hands hands = {.world = world};
	struct github_identity who;
	struct err err = {0};
	bool ok;

	hands.github_http = http_new(&(struct http_options){
		.user_agent = "kfops/" KFOPS_VERSION,
		.ca_file = config_text(world->config, "github.ca_file"),
		.allow_http = true,
	});
	ok = check_one("GitHub knows us",
		       github_identity(world->github, hands.github_http, &who, &err), &err);
	for (size_t i = 0; i < world->cluster_count; i++) {
		AUTO_FREE char *what = str_printf("Kubeflow Pipelines of cluster %s",
						  config_cluster_text(world->config, i, "name"));

		err = (struct err){0};
		ok = check_one(what, check_cluster(&hands, i, &err), &err) && ok;
		ok = check_store(&hands, i) && ok;
	}
	hands_close(&hands);
	return ok;
}

int daemon_check(const struct config *config)
{
	struct daemon daemon = {.config = config};
	struct world *world = &daemon.world;
	struct err err = {0};
	bool ok, github_ok, clusters_ok;
	char *program = NULL;

	world->config = config;
	http_global_init();
	read_options(world);
	printf("ok   configuration\n");
	ok = world->compile.mode != COMPILE_SANDBOX ||
	     check_one("compile sandbox", compile_check(&world->compile, &err), &err);
	tell_memory(world);
	err = (struct err){0};
	ok = check_one("checkout program", repo_program_find(&program, &err), &err) && ok;
	mem_free(program);
	err = (struct err){0};
	github_ok = check_one("GitHub credentials", open_github(world, &err), &err);
	err = (struct err){0};
	clusters_ok = check_one("Kubeflow addresses", open_clusters(world, &err), &err);
	ok = ok && github_ok && clusters_ok;
	if (github_ok && clusters_ok)
		ok = check_far_sides(world) && ok;
	for (size_t i = 0; i < world->cluster_count; i++)
		if (world->clusters[i])
			kfp_free(world->clusters[i]);
	for (size_t i = 0; i < world->cluster_count; i++)
		close_serving(&world->serving[i]);
	if (world->github)
		github_free(world->github);
	policies_free(world->policies);
	return ok ? EXIT_CODE_OK : EXIT_CODE_CONFIG;
}
