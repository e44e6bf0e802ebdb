/* What starting up needed alone is given back, and the program goes on. */
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/sign.h"
#include "tests/unit/cases.h"

static long resident_of_files_kib(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	assert_non_null(status);
	while (fgets(line, sizeof line, status))
		if (sscanf(line, "RssFile: %ld", &kib) == 1)
			break;
	fclose(status);
	return kib;
}

static void test_settling_unmaps_what_is_not_used(void **state)
{
	static const char secret[] = "benchsecret", body[] = "{}";
	unsigned char before[SIGN_SHA256_LEN], after[SIGN_SHA256_LEN];
	long busy, settled;

	(void)state;
	sign_hmac_sha256(before, secret, strlen(secret), body, strlen(body));
	busy = resident_of_files_kib();
	mem_settle();
	settled = resident_of_files_kib();
	assert_true(busy > 0 && settled > 0 && settled < busy);
	mem_settle(); /* as often as one likes */
	sign_hmac_sha256(after, secret, strlen(secret), body, strlen(body));
	assert_memory_equal(before, after, sizeof before);
}

static const struct CMUnitTest mem_tests[] = {
	cmocka_unit_test(test_settling_unmaps_what_is_not_used),
};

CASES_MAIN(mem_tests, NULL, NULL)
