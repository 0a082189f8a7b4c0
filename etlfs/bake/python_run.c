/*
 * python_run.c - runs the interpreter on the host and hears what it says
 */
#include "etlfs/bake/python.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etlfs/bake/tool.h"

/* the text of bake.py, with a NUL behind it */
__asm__(".pushsection .rodata\n"
	".local bake_py\n"
	"bake_py:\n"
	"\t.incbin \"etlfs/bake/bake.py\"\n"
	"\t.byte 0\n"
	".popsection\n");
extern const char bake_py[] __attribute__((visibility("hidden")));

int python_run(char *const argv[], const char *in, int spool,
	       struct tree *t, char **out, struct err *err)
{
	/* fixed where bytes depend on it */
	static const char *const env[] = {
		"PYTHONHASHSEED=0", "LC_ALL=C.UTF-8", "PYTHONUTF8=1", NULL
	};
	const struct tool tool = {
		.argv = argv, .in = in, .spool = spool, .without = "PYTHON",
		.env = env, .wait = t ? t->wait : NULL,
		.said = t ? t->said : NULL, .arg = t ? t->arg : NULL,
	};

	return tool_run(&tool, out, err);
}

int python_ask(const char *command, const char *verb, const json_t *ask,
	       int spool, struct tree *t, json_t **out, struct err *err)
{
	char *argv[] = {
		(char *)command, "-s", "-B", "-W", "ignore", "-c",
		(char *)bake_py, (char *)verb, NULL
	};
	char *in = ask ? json_dumps(ask, JSON_COMPACT) : strdup("null");
	char *text = NULL;
	json_error_t e;
	int rc;

	if (!in)
		return err_set(err, -ENOMEM, "out of memory");
	rc = python_run(argv, in, spool, t, &text, err);
	if (rc == 0) {
		*out = json_loads(text, 0, &e);
		if (!*out || !json_is_object(*out))
			rc = err_set(err, -EPROTO, "'%s' answered nonsense: "
				     "%s", command, e.text);
	}
	free(in);
	free(text);
	return rc;
}
