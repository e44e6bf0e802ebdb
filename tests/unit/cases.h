/* cases.h - what every unit test includes: cmocka with its includes in the right order, and a way
 * to run one table of named cases as tests of their own (`test_str 'name of a case'` runs one). */
#ifndef KF_TESTS_CASES_H
#define KF_TESTS_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs the whole group, or the cases whose name matches the first argument (* and ? as in a shell).
 */
#define CASES_MAIN(group, setup, teardown)                                                         \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		if (argc > 1)                                                                      \
			cmocka_set_test_filter(argv[1]);                                           \
		return cmocka_run_group_tests_name(#group, group, setup, teardown);                \
	}

#endif
