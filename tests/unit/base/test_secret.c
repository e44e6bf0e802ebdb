/* A secret that somebody replaces while it is in use. */
#include "lib/base/secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "tests/unit/cases.h"

static char folder[] = "/tmp/kfops-secret-XXXXXX";

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void assert_secret(struct secret *secret, const char *want)
{
	struct err err = {0};
	char *text;

	assert_int_equal(secret_get(secret, &text, &err), ERR_OK);
	assert_string_equal(text, want);
	sign_secret_free(text);
}

static void assert_refused(struct secret *secret, const char *words)
{
	struct err err = {0};
	char *text;

	assert_int_equal(secret_get(secret, &text, &err), ERR_CONFIG);
	assert_null(text);
	assert_non_null(strstr(err.msg, words));
}

static void test_follows_the_file(void **state)
{
	AUTO_FREE char *path = str_printf("%s/a", folder), *other = str_printf("%s/b", folder);
	AUTO_FREE char *link = str_printf("%s/link", folder);
	struct secret *secret = secret_new(link);

	(void)state;
	assert_refused(secret, "cannot be read");
	write_file(path, "first\n", 0600);
	write_file(other, "other", 0600);
	assert_int_equal(symlink("a", link), 0);
	assert_secret(secret, "first");
	assert_secret(secret, "first");
	write_file(path, "second, longer", 0600);
	assert_secret(secret, "second, longer");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("b", link), 0);
	assert_secret(secret, "other");
	write_file(other, "\n", 0600);
	assert_refused(secret, "is empty");
	write_file(other, "seen by all", 0644);
	assert_refused(secret, "can be read by everybody");
	assert_int_equal(unlink(other), 0);
	assert_refused(secret, "cannot be read");
	assert_int_equal(unlink(link) | unlink(path), 0);
	secret_free(secret);
}

static void test_no_file(void **state)
{
	struct secret *secret = secret_new("");

	(void)state;
	assert_null(secret);
	assert_null(secret_new(NULL));
	assert_secret(secret, "");
	secret_free(secret);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static const struct CMUnitTest secrets[] = {
	cmocka_unit_test(test_follows_the_file),
	cmocka_unit_test(test_no_file),
};

CASES_MAIN(secrets, make_folder, remove_folder)
