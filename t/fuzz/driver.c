/*
 * driver.c - runs a fuzzer without libFuzzer, for `make check`
 *
 * usage: fuzz_NAME [CORPUS [FILE]]
 *
 * Every seed and every file of CORPUS/NAME, then fuzz_runs changes of them,
 * always the same ones.  The fuzzer runs in a child; when that ends early,
 * the input that ended it is written to fuzz_NAME.crash, and FILE runs just
 * that one, here, for a debugger.
 *
 * With -DLIBFUZZER it only gives libFuzzer the seeds.
 */
#include "t/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef LIBFUZZER

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* the seeds, into the first folder that it is told of */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static uint8_t data[FUZZ_MAX];
	const char *dir = NULL;
	char path[PATH_MAX];
	size_t len;

	for (int i = *argc - 1; i > 0; i--)
		if ((*argv)[i][0] != '-')
			dir = (*argv)[i];
	for (unsigned n = 0; dir && (len = fuzz_seed(n, data)); n++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/seed-%u", dir, n);
		f = fopen(path, "wb");
		if (!f || fwrite(data, 1, len, f) != len || fclose(f)) {
			perror(path);
			exit(1);
		}
	}
	return 0;
}

#else

#define ONE_S		20		/* no input takes longer */
#define CORPUS_MAX	256

struct input {
	uint8_t *data;
	size_t len;
};

/* what the parent knows of a child that ended */
struct progress {
	unsigned corpus, runs;
	size_t len;
	uint8_t data[FUZZ_MAX];
};

static struct input corpus[CORPUS_MAX];
static unsigned inputs;
static struct progress *progress;

static uint32_t any(uint32_t n)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

/* one change: a number near an edge, a byte, a piece lost, a piece twice */
static size_t change(uint8_t *data, size_t len)
{
	static const uint64_t edges[] = { 0, 1, 2, 7, 63, 64, 65, 255, 4095,
		4096, 65536, 1u << 26, 0x7fffffff, 0xffffffff, 1ull << 36,
		~0ull >> 1, ~0ull };
	uint64_t v = edges[any(sizeof(edges) / sizeof(edges[0]))];
	size_t at = any((uint32_t)len), k = 1u << any(4), n;

	switch (any(4)) {
	case 0:
		if (k <= len - at)
			memcpy(data + at, &v, k);
		return len;
	case 1:
		data[at] = (uint8_t)any(256);
		return len;
	case 2:
		n = any((uint32_t)(len - at)) + 1;
		memmove(data + at, data + at + n, len - at - n);
		return len - n ? len - n : len;
	default:
		n = any((uint32_t)(len - at)) + 1;
		if (len + n > FUZZ_MAX)
			return len;
		memmove(data + at + n, data + at, len - at);
		return len + n;
	}
}

static void add(const uint8_t *data, size_t len)
{
	uint8_t *p = malloc(len + 1);

	if (!p || inputs == CORPUS_MAX) {
		fprintf(stderr, "too many inputs\n");
		exit(1);
	}
	memcpy(p, data, len);
	corpus[inputs++] = (struct input){ p, len };
}

static void add_file(const char *path)
{
	static uint8_t data[FUZZ_MAX];
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		exit(1);
	}
	add(data, fread(data, 1, sizeof(data), f));
	fclose(f);
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void add_folder(const char *path)
{
	struct dirent **list = NULL;
	int n = scandir(path, &list, visible, alphasort);

	if (n < 0 && errno != ENOENT) {
		perror(path);
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		char file[PATH_MAX + NAME_MAX + 2];

		snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
		add_file(file);
		free(list[i]);
	}
	free(list);
}

/* in memory of its own size, so that a byte too far is seen */
static void run(const uint8_t *data, size_t len)
{
	uint8_t *p = malloc(len ? len : 1);

	if (!p)
		exit(1);
	memcpy(p, data, len);
	memcpy(progress->data, data, len);
	progress->len = len;
	alarm(ONE_S);
	LLVMFuzzerTestOneInput(p, len);
	free(p);
}

static void child(void)
{
	static uint8_t data[FUZZ_MAX];

	for (unsigned i = 0; i < inputs; i++, progress->corpus++)
		run(corpus[i].data, corpus[i].len);
	for (unsigned i = 0; i < fuzz_runs; i++, progress->runs++) {
		const struct input *from = &corpus[i % inputs];
		size_t len = from->len;

		memcpy(data, from->data, len);
		for (unsigned k = 1 + any(6); k && len; k--)
			len = change(data, len);
		run(data, len);
	}
	exit(0);
}

static void keep_crash(const char *name)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s.crash", name);
	f = fopen(path, "wb");
	if (!f || fwrite(progress->data, 1, progress->len, f) !=
	    progress->len || fclose(f))
		perror(path);
	else
		printf("# its input is in %s\n", path);
}

static void report(const char *name, int status)
{
	int done = progress->corpus == inputs && progress->runs == fuzz_runs;

	printf("%sok 1 - %u of %u inputs of %s\n",
	       progress->corpus == inputs ? "" : "not ", progress->corpus,
	       inputs, name);
	printf("%sok 2 - %u of %u changes of them\n",
	       done ? "" : "not ", progress->runs, fuzz_runs);
	printf("%sok 3 - and a good end\n", status ? "not " : "");
	if (status && WIFSIGNALED(status))
		printf("# signal %d: %s\n", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	else if (status)
		printf("# exit status %d\n", WEXITSTATUS(status));
	if (!done)
		keep_crash(name);
	printf("1..3\n");
}

/* the files of dir/NAME, then the seeds */
static void gather(const char *dir, const char *name)
{
	static uint8_t data[FUZZ_MAX];
	char path[PATH_MAX];
	size_t len;

	if (dir && !strncmp(name, "fuzz_", 5)) {
		snprintf(path, sizeof(path), "%s/%s", dir, name + 5);
		add_folder(path);
	}
	for (unsigned n = 0; (len = fuzz_seed(n, data)); n++)
		add(data, len);
	if (!inputs) {
		printf("not ok 1 - %s has inputs\n1..1\n", name);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	int status = 1;
	pid_t pid;

	name = name ? name + 1 : argv[0];
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		return 1;
	if (argc > 2) {
		add_file(argv[2]);
		run(corpus[0].data, corpus[0].len);
		return 0;
	}
	gather(argv[1], name);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		child();
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	report(name, status);
	return status != 0;
}

#endif
