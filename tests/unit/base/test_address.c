/* Which addresses are loopback and which are off limits, in every spelling. */
#include "lib/base/address.h"
#include "tests/unit/cases.h"

#include "lib/base/mem.h"

static const struct {
	const char *text;
	bool loopback, off_limits;
} cases[] = {
	{"10.0.0.1", false, false},
	{"93.184.216.34", false, false},
	{"127.0.0.1", true, false},
	{"127.255.255.254", true, false},
	{"169.254.169.254", false, true},
	{"169.254.0.1", false, true},
	{"169.253.255.255", false, false},
	{"169.255.0.0", false, false},
	{"0.0.0.0", false, true},
	{"0.1.2.3", false, true},
	{"100.100.100.200", false, true},
	{"100.100.100.201", false, false},
	{"168.63.129.16", false, true},
	{"192.0.0.192", false, true},
	{"224.0.0.1", false, true},
	{"239.255.255.255", false, true},
	{"255.255.255.255", false, true},
	{"223.255.255.255", false, false},
	{"::1", true, false},
	{"::", false, true},
	{"::2", false, true}, /* 0.0.0.2 */
	{"fe80::1", false, true},
	{"fe80::1%eth0", false, true},
	{"febf::1", false, true},
	{"fec0::1", false, false},
	{"fd00:ec2::254", false, true},
	{"fd00:ec2::253", false, false},
	{"ff02::1", false, true},
	{"2001:db8::1", false, false},
	{"::ffff:169.254.169.254", false, true},
	{"::ffff:127.0.0.1", true, false},
	{"::ffff:10.0.0.1", false, false},
	{"::ffff:0:169.254.169.254", false, true},
	{"::169.254.169.254", false, true},
	{"64:ff9b::a9fe:a9fe", false, true},
	{"64:ff9b::7f00:1", true, false},
	{"2002:a9fe:a9fe::1", false, true},
	{"2002:a00:1::1", false, false},
};

static void test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sockaddr_storage address;

		print_message("  %s\n", cases[i].text);
		assert_true(address_parse(&address, cases[i].text));
		assert_int_equal(address_is_loopback((struct sockaddr *)&address),
				 cases[i].loopback);
		assert_int_equal(address_is_off_limits((struct sockaddr *)&address),
				 cases[i].off_limits);
	}
}

static void test_other_families(void **state)
{
	struct sockaddr_storage address = {.ss_family = AF_UNIX};

	(void)state;
	assert_true(address_is_off_limits((struct sockaddr *)&address));
	assert_false(address_is_loopback((struct sockaddr *)&address));
	assert_false(address_parse(&address, "example.com"));
	assert_false(address_parse(&address, ""));
	assert_false(address_parse(&address, NULL));
	assert_false(address_parse(&address, "[::1]"));
}

static void test_names(void **state)
{
	static const struct {
		const char *host;
		bool loopback, metadata;
	} names[] = {
		{"localhost", true, false},
		{"LOCALHOST", true, false},
		{"127.0.0.1", true, false},
		{"[::1]", true, false},
		{"::1", true, false},
		{"[::2]", false, false},
		{"[", false, false},
		{"", false, false},
		{"localhost.example.com", false, false},
		{"127.0.0.1.example.com", false, false},
		{"metadata.google.internal", false, true},
		{"Metadata.Google.Internal.", false, true},
		{"metadata", false, true},
		{"metadata.example.com", false, false},
		{"instance-data.ec2.internal", false, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		print_message("  %s\n", names[i].host);
		assert_int_equal(address_name_is_loopback(names[i].host), names[i].loopback);
		assert_int_equal(address_name_is_metadata(names[i].host), names[i].metadata);
	}
}

static const struct CMUnitTest address_tests[] = {
	cmocka_unit_test(test_kinds),
	cmocka_unit_test(test_other_families),
	cmocka_unit_test(test_names),
};

CASES_MAIN(address_tests, NULL, NULL)
