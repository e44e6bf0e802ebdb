/* compile_python.c - which folders make up a Python interpreter.
 *
 * /usr is bound anyway. A virtual environment (pyvenv.cfg above the interpreter) is bound as a
 * whole, and so is the installation it was made from: its `home`, and where the interpreter's link
 * leads. A folder that holds more than an interpreter (/, /home, /root, /etc) is refused: it would
 * show the sandbox what it must not see. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/services/compile_impl.h"

void compile_binds_add(struct compile_binds *binds, const char *from, const char *to)
{
	must(binds->count + 1 < COMPILE_BINDS_MAX);
	size_t at = binds->count++;
	binds->paths[at] = str_dup(from);
	binds->binds[at] = (struct sandbox_bind){binds->paths[at], to ? to : binds->paths[at]};
}

void compile_binds_dispose(struct compile_binds *binds)
{
	for (size_t i = 0; i < binds->count; i++)
		mem_free(binds->paths[i]);
	binds->count = 0;
}

/* Cuts the last component off; false when nothing would be left. */
static bool go_up(char *path)
{
	char *slash = strrchr(path, '/');
	if (!slash || slash == path)
		return false;
	*slash = '\0';
	return true;
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Adds the folder above the bin folder of an interpreter, unless it is there already. */
static enum err_class add_prefix(struct compile_binds *binds, const char *prefix, struct err *err)
{
	static const char *const bound[] = {"/usr", "/bin", "/lib"};
	for (size_t i = 0; i < ARRAY_LEN(bound); i++)
		if (is_below(prefix, bound[i]))
			return ERR_OK;
	for (size_t i = 0; i < binds->count; i++)
		if (is_below(prefix, binds->paths[i]))
			return ERR_OK;
	static const char *const wide[] = {"",	   "/",	   "/root", "/home", "/etc", "/var",
					   "/opt", "/srv", "/tmp",  "/run",  "/mnt", "/proc"};
	for (size_t i = 0; i < ARRAY_LEN(wide); i++)
		if (str_eq(prefix, wide[i]))
			return err_code(err, ERR_CONFIG, "compile.python",
					"The interpreter's folder %s holds more than an "
					"interpreter; use a virtual environment.",
					prefix);
	compile_binds_add(binds, prefix, NULL);
	return ERR_OK;
}

/* prefix/bin/python -> prefix. */
static bool prefix_of(char *path)
{
	return go_up(path) && go_up(path);
}

/* The base installation's bin folder as pyvenv.cfg names it; false without such a file. */
static bool read_home(char *out, size_t size, const char *prefix)
{
	AUTO_FREE char *name = str_printf("%s/pyvenv.cfg", prefix);
	FILE *file = fopen(name, "re");
	if (!file)
		return false;
	char line[PATH_MAX + 16];
	bool found = false;
	for (int n = 0; n < 64 && !found && fgets(line, sizeof(line), file); n++) {
		line[strcspn(line, "\r\n")] = '\0';
		size_t key = strspn(line, "abcdefghijklmnopqrstuvwxyz-");
		const char *value = line + key + strspn(line + key, " =");
		found = key == 4 && str_starts(line, "home") && value[0] == '/' &&
			str_copy(out, size, value);
	}
	fclose(file);
	return found;
}

enum err_class compile_binds_find(struct compile_binds *out, const char *python, struct err *err)
{
	*out = (struct compile_binds){.count = 0};
	char path[PATH_MAX], home[PATH_MAX], real[PATH_MAX];
	if (!python || python[0] != '/' || !str_copy(path, sizeof(path), python) ||
	    access(python, X_OK) != 0 || !realpath(python, real) || !prefix_of(path))
		return err_code(err, ERR_CONFIG, "compile.python",
				"There is no Python interpreter at %s.",
				python ? python : "(none)");
	bool is_venv = read_home(home, sizeof(home), path);
	enum err_class class = ERR_OK;
	if (is_venv) {
		class = add_prefix(out, path, err);
		if (class == ERR_OK && go_up(home))
			class = add_prefix(out, home, err);
	}
	if (class == ERR_OK && prefix_of(real))
		class = add_prefix(out, real, err);
	if (class == ERR_OK && !is_venv)
		class = add_prefix(out, path, err);
	if (class != ERR_OK)
		compile_binds_dispose(out);
	return class;
}
