/*
 * python_work.c - what the interpreter does for bake: compile, name the
 * files of distributions, judge wheels, install requirements
 */
#include "etlfs/bake/python.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int is_source(const struct tree_node *n)
{
	size_t len = n->name ? strlen(n->name) : 0;

	return S_ISREG(n->mode) && len > 3 && len < 200 &&
		!strcmp(n->name + len - 3, ".py");
}

/* one job: [host file or null, offset, size, path in the guest] */
static json_t *make_job(const struct tree *t, uint32_t node)
{
	const struct tree_node *n = &t->node[node];
	char path[TREE_PATH_MAX];

	if (tree_path(t, node, path, sizeof(path)) < 0)
		return NULL;
	/* NULL for names that are not UTF-8, which Python would not import */
	return json_pack("[o, I, I, s]", n->host ? json_string(n->host) :
			 json_null(), (json_int_t)n->off,
			 (json_int_t)n->size, path);
}

/* nodes[] are those of the jobs, in order; *n counts them */
static json_t *make_jobs(const struct tree *t, uint32_t from, uint16_t layer,
			 uint32_t *nodes, uint32_t *n)
{
	json_t *jobs = json_array();

	*n = 0;
	for (uint32_t i = from; i < t->nodes; i++) {
		json_t *job;

		if (t->node[i].layer != layer || !is_source(&t->node[i]))
			continue;
		job = make_job(t, i);
		if (!job)
			continue;
		json_array_append_new(jobs, job);
		nodes[(*n)++] = i;
	}
	return jobs;
}

static int put_pyc(struct tree *t, uint32_t source, const char *tag,
		   uint64_t off, uint64_t size, struct err *err)
{
	const struct tree_node *n = &t->node[source];
	struct tree_file f = { .layer = n->layer, .mode = 0644, .off = off,
			       .size = size };
	char path[TREE_PATH_MAX], pyc[TREE_PATH_MAX + 512];
	int64_t rc = tree_path(t, n->parent, path, sizeof(path));

	if (rc < 0)
		return rc;
	snprintf(pyc, sizeof(pyc), "%s/__pycache__/%.*s.%s.pyc", path,
		 (int)strlen(n->name) - 3, n->name, tag);
	rc = tree_add_file(t, pyc, &f, err);
	return rc < 0 ? rc : 0;
}

static int tell_errors(struct tree *t, const json_t *errors, int strict,
		       struct err *err)
{
	const json_t *e;
	size_t i;

	json_array_foreach(errors, i, e) {
		const char *line = json_string_value(json_array_get(e, 1));

		if (line && strict)
			return err_set(err, -EINVAL, "%.900s", line);
		if (line)
			tree_warn(t, "%s", line);
	}
	return 0;
}

static int take_results(const struct runtime *rt, struct tree *t,
			const json_t *answer, const uint32_t *nodes,
			uint32_t n, struct err *err)
{
	const json_t *done = json_object_get(answer, "done");
	json_int_t end = json_integer_value(json_object_get(answer, "end"));
	struct stat st;
	int rc = 0;

	if (json_array_size(done) != n || fstat(t->spool, &st) ||
	    end > st.st_size || (uint64_t)end < t->spool_len)
		return err_set(err, -EPROTO, "'%s' answered nonsense",
			       rt->command);
	t->spool_len = end;
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		const json_t *d = json_array_get(done, i);

		if (json_is_array(d))
			rc = put_pyc(t, nodes[i], python_of(rt)->cache_tag,
				json_integer_value(json_array_get(d, 0)),
				json_integer_value(json_array_get(d, 1)), err);
	}
	return rc;
}

int python_compile(const struct runtime *rt, struct tree *t, uint32_t from,
		   uint16_t layer, int strict, struct err *err)
{
	uint32_t *nodes = calloc(t->nodes, sizeof(*nodes)), n;
	json_t *ask = NULL, *answer = NULL;
	int rc = 0;

	if (!nodes)
		return err_set(err, -ENOMEM, "out of memory");
	ask = json_pack("{s:i, s:I, s:o}", "spool", t->spool, "end",
			(json_int_t)t->spool_len, "jobs",
			make_jobs(t, from, layer, nodes, &n));
	if (!ask)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc == 0 && n)
		rc = python_ask(rt->command, "compile", ask, t->spool, t,
				&answer, err);
	if (rc == 0 && n)
		rc = tell_errors(t, json_object_get(answer, "errors"), strict,
				 err);
	if (rc == 0 && n)
		rc = take_results(rt, t, answer, nodes, n, err);
	json_decref(ask);
	json_decref(answer);
	free(nodes);
	return rc;
}

static json_t *list(const struct strings *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(a, json_string(s->v[i]));
	return a;
}

static int take_list(struct strings *to, const json_t *from)
{
	const json_t *v;
	size_t i;

	json_array_foreach(from, i, v) {
		const char *s = json_string_value(v);

		if (s && strings_add(to, s, strlen(s)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void saw(struct tree *t, const char *path)
{
	if (!path)
		return;
	tree_saw(t, path, TREE_SAW_PATH);
	tree_saw(t, path, TREE_SAW_FOLDER);
}

static int check_folders(const struct strings *folders, struct err *err)
{
	for (size_t i = 0; i < folders->n; i++)
		if (strchr(folders->v[i], ':'))
			return err_set(err, -EINVAL, "'%s': a folder on "
				       "sys.path cannot have ':' in its name",
				       folders->v[i]);
	return 0;
}

int python_installed(const struct runtime *rt, const struct strings *names,
		     struct tree *t, struct runtime_packages *out,
		     struct err *err)
{
	json_t *ask = json_pack("{s:o, s:o}", "names", list(names), "site",
				list(&rt->site));
	const json_t *warning;
	json_t *answer = NULL;
	const char *bad;
	size_t i;
	int rc;

	*out = (struct runtime_packages){ 0 };
	if (!ask)
		return err_set(err, -ENOMEM, "out of memory");
	rc = python_ask(rt->command, "installed", ask, -1, t, &answer, err);
	if (rc < 0)
		goto out;
	bad = json_string_value(json_object_get(answer, "error"));
	if (bad) {
		rc = err_set(err, -ENOENT, "[packages] installed: %.900s", bad);
		goto out;
	}
	json_array_foreach(json_object_get(answer, "warnings"), i, warning)
		tree_warn(t, "%s", json_string_value(warning));
	json_array_foreach(json_object_get(answer, "looked"), i, warning)
		saw(t, json_string_value(warning));
	if (json_is_true(json_object_get(answer, "unsure")))
		tree_saw(t, "", TREE_SAW_UNKNOWN);
	rc = take_list(&out->paths, json_object_get(answer, "paths"));
	if (rc == 0)
		rc = take_list(&out->folders,
			       json_object_get(answer, "folders"));
	if (rc < 0)
		err_set(err, rc, "out of memory");
	else
		rc = check_folders(&out->folders, err);
out:
	json_decref(ask);
	json_decref(answer);
	if (rc < 0)
		runtime_packages_free(out);
	return rc;
}

int python_archive(const struct runtime *rt, const char *file, struct tree *t,
		   struct err *err)
{
	size_t len = strlen(file);
	json_t *ask, *answer = NULL;
	const char *bad;
	int rc;

	if (len <= 4 || strcmp(file + len - 4, ".whl"))
		return 0;
	ask = json_pack("{s:s}", "path", file);
	if (!ask)
		return err_set(err, -EINVAL, "'%.400s' is not UTF-8", file);
	rc = python_ask(rt->command, "wheel", ask, -1, t, &answer, err);
	bad = json_string_value(json_object_get(answer, "error"));
	if (bad)
		rc = err_set(err, -ENOEXEC, "[packages] path: %.900s", bad);
	json_decref(ask);
	json_decref(answer);
	return rc;
}

int python_install(const struct runtime *rt, const char *file,
		   const char *target, struct tree *t, struct err *err)
{
	char *argv[] = {
		rt->command, "-I", "-m", "pip", "install", "--quiet",
		"--no-input", "--no-compile", "--disable-pip-version-check",
		"--no-warn-script-location", "--target", (char *)target,
		"-r", (char *)file, NULL
	};
	char *text = NULL;
	struct err why;
	int rc;

	if (!python_of(rt)->pip)
		return err_set(err, -ENOENT, "'%s' has no pip, which "
			       "[packages] requirements needs; install "
			       "python3-pip or take a venv's python as runtime",
			       rt->command);
	rc = python_run(argv, "", -1, t, &text, &why);
	free(text);
	return rc < 0 ? err_set(err, rc, "pip could not install '%s': %.800s",
			    file, why.msg) : 0;
}
