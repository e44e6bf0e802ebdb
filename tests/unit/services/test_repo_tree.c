/* What of a commit reaches the disk: names, links, bounds, and reading and removing afterwards. */
#include "tests/unit/services/repo_kit.h"

/* --- names --- */

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool safe;
	} cases[] = {
		{"a", true},
		{".gitignore", true},
		{".github", true},
		{".gitattributes", true},
		{".gitmodules", true},
		{"git", true},
		{"x.git", true},
		{".git2", true},
		{"git~10", true},
		{"..a", true},
		{"...", true},
		{"-rf", true},
		{"a\nb", true},
		{"\x1b[31m", true},
		{"\xff\xfe", true},
		{"a\\b", true},
		{"C:", true},
		{"", false},
		{".", false},
		{"..", false},
		{"a/b", false},
		{"/etc", false},
		{"../x", false},
		{".git", false},
		{".GIT", false},
		{".Git", false},
		{"git~1", false},
		{"GIT~1", false},
		{"git~2", false},
		{".git.", false},
		{".git ", false},
		{".git . .", false},
		{".git...........", false},
		{".git::$INDEX_ALLOCATION", false},
		{".git:x", false},
		{".git\\config", false},
		{"git~1.", false},
		{".g\xe2\x80\x8cit", false},		 /* U+200C, ignored by HFS+ */
		{"\xef\xbb\xbf.git", false},		 /* U+FEFF */
		{".gi\xe2\x81\xaft", false},		 /* U+206F */
		{".g\xe2\x80\x8c\xe2\x80\x8dIT", false}, /* two of them */
		{".g\xe2\x80\xa6it", true}, /* an ellipsis is a letter like any other */
	};
	char longest[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (repo_name_is_safe(cases[i].name) != cases[i].safe)
			print_message("  %s\n", cases[i].name);
		assert_int_equal(repo_name_is_safe(cases[i].name), cases[i].safe);
	}
	memset(longest, 'x', sizeof longest);
	longest[256] = '\0';
	assert_false(repo_name_is_safe(longest));
	longest[255] = '\0';
	assert_true(repo_name_is_safe(longest));
}

static void test_bad_names_in_a_commit(void **state)
{
	static const char *const names[] = {"..",    ".",	    ".git",	    ".GIT",
					    "git~1", "/etc/passwd", "../../escape", ".git\\hooks"};
	struct world *world = world_start();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *below = put_tree(world->origin, one_file, 1);
		const struct entry as_file[] = {{"100644", names[i], "x"}};
		const struct entry as_folder[] = {{"40000", names[i], NULL, below}};

		print_message("  %s\n", names[i]);
		assert_refused(world, checkout(world, push(world, as_file, 1, NULL)), ERR_USER,
			       "repo.bad_path");
		assert_refused(world, checkout(world, push(world, as_folder, 1, NULL)), ERR_USER,
			       "repo.bad_path");
	}
	world_stop(world);
}

static void test_doubled_names(void **state)
{
	struct world *world = world_start();
	const char *below = put_tree(world->origin, one_file, 1);
	const struct entry file_twice[] = {{"100644", "a", "1"}, {"100644", "a", "2"}};
	const struct entry link_then_folder[] = {{"120000", "a", "/tmp"},
						 {"40000", "a", NULL, below}};
	const struct entry link_then_file[] = {{"120000", "a", "b"}, {"100644", "a", "x"}};
	const struct entry folder_twice[] = {{"40000", "a", NULL, below},
					     {"40000", "a", NULL, below}};

	(void)state;
	assert_refused(world, checkout(world, push(world, file_twice, 2, NULL)), ERR_USER,
		       "repo.bad_path");
	assert_refused(world, checkout(world, push(world, link_then_folder, 2, NULL)), ERR_USER,
		       "repo.bad_path");
	assert_refused(world, checkout(world, push(world, link_then_file, 2, NULL)), ERR_USER,
		       "repo.bad_path");
	assert_refused(world, checkout(world, push(world, folder_twice, 2, NULL)), ERR_USER,
		       "repo.bad_path");
	world_stop(world);
}

static void test_odd_names_are_kept(void **state)
{
	static const struct entry entries[] = {{"100644", "\x01\x1b[31m\xff", "1"},
					       {"100644", "$(id)", "2"},
					       {"100644", "--help", "3"},
					       {"100644", "a\nb", "4"},
					       {"100644", "\xc3\xa9", "5"}};
	struct world *world = world_start();

	(void)state;
	assert_int_equal(checkout(world, push(world, entries, ARRAY_LEN(entries), NULL)), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		assert_file(world, entries[i].name, entries[i].data, 0644);
	world_stop(world);
}

static void test_message_shows_no_control_characters(void **state)
{
	struct world *world = world_start();
	const char *below = put_tree(world->origin, (struct entry[]){{"100644", ".git", "x"}}, 1);
	const struct entry entries[] = {{"40000", "a\x1b[31m\n\xff", NULL, below}};

	(void)state;
	assert_refused(world, checkout(world, push(world, entries, 1, NULL)), ERR_USER,
		       "repo.bad_path");
	assert_non_null(strstr(world->err.msg, "\"a?[31m?\?/.git\""));
	world_stop(world);
}

/* --- links --- */

static void test_links(void **state)
{
	static const struct {
		const char *name;
		struct entry links[3]; /* beside the folder d/e with the file a.txt */
		bool ok;
	} cases[] = {
		{"to a file", {{"120000", "l", "d/e/a.txt"}}, true},
		{"to the root", {{"120000", "l", "."}}, true},
		{"into a folder and back", {{"120000", "l", "d/e/../../d"}}, true},
		{"to nothing", {{"120000", "l", "nothing/there"}}, true},
		{"to itself", {{"120000", "l", "l"}}, true},
		{"round", {{"120000", "l", "m"}, {"120000", "m", "l"}}, true},
		{"through a link", {{"120000", "l", "m/a.txt"}, {"120000", "m", "d/e"}}, true},
		{"absolute", {{"120000", "l", "/etc/passwd"}}, false},
		{"service account",
		 {{"120000", "l", "/var/run/secrets/kubernetes.io/serviceaccount/token"}},
		 false},
		{"process", {{"120000", "l", "/proc/self/environ"}}, false},
		{"parent", {{"120000", "l", ".."}}, false},
		{"parent at the end", {{"120000", "l", "d/../.."}}, false},
		{"further up", {{"120000", "l", "../../../../etc/passwd"}}, false},
		{"out through nothing", {{"120000", "l", "nothing/../../x"}}, false},
		{"out through a file", {{"120000", "l", "d/e/a.txt/../../../../x"}}, false},
		{"link to a link that leaves",
		 {{"120000", "l", "m"}, {"120000", "m", "../x"}},
		 false},
		/* As text this is x, inside; the kernel goes from the root one up. */
		{"out behind a link", {{"120000", "l", "m/../x"}, {"120000", "m", "."}}, false},
		{"inside only as text", {{"120000", "l", "m/../d"}, {"120000", "m", "d/e"}}, true},
		{"empty", {{"120000", "l", ""}}, false},
	};
	struct world *world = world_start();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *e = put_tree(world->origin, one_file, 1);
		const char *d =
			put_tree(world->origin, (struct entry[]){{"40000", "e", NULL, e}}, 1);
		struct entry entries[4] = {{"40000", "d", NULL, d}};
		size_t count = 1;
		enum err_class class;

		while (count < 4 && cases[i].links[count - 1].name) {
			entries[count] = cases[i].links[count - 1];
			count++;
		}
		class = checkout(world, push(world, entries, count, NULL));
		print_message("  %s\n", cases[i].name);
		if (cases[i].ok)
			assert_int_equal(class, ERR_OK);
		else
			assert_refused(world, class, ERR_USER, "repo.bad_path");
	}
	world_stop(world);
}

static void test_endless_link_is_refused(void **state)
{
	struct world *world = world_start();
	char target[PATH_MAX + 10];

	(void)state;
	memset(target, 'x', sizeof target);
	target[PATH_MAX] = '\0';
	assert_refused(
		world,
		checkout(world, push(world, (struct entry[]){{"120000", "l", target}}, 1, NULL)),
		ERR_USER, "repo.bad_path");
	/* 60 links one after the other: too many to follow, but they lead nowhere else. */
	{
		struct entry chain[60];
		char names[61][8];

		for (int i = 0; i <= 60; i++)
			snprintf(names[i], sizeof names[i], "l%02d", i);
		for (int i = 0; i < 60; i++)
			chain[i] = (struct entry){"120000", names[i], names[i + 1]};
		assert_int_equal(checkout(world, push(world, chain, 60, NULL)), ERR_OK);
	}
	world_stop(world);
}

/* --- what git would do and we do not --- */

static void test_attributes_and_filters_are_ignored(void **state)
{
	static const struct entry entries[] = {
		{"100644", ".gitattributes",
		 "*.txt text eol=crlf ident\n*.lfs filter=lfs\n*.out export-ignore\n"
		 "*.enc working-tree-encoding=UTF-16\n"},
		{"100644", "a.enc", "plain"},
		{"100644", "a.lfs", "version https://git-lfs.github.com/spec/v1\n"},
		{"100644", "a.out", "kept"},
		{"100644", "a.txt", "$Id$\nline\n"},
	};
	struct world *world = world_start();

	(void)state;
	assert_int_equal(checkout(world, push(world, entries, ARRAY_LEN(entries), NULL)), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		assert_file(world, entries[i].name, entries[i].data, 0644);
	world_stop(world);
}

static void test_submodule_is_an_empty_folder(void **state)
{
	struct world *world = world_start();
	const struct entry entries[] = {
		{"100644", ".gitmodules", "[submodule \"s\"]\n\tpath = s\n\turl = file:///etc\n"},
		{"160000", "s", NULL, "0123456789012345678901234567890123456789"}};
	AUTO_FREE char *path = str_printf("%s/s", world->dest);

	(void)state;
	assert_int_equal(checkout(world, push(world, entries, 2, NULL)), ERR_OK);
	assert_int_equal(world->tree.files, 1);
	assert_int_equal(rmdir(path), 0);
	world_stop(world);
}

static void test_modes(void **state)
{
	static const struct entry entries[] = {{"100600", "a", "1"},
					       {"100664", "b", "2"},
					       {"100755", "c", "3"},
					       {"104755", "d", "4"}, /* set-user-id */
					       {"106777", "e", "5"}};
	static const mode_t modes[] = {0644, 0644, 0755, 0755, 0755};
	struct world *world = world_start();

	(void)state;
	assert_int_equal(checkout(world, push(world, entries, ARRAY_LEN(entries), NULL)), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		assert_file(world, entries[i].name, entries[i].data, modes[i]);
	world_stop(world);
}

static void test_entry_of_another_kind(void **state)
{
	struct world *world = world_start();
	const char *tree = put_tree(world->origin, one_file, 1);
	const char *blob = put_object(world->origin, GIT_OBJECT_BLOB, "no tree", 7);
	const struct entry tree_as_file[] = {{"100644", "a", NULL, tree}};
	const struct entry blob_as_folder[] = {{"40000", "a", NULL, blob}};

	(void)state;
	/* git's own server refuses to send these, so they are put into the mirror's reach directly.
	 */
	for (int i = 0; i < 2; i++) {
		const char *sha = put_commit(
			world->origin,
			put_tree(world->origin, i ? blob_as_folder : tree_as_file, 1), NULL);
		struct repo_limits limits = {
			.file_bytes_max = 1 << 20, .tree_bytes_max = 1 << 20, .files_max = 100};
		struct repo_tree out = {0};
		git_oid oid;

		assert_int_equal(git_oid_fromstr(&oid, sha), 0);
		repo_remove_tree(world->dest);
		assert_int_equal(mkdir(world->dest, 0700), 0);
		assert_int_equal(repo_tree_write(world->origin, &oid, world->dest, &limits, &out,
						 &world->err),
				 ERR_USER);
		assert_string_equal(world->err.code, "repo.bad_object");
	}
	world_stop(world);
}

/* --- bounds --- */

static void test_bounds(void **state)
{
	static const struct entry entries[] = {
		{"100644", "a", "12345"}, {"100644", "b", "12345"}, {"120000", "c", "b"}};
	static const struct {
		const char *name;
		struct repo_limits limits;
		const char *code; /* NULL: fine */
	} cases[] = {
		{"file fits", {.file_bytes_max = 5}, NULL},
		{"file too large", {.file_bytes_max = 4}, "repo.too_large"},
		{"tree fits", {.tree_bytes_max = 11}, NULL},
		{"tree too large", {.tree_bytes_max = 10}, "repo.too_large"},
		{"files fit", {.files_max = 3}, NULL},
		{"too many files", {.files_max = 2}, "repo.too_many_files"},
	};
	struct world *world = world_start();
	const char *sha = push(world, entries, ARRAY_LEN(entries), NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum err_class class;

		print_message("  %s\n", cases[i].name);
		world->limits = cases[i].limits;
		world_reopen(world);
		class = checkout(world, sha);
		if (cases[i].code)
			assert_refused(world, class, ERR_USER, cases[i].code);
		else
			assert_int_equal(class, ERR_OK);
	}
	world_stop(world);
}

/* Ten levels of trees that each name the next ten times: ten thousand million folders. */
static void test_tree_bomb(void **state)
{
	struct world *world = world_start();
	const char *tree = put_tree(world->origin, one_file, 1);
	int64_t started_ms = clock_mono_ms();
	char names[10][4];

	(void)state;
	for (int level = 0; level < 10; level++) {
		struct entry entries[10];

		for (int i = 0; i < 10; i++) {
			snprintf(names[i], sizeof names[i], "d%d", i);
			entries[i] = (struct entry){"40000", names[i], NULL, tree};
		}
		tree = put_tree(world->origin, entries, 10);
	}
	put_ref(world->origin, PULL, put_commit(world->origin, tree, NULL));
	world->limits.files_max = 300;
	world_reopen(world);
	assert_refused(world, checkout(world, put_commit(world->origin, tree, NULL)), ERR_CONFLICT,
		       "repo.sha_not_in_ref");
	{
		const char *sha = put_commit(world->origin, tree, NULL);

		put_ref(world->origin, PULL, sha);
		assert_refused(world, checkout(world, sha), ERR_USER, "repo.too_many_files");
	}
	assert_true(clock_mono_ms() - started_ms < 30000);
	world_stop(world);
}

static void test_depth(void **state)
{
	struct world *world = world_start();
	const char *tree = put_tree(world->origin, one_file, 1), *sha = NULL;

	(void)state;
	for (int depth = 2; depth <= REPO_TREE_DEPTH_MAX + 1; depth++) {
		tree = put_tree(world->origin, (struct entry[]){{"40000", "d", NULL, tree}}, 1);
		sha = put_commit(world->origin, tree, NULL);
		put_ref(world->origin, PULL, sha);
		if (depth == REPO_TREE_DEPTH_MAX)
			assert_int_equal(checkout(world, sha), ERR_OK);
	}
	assert_refused(world, checkout(world, sha), ERR_USER, "repo.bad_path");
	world_stop(world);
}

static void test_long_path(void **state)
{
	struct world *world = world_start();
	const char *tree = put_tree(world->origin, one_file, 1), *sha;
	char name[251];

	(void)state;
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	for (int depth = 0; depth < 20; depth++)
		tree = put_tree(world->origin, (struct entry[]){{"40000", name, NULL, tree}}, 1);
	sha = put_commit(world->origin, tree, NULL);
	put_ref(world->origin, PULL, sha);
	assert_refused(world, checkout(world, sha), ERR_USER, "repo.bad_path");
	world_stop(world);
}

/* --- reading a file of the checkout --- */

static void test_read_file(void **state)
{
	static const struct {
		const char *path;
		enum err_class class;
		const char *code, *content;
	} cases[] = {
		{"a.txt", ERR_OK, NULL, "hello\n"},
		{"d/b", ERR_OK, NULL, "in d"},
		{"./d//b", ERR_OK, NULL, "in d"},
		{"link", ERR_OK, NULL, "in d"},
		{"dlink/b", ERR_OK, NULL, "in d"},
		{"no", ERR_NOT_FOUND, "repo.no_file", NULL},
		{"a.txt/x", ERR_NOT_FOUND, "repo.no_file", NULL},
		{"big", ERR_USER, "repo.too_large", NULL},
		{"d", ERR_USER, "repo.bad_path", NULL},
		{"", ERR_USER, "repo.bad_path", NULL},
		{".", ERR_USER, "repo.bad_path", NULL},
		{"..", ERR_USER, "repo.bad_path", NULL},
		{"d/../a.txt", ERR_USER, "repo.bad_path", NULL},
		{"../checkout/a.txt", ERR_USER, "repo.bad_path", NULL},
		{"/etc/passwd", ERR_USER, "repo.bad_path", NULL},
		{"out", ERR_USER, "repo.bad_path", NULL},
		{"outdir/passwd", ERR_USER, "repo.bad_path", NULL},
		{"round", ERR_USER, "repo.bad_path", NULL},
		{"pipe", ERR_USER, "repo.bad_path", NULL},
	};
	static const struct entry below[] = {{"100644", "b", "in d"}};
	struct world *world = world_start();
	const char *d = put_tree(world->origin, below, 1);
	const struct entry entries[] = {{"100644", "a.txt", "hello\n"},
					{"100644", "big", "12345678901234567"},
					{"40000", "d", NULL, d},
					{"120000", "dlink", "d"},
					{"120000", "link", "dlink/../d/b"},
					{"120000", "round", "round"}};
	static const char *const planted[][2] = {{"out", "/etc/passwd"}, {"outdir", "/etc"}};
	AUTO_FREE char *pipe_path = str_printf("%s/pipe", world->dest);

	(void)state;
	assert_int_equal(checkout(world, push(world, entries, ARRAY_LEN(entries), NULL)), ERR_OK);
	/* As a program that ran in the folder could leave it. */
	for (size_t i = 0; i < ARRAY_LEN(planted); i++) {
		AUTO_FREE char *path = str_printf("%s/%s", world->dest, planted[i][0]);

		assert_int_equal(symlink(planted[i][1], path), 0);
	}
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *text = NULL;
		enum err_class class;
		size_t len;

		class = repo_read_file(world->dest, cases[i].path, 16, &text, &len, &world->err);
		print_message("  %s\n", cases[i].path);
		assert_int_equal(class, cases[i].class);
		if (class) {
			assert_string_equal(world->err.code, cases[i].code);
			assert_null(text);
			continue;
		}
		assert_int_equal(len, strlen(cases[i].content));
		assert_string_equal(text, cases[i].content);
	}
	world_stop(world);
}

/* --- removing --- */

static void test_remove_tree(void **state)
{
	struct world *world = world_start();
	AUTO_FREE char *outside = str_printf("%s/outside", world->dir);
	AUTO_FREE char *kept = str_printf("%s/kept", outside);
	AUTO_FREE char *link = str_printf("%s/link", world->dest);
	char deep[201] = "";
	int fd, next;

	(void)state;
	memset(deep, 'd', sizeof deep - 1);
	assert_int_equal(mkdir(outside, 0700), 0);
	close(open(kept, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(mkdir(world->dest, 0700), 0);
	assert_int_equal(symlink(outside, link), 0);
	/* Far deeper than a path can be long, and not to be written or read on the way. */
	fd = open(world->dest, O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(mkdirat(fd, deep, 0700), 0);
		assert_int_equal(mkdirat(fd, ".kfops-remove-1", 0700), 0);
		close(openat(fd, "file", O_CREAT | O_WRONLY, 0400));
		next = openat(fd, deep, O_RDONLY | O_DIRECTORY);
		assert_true(next >= 0);
		if (i % 7 == 0)
			fchmod(fd, 0);
		close(fd);
		fd = next;
	}
	close(fd);
	repo_remove_tree(world->dest);
	assert_int_equal(access(world->dest, F_OK), -1);
	assert_int_equal(access(kept, F_OK), 0);
	/* A link instead of a folder is not followed either. */
	assert_int_equal(symlink(outside, world->dest), 0);
	repo_remove_tree(world->dest);
	assert_int_equal(access(kept, F_OK), 0);
	assert_int_equal(unlink(world->dest), 0);
	repo_remove_tree("/nonexistent/folder");
	world_stop(world);
}

/* --- addresses --- */

static void test_addresses(void **state)
{
	static const struct {
		const char *url;
		bool allow_http, ok;
		const char *host, *port;
	} cases[] = {
		{"https://github.com/o/r.git", false, true, "github.com", "443"},
		{"https://GitHub.COM/o/r", false, true, "github.com", "443"},
		{"https://ghe.example:8443/o/r.git", false, true, "ghe.example", "8443"},
		{"http://127.0.0.1:80/o", false, true, "127.0.0.1", "80"},
		{"http://127.1.2.3/o", false, true, "127.1.2.3", "80"},
		{"http://localhost:3000/o", false, true, "localhost", "3000"},
		{"http://[::1]:3000/o", false, true, "::1", "3000"},
		{"https://[2001:db8::1]/o", false, true, "2001:db8::1", "443"},
		{"http://gitea.svc:3000/o", true, true, "gitea.svc", "3000"},
		{"http://gitea.svc:3000/o", false, false, NULL, NULL},
		{"http://127.0.0.1.evil.example/o", false, false, NULL, NULL},
		{"http://localhost.evil.example/o", false, false, NULL, NULL},
		{"http://[::ffff:10.0.0.1]/o", false, false, NULL, NULL},
		{"https://user:secret@github.com/o", false, false, NULL, NULL},
		{"https://github.com@evil.example/o", false, false, NULL, NULL},
		{"https://github.com\\@evil.example/o", false, false, NULL, NULL},
		{"https:///o", false, false, NULL, NULL},
		{"https://", false, false, NULL, NULL},
		{"https://:443/o", false, false, NULL, NULL},
		{"https://h:0/o", false, false, NULL, NULL},
		{"https://h:65536/o", false, false, NULL, NULL},
		{"https://h:12x/o", false, false, NULL, NULL},
		{"https://h:-1/o", false, false, NULL, NULL},
		{"https://../o", false, false, NULL, NULL},
		{"https://-h/o", false, false, NULL, NULL},
		{"https://h/o?x", false, false, NULL, NULL},
		{"https://h/o#x", false, false, NULL, NULL},
		{"https://h/o o", false, false, NULL, NULL},
		{"https://h/o\n", false, false, NULL, NULL},
		{"https://[::1/o", false, false, NULL, NULL},
		{"https://[/o", false, false, NULL, NULL},
		{"https://h%2e/o", false, false, NULL, NULL},
		{"file:///etc", true, false, NULL, NULL},
		{"/etc", true, false, NULL, NULL},
		{"ssh://git@github.com/o", true, false, NULL, NULL},
		{"git@github.com:o/r", true, false, NULL, NULL},
		{"git://github.com/o", true, false, NULL, NULL},
		{"ext::sh -c id", true, false, NULL, NULL},
		{"-oProxyCommand=id", true, false, NULL, NULL},
		{"HTTPS://github.com/o", true, false, NULL, NULL},
		{"", true, false, NULL, NULL},
	};
	struct repo_address address;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum err_class class =
			repo_address_parse(&address, cases[i].url, cases[i].allow_http, &err);

		print_message("  %s\n", cases[i].url);
		assert_int_equal(class, cases[i].ok ? ERR_OK : ERR_CONFIG);
		if (!cases[i].ok) {
			assert_string_equal(err.code, "repo.bad_url");
			assert_null(strstr(err.msg, "secret"));
			continue;
		}
		assert_string_equal(address.host, cases[i].host);
		assert_string_equal(address.port, cases[i].port);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_names),
	cmocka_unit_test(test_bad_names_in_a_commit),
	cmocka_unit_test(test_doubled_names),
	cmocka_unit_test(test_odd_names_are_kept),
	cmocka_unit_test(test_message_shows_no_control_characters),
	cmocka_unit_test(test_links),
	cmocka_unit_test(test_endless_link_is_refused),
	cmocka_unit_test(test_attributes_and_filters_are_ignored),
	cmocka_unit_test(test_submodule_is_an_empty_folder),
	cmocka_unit_test(test_modes),
	cmocka_unit_test(test_entry_of_another_kind),
	cmocka_unit_test(test_bounds),
	cmocka_unit_test(test_tree_bomb),
	cmocka_unit_test(test_depth),
	cmocka_unit_test(test_long_path),
	cmocka_unit_test(test_read_file),
	cmocka_unit_test(test_remove_tree),
	cmocka_unit_test(test_addresses),
};

CASES_MAIN(tests, NULL, NULL)
