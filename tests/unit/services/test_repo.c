/* Fetching: from a real git server over HTTP into a mirror, what is refused, what is repeated. */
#include "tests/unit/services/repo_kit.h"

/* --- the ordinary way --- */

static void test_checkout_and_again_without_a_fetch(void **state)
{
	struct world *world = world_start();
	const char *sub =
		put_tree(world->origin, (struct entry[]){{"100755", "run.sh", "#!/bin/sh\n"}}, 1);
	const struct entry entries[] = {{"100644", "a.txt", "hello\n"},
					{"100644", "empty", ""},
					{"120000", "link", "pkg/run.sh"},
					{"40000", "pkg", NULL, sub}};
	const char *sha = push(world, entries, 4, NULL);
	struct stat info;
	int requests;

	(void)state;
	assert_int_equal(checkout(world, sha), ERR_OK);
	assert_true(world->tree.fetched);
	assert_int_equal(world->tree.files, 4);
	assert_int_equal(world->tree.bytes, 6 + 0 + 10 + 10);
	assert_file(world, "a.txt", "hello\n", 0644);
	assert_file(world, "empty", "", 0644);
	assert_file(world, "pkg/run.sh", "#!/bin/sh\n", 0755);
	assert_int_equal(stat(world->dest, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0700);
	requests = world->server->request_count;
	assert_int_equal(checkout(world, sha), ERR_OK);
	assert_false(world->tree.fetched);
	assert_int_equal(world->server->request_count, requests);
	assert_file(world, "a.txt", "hello\n", 0644);
	world_reopen(world); /* as after a restart */
	assert_int_equal(checkout(world, sha), ERR_OK);
	assert_false(world->tree.fetched);
	world_stop(world);
}

static void test_folder_that_is_there(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);
	struct repo_request request = {
		.repo_id = 5, .url = world->url, .ref = PULL, .sha = sha, .dest = world->dest};
	AUTO_FREE char *file = str_printf("%s/x", world->dest),
		       *below = str_printf("%s/y/z", world->dest);

	(void)state;
	assert_int_equal(mkdir(world->dest, 0755), 0);
	assert_int_equal(repo_checkout(world->store, &request, &world->tree, &world->err), ERR_OK);
	assert_file(world, "a.txt", "a\n", 0644);
	repo_remove_tree(world->dest);
	assert_int_equal(mkdir(world->dest, 0755), 0);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(repo_checkout(world->store, &request, &world->tree, &world->err), ERR_BUG);
	assert_int_equal(access(file, F_OK), 0); /* somebody else's file stays */
	request.dest = below;
	assert_int_equal(repo_checkout(world->store, &request, &world->tree, &world->err),
			 ERR_TRANSIENT);
	world_stop(world);
}

/* --- which commits belong to a ref --- */

static void test_ancestors_belong_to_the_ref(void **state)
{
	struct world *world = world_start();
	const char *first = PUSH_ONE(world, NULL), *second = PUSH_ONE(world, first);

	(void)state;
	assert_int_equal(checkout(world, first), ERR_OK);
	assert_true(world->tree.fetched);
	assert_int_equal(checkout(world, second), ERR_OK);
	assert_false(world->tree.fetched);
	world_stop(world);
}

static void test_push_is_fetched(void **state)
{
	struct world *world = world_start();
	const char *first = PUSH_ONE(world, NULL), *second;

	(void)state;
	assert_int_equal(checkout(world, first), ERR_OK);
	second = push(world, (struct entry[]){{"100644", "b", "new\n"}}, 1, first);
	assert_int_equal(checkout(world, second), ERR_OK);
	assert_true(world->tree.fetched);
	assert_file(world, "b", "new\n", 0644);
	world_stop(world);
}

static void test_force_push(void **state)
{
	struct world *world = world_start();
	const char *base = PUSH_ONE(world, NULL), *seen = PUSH_ONE(world, base), *unseen, *last;

	(void)state;
	assert_int_equal(checkout(world, seen), ERR_OK);
	unseen = PUSH_ONE(world, base); /* replaces `seen`, is itself replaced before any fetch */
	last = PUSH_ONE(world, base);
	assert_int_equal(checkout(world, last), ERR_OK);
	assert_true(world->tree.fetched);
	/* Recorded under this ref before: stays good, without asking. */
	assert_int_equal(checkout(world, seen), ERR_OK);
	assert_false(world->tree.fetched);
	/* Never seen under this ref. */
	assert_refused(world, checkout(world, unseen), ERR_CONFLICT, "repo.sha_not_in_ref");
	assert_non_null(strstr(world->err.msg, PULL));
	world_stop(world);
}

static void test_commit_of_another_ref_is_refused(void **state)
{
	struct world *world = world_start();
	const char *base = PUSH_ONE(world, NULL), *foreign;

	(void)state;
	foreign = put_commit(world->origin, put_tree(world->origin, one_file, 1), base);
	put_ref(world->origin, "refs/pull/8/head", foreign);
	assert_int_equal(checkout_ref(world, "refs/pull/8/head", foreign, NULL), ERR_OK);
	assert_refused(world, checkout(world, foreign), ERR_CONFLICT, "repo.sha_not_in_ref");
	assert_refused(world, checkout(world, "0123456789012345678901234567890123456789"),
		       ERR_CONFLICT, "repo.sha_not_in_ref");
	world_stop(world);
}

static void test_object_that_is_no_commit_is_refused(void **state)
{
	struct world *world = world_start();
	const char *tree = put_tree(world->origin, one_file, 1);

	(void)state;
	put_ref(world->origin, PULL, put_commit(world->origin, tree, NULL));
	assert_refused(world, checkout(world, tree), ERR_CONFLICT, "repo.sha_not_in_ref");
	put_ref(world->origin, PULL, tree);
	assert_refused(world, checkout(world, tree), ERR_USER, "repo.bad_object");
	world_stop(world);
}

static void test_what_is_asked_for_is_checked(void **state)
{
	static const char good[] = "0123456789abcdef0123456789abcdef01234567";
	static const struct {
		const char *ref, *sha, *code;
	} cases[] = {
		{"refs/pull/9/head", good, "repo.ref_missing"},
		{"refs/heads/--upload-pack=x", good, "repo.ref_missing"},
		{"--upload-pack=touch x", good, "repo.bad_ref"},
		{"HEAD", good, "repo.bad_ref"},
		{"refs/pull/7/../8/head", good, "repo.bad_ref"},
		{"refs/pull/7/head:refs/heads/main", good, "repo.bad_ref"},
		{"refs/pull/*/head", good, "repo.bad_ref"},
		{"refs/heads/a b", good, "repo.bad_ref"},
		{"refs/heads/a\nb", good, "repo.bad_ref"},
		{PULL, "0123456", "repo.bad_sha"},
		{PULL, "", "repo.bad_sha"},
		{PULL, "main", "repo.bad_sha"},
		{PULL, "0123456789ABCDEF0123456789abcdef01234567", "repo.bad_sha"},
		{PULL, "0123456789abcdef0123456789abcdef012345670123456789abcdef0123456789abcdef",
		 "repo.bad_sha"},
		{PULL, "0123456789abcdef0123456789abcdef0123456701234567890123456789abcd",
		 "repo.bad_sha"},
	};
	struct world *world = world_start();

	(void)state;
	PUSH_ONE(world, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum err_class class = checkout_ref(world, cases[i].ref, cases[i].sha, NULL);

		print_message("  %s %s\n", cases[i].ref, cases[i].sha);
		assert_refused(world, class, i < 2 ? ERR_NOT_FOUND : ERR_USER, cases[i].code);
	}
	world_stop(world);
}

/* --- the token --- */

/* Basic x-access-token:good */
static const char good_header[] = "Basic eC1hY2Nlc3MtdG9rZW46Z29vZC10b2tlbg==";
static const char *needle;
static int files_with_needle;

static int look_for_needle(const char *path, const struct stat *info, int type, struct FTW *where)
{
	AUTO_BUF struct buf text = buf_make(1 << 22);
	FILE *file = type == FTW_F ? fopen(path, "rb") : NULL;
	char chunk[4096];
	size_t got;

	(void)info, (void)where;
	while (file && (got = fread(chunk, 1, sizeof chunk, file)) > 0)
		buf_add(&text, chunk, got);
	if (file)
		fclose(file);
	files_with_needle +=
		text.len && memmem(text.data, text.len, needle, strlen(needle)) != NULL;
	return 0;
}

static void assert_nowhere(const struct world *world, const char *text)
{
	needle = text;
	files_with_needle = 0;
	nftw(world->mirrors, look_for_needle, 16, FTW_PHYS);
	assert_int_equal(files_with_needle, 0);
	assert_null(strstr(world->err.msg, text));
}

static void test_token(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);

	(void)state;
	world->server->authorization = good_header;
	assert_refused(world, checkout_ref(world, PULL, sha, NULL), ERR_DENIED, "repo.denied");
	assert_refused(world, checkout_ref(world, PULL, sha, "wrong-token"), ERR_DENIED,
		       "repo.denied");
	assert_nowhere(world, "wrong-token");
	assert_int_equal(checkout_ref(world, PULL, sha, "good-token"), ERR_OK);
	assert_nowhere(world, "good-token");
	assert_nowhere(world, "eC1hY2Nlc3M");
	/* Nor does the mirror remember where it came from. */
	assert_nowhere(world, "127.0.0.1");
	/* A long one, as GitHub may send. */
	{
		char token[600];

		memset(token, 'x', sizeof token - 1);
		token[sizeof token - 1] = '\0';
		sha = PUSH_ONE(world, sha);
		assert_refused(world, checkout_ref(world, PULL, sha, token), ERR_DENIED,
			       "repo.denied");
	}
	world_stop(world);
}

static void test_redirect_gets_no_token(void **state)
{
	struct world *world = world_start(), *other = world_start();
	const char *sha = PUSH_ONE(world, NULL);
	static const char *const hosts[] = {"127.0.0.1", "localhost"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		AUTO_FREE char *away = str_printf("http://%s:%d", hosts[i], other->server->port);

		world->server->manner = GIT_REDIRECT;
		world->server->location = away;
		assert_refused(world, checkout_ref(world, PULL, sha, "good-token"), ERR_CONFIG,
			       "repo.redirect");
		assert_int_equal(other->server->request_count, 0);
	}
	/* Within the same host it is followed. */
	world->server->location = "file:///etc";
	assert_refused(world, checkout(world, sha), ERR_CONFIG, "repo.redirect");
	world_stop(world);
	world_stop(other);
}

/* --- a far side that misbehaves --- */

static void test_answers(void **state)
{
	static const struct {
		const char *name;
		enum git_manner manner;
		int status;
		enum err_class class;
		const char *code;
	} cases[] = {
		{"no such repository", GIT_STATUS, 404, ERR_NOT_FOUND, "repo.missing"},
		{"gone", GIT_STATUS, 410, ERR_NOT_FOUND, "repo.missing"},
		{"forbidden", GIT_STATUS, 403, ERR_DENIED, "repo.denied"},
		{"refused without a question", GIT_STATUS, 401, ERR_DENIED, "repo.denied"},
		{"too many", GIT_STATUS, 429, ERR_TRANSIENT, ""},
		{"broken", GIT_STATUS, 500, ERR_TRANSIENT, ""},
		{"busy", GIT_STATUS, 503, ERR_TRANSIENT, ""},
		{"strange", GIT_STATUS, 418, ERR_CONFIG, ""},
		{"a page", GIT_NOISE, 0, ERR_TRANSIENT, ""},
		{"pack cut", GIT_CUT, 0, ERR_TRANSIENT, ""},
	};
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum err_class class;

		world->server->manner = cases[i].manner;
		world->server->status = cases[i].status;
		class = checkout(world, sha);
		print_message("  %s: %s\n", cases[i].name, world->err.msg);
		assert_refused(world, class, cases[i].class, cases[i].code);
	}
	world->server->manner = GIT_PLAIN;
	assert_int_equal(checkout(world, sha), ERR_OK); /* nothing of it sticks */
	world_stop(world);
}

static void test_nobody_there(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);

	(void)state;
	mem_free(world->url);
	world->url = str_dup("http://127.0.0.1:1/o.git");
	assert_refused(world, checkout(world, sha), ERR_TRANSIENT, "");
	mem_free(world->url);
	world->url = str_dup("https://no-such-host.invalid/o.git");
	assert_refused(world, checkout(world, sha), ERR_TRANSIENT, "");
	world_stop(world);
}

static void test_refs_of_one_and_pack_of_another(void **state)
{
	struct world *world = world_start(), *other = world_start();
	const char *sha = PUSH_ONE(world, NULL);

	(void)state;
	PUSH_ONE(other, NULL);
	world->server->manner = GIT_OTHER_PACK;
	world->server->other = other->repos;
	assert_refused(world, checkout(world, sha), ERR_TRANSIENT, "");
	world_stop(world);
	world_stop(other);
}

static void test_silence_ends_at_the_time_out(void **state)
{
	static const enum git_manner manners[] = {GIT_SILENT, GIT_SILENT_ON_PACK};
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);

	(void)state;
	world->limits.fetch_timeout_ms = 400;
	world_reopen(world);
	for (size_t i = 0; i < ARRAY_LEN(manners); i++) {
		int64_t started_ms = clock_mono_ms();

		world->server->manner = manners[i];
		assert_refused(world, checkout(world, sha), ERR_TRANSIENT, "repo.timeout");
		assert_true(clock_mono_ms() - started_ms < 5000);
	}
	world_stop(world);
}

static void *abort_soon(void *arg)
{
	struct world *world = arg;

	while (!world->server->request_count) {
		struct timespec pause = {.tv_nsec = 1000000};

		nanosleep(&pause, NULL);
	}
	repo_store_abort(world->store);
	return NULL;
}

static void test_abort(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);
	int64_t started_ms = clock_mono_ms();
	pthread_t thread;

	(void)state;
	world->server->manner = GIT_SILENT;
	assert_int_equal(pthread_create(&thread, NULL, abort_soon, world), 0);
	assert_refused(world, checkout(world, sha), ERR_TRANSIENT, "");
	assert_non_null(strstr(world->err.msg, "because kfops stops"));
	assert_true(clock_mono_ms() - started_ms < 5000);
	pthread_join(thread, NULL);
	world_stop(world);
}

static void test_endless_answer_ends_at_the_bound(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);

	(void)state;
	world->limits.fetch_bytes_max = 100 * 1000;
	world_reopen(world);
	world->server->manner = GIT_ENDLESS;
	assert_refused(world, checkout(world, sha), ERR_USER, "repo.too_large");
	world->server->manner = GIT_PLAIN;
	assert_int_equal(checkout(world, sha), ERR_OK);
	world_stop(world);
}

static void test_pack_larger_than_allowed(void **state)
{
	struct world *world = world_start();
	char noise[60001];
	const char *sha;
	unsigned seed = 7;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof noise; i++) {
		seed = seed * 1103515245 + 12345;
		noise[i] = (char)('!' + (seed >> 16) % 90);
	}
	noise[sizeof noise - 1] = '\0';
	sha = push(world, (struct entry[]){{"100644", "noise", noise}}, 1, NULL);
	world->limits.fetch_bytes_max = 20 * 1000;
	world_reopen(world);
	assert_refused(world, checkout(world, sha), ERR_USER, "repo.too_large");
	world_stop(world);
}

/* --- threads, damage, pruning --- */

struct racer {
	struct world *world;
	const char *sha;
	char *dest;
	enum err_class class;
	struct repo_tree tree;
	struct err err;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct repo_request request = {.repo_id = 5,
				       .url = racer->world->url,
				       .ref = PULL,
				       .sha = racer->sha,
				       .dest = racer->dest};

	racer->class = repo_checkout(racer->world->store, &request, &racer->tree, &racer->err);
	return NULL;
}

static void test_threads_share_a_mirror(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);
	struct racer racers[4] = {0};
	pthread_t threads[4];
	int fetched = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		racers[i] = (struct racer){
			.world = world, .sha = sha, .dest = str_printf("%s/out-%d", world->dir, i)};
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(racers[i].class, ERR_OK);
		fetched += racers[i].tree.fetched;
		mem_free(racers[i].dest);
	}
	assert_int_equal(fetched, 1);
	world_stop(world);
}

/* Cuts the largest file below the mirrors to a few bytes. */
static char largest[512];
static off_t largest_size;
static int note_largest(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)where;
	if (type == FTW_F && str_ends(path, ".pack") && info->st_size > largest_size) {
		largest_size = info->st_size;
		str_copy(largest, sizeof largest, path);
	}
	return 0;
}

static void test_damaged_mirror_is_made_anew(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);
	AUTO_FREE char *mirror = NULL, *head = NULL;

	(void)state;
	assert_int_equal(checkout(world, sha), ERR_OK);
	largest_size = 0;
	nftw(world->mirrors, note_largest, 16, FTW_PHYS);
	assert_true(largest_size > 0);
	assert_int_equal(chmod(largest, 0600), 0);
	assert_int_equal(truncate(largest, 20), 0);
	assert_int_equal(checkout(world, sha), ERR_OK);
	assert_true(world->tree.fetched);
	/* Half made, as by a process that was killed. */
	mirror = str_printf("%s/127.0.0.1:%d/5.git", world->mirrors, world->server->port);
	head = str_printf("%s/HEAD", mirror);
	assert_int_equal(unlink(head), 0);
	assert_int_equal(checkout(world, sha), ERR_OK);
	assert_true(world->tree.fetched);
	world_stop(world);
}

static void test_leftover_of_a_killed_fetch_is_removed(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);
	AUTO_FREE char *left = str_printf("%s/127.0.0.1:%d/5.git/objects/pack/pack_git2_a1b2c3",
					  world->mirrors, world->server->port);

	(void)state;
	assert_int_equal(checkout(world, sha), ERR_OK);
	close(open(left, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(access(left, F_OK), 0);
	assert_int_equal(checkout(world, sha), ERR_OK);
	assert_int_equal(access(left, F_OK), -1);
	world_stop(world);
}

static void test_prune(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);
	AUTO_FREE char *host = str_printf("%s/127.0.0.1:%d", world->mirrors, world->server->port);
	AUTO_FREE char *mirror = str_printf("%s/5.git", host), *gone = NULL;

	(void)state;
	assert_int_equal(checkout(world, sha), ERR_OK);
	gone = str_printf("%s/.gone-1", world->mirrors);
	assert_int_equal(mkdir(gone, 0700), 0);
	repo_store_prune(world->store, 60 * 1000);
	assert_int_equal(access(mirror, F_OK), 0);
	assert_int_equal(access(gone, F_OK), -1);
	repo_store_prune(world->store, 0);
	assert_int_equal(access(host, F_OK), -1);
	assert_int_equal(checkout(world, sha), ERR_OK);
	assert_true(world->tree.fetched);
	world_stop(world);
}

static void test_store_that_cannot_be_used(void **state)
{
	struct repo_limits limits = {.ca_file = "/nonexistent/ca.pem"};
	struct world *world = world_start();
	struct repo_store *store;

	(void)state;
	assert_int_equal(repo_store_open(&store, "/nonexistent/x", NULL, &world->err), ERR_CONFIG);
	assert_null(store);
	assert_int_equal(repo_store_open(&store, world->mirrors, &limits, &world->err), ERR_CONFIG);
	repo_store_close(NULL);
	world_stop(world);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_checkout_and_again_without_a_fetch),
	cmocka_unit_test(test_folder_that_is_there),
	cmocka_unit_test(test_ancestors_belong_to_the_ref),
	cmocka_unit_test(test_push_is_fetched),
	cmocka_unit_test(test_force_push),
	cmocka_unit_test(test_commit_of_another_ref_is_refused),
	cmocka_unit_test(test_object_that_is_no_commit_is_refused),
	cmocka_unit_test(test_what_is_asked_for_is_checked),
	cmocka_unit_test(test_token),
	cmocka_unit_test(test_redirect_gets_no_token),
	cmocka_unit_test(test_answers),
	cmocka_unit_test(test_nobody_there),
	cmocka_unit_test(test_refs_of_one_and_pack_of_another),
	cmocka_unit_test(test_silence_ends_at_the_time_out),
	cmocka_unit_test(test_abort),
	cmocka_unit_test(test_endless_answer_ends_at_the_bound),
	cmocka_unit_test(test_pack_larger_than_allowed),
	cmocka_unit_test(test_threads_share_a_mirror),
	cmocka_unit_test(test_damaged_mirror_is_made_anew),
	cmocka_unit_test(test_leftover_of_a_killed_fetch_is_removed),
	cmocka_unit_test(test_prune),
	cmocka_unit_test(test_store_that_cannot_be_used),
};

CASES_MAIN(tests, NULL, NULL)
