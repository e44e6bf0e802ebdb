/* kfops_checkout.c - the program that kfopsd starts for each checkout; see lib/services/repo.h. It
 * is not for people: the request comes over a socket on its standard input. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/services/repo.h"

int main(void)
{
	struct stat info;

	if (fstat(STDIN_FILENO, &info) || !S_ISSOCK(info.st_mode)) {
		fprintf(stderr, "kfops-checkout is started by kfopsd.\n");
		return 64;
	}
	umask(077);
	return repo_program_main(STDIN_FILENO);
}
