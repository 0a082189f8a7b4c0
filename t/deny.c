/*
 * deny.c - run a command where some system calls are refused
 *
 *	deny CALL[=ERRNO]... -- COMMAND [ARG...]
 *
 * What a container's seccomp profile, an older kernel or a security module
 * refuses, so that tests can see what is said of it.  CALL is a system call's
 * name; NAME:N:VALUE is the call only where its argument N (0 to 5) is VALUE,
 * NAME:N&VALUE where it has those bits; or it is one of the names of
 * pseudo[].  ERRNO is a name (EPERM is the default) or a number; 0 pretends
 * that the call worked.  The command has no_new_privs, as everything has
 * under a filter for which it needed no privilege.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS	6

/* what is refused as one, by the name of what then is not there */
static const struct pseudo {
	const char *name;
	const char *word[WORDS];
} pseudo[] = {
	/* no filter of one's own: seccomp(2) and PR_SET_SECCOMP */
	{ "seccomp", { "seccomp", "prctl:0:22" } },
	/* kernels before 6.7 */
	{ "pagemap_scan", { "ioctl:1:0xc0606610=ENOTTY" } },
	{ "process_vm", { "process_vm_readv", "process_vm_writev" } },
	/* another process's memory, by any way that is a call of its own */
	{ "tracing", { "ptrace", "process_vm_readv", "process_vm_writev" } },
	{ "memfd", { "memfd_create" } },
	{ "pidfd", { "pidfd_open", "pidfd_send_signal", "pidfd_getfd" } },
	/* CLONE_NEWUSER; clone3 has it in memory, so libc is to take clone */
	{ "userns", { "unshare:0&0x10000000", "clone:0&0x10000000",
		      "clone3=ENOSYS" } },
	/* a /dev/kvm that is a node and no more: KVM_CREATE_VM */
	{ "kvm", { "ioctl:1:0xae01" } },
	{ NULL, { NULL } },
};

static int errno_of(const char *text)
{
	static const struct { const char *name; int value; } known[] = {
		{ "EPERM", EPERM }, { "ENOSYS", ENOSYS }, { "EACCES", EACCES },
		{ "EINVAL", EINVAL }, { "ENOTTY", ENOTTY },
		{ "ENOMEM", ENOMEM }, { "EAGAIN", EAGAIN },
		{ "ENOENT", ENOENT }, { "EMFILE", EMFILE }, { "EIO", EIO },
		{ "ESRCH", ESRCH }, { "EOPNOTSUPP", EOPNOTSUPP },
	};
	char *end;
	long n;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(text, known[i].name))
			return known[i].value;
	n = strtol(text, &end, 10);
	return end != text && !*end && n >= 0 && n < 4096 ? (int)n : -1;
}

/* word is cut where it has a separator; error: if it names none itself */
static int refuse(scmp_filter_ctx f, char *word, int error)
{
	char *equals = strchr(word, '='), *sep, *end, op = 0;
	struct scmp_arg_cmp cmp = { .op = SCMP_CMP_MASKED_EQ };
	int nr;

	if (equals) {
		*equals = '\0';
		if (error < 0)
			error = errno_of(equals + 1);
		if (error < 0)
			return -EINVAL;
	}
	sep = strchr(word, ':');
	if (sep) {
		*sep = '\0';
		cmp.arg = (unsigned)strtoul(sep + 1, &end, 0);
		op = *end;
		if (end == sep + 1 || cmp.arg > 5 || (op != ':' && op != '&'))
			return -EINVAL;
		sep = end + 1;
		cmp.datum_b = strtoull(sep, &end, 0);
		if (end == sep || *end)
			return -EINVAL;
		/* the upper half of an int argument may be anything */
		cmp.datum_a = op == '&' ? cmp.datum_b :
			      cmp.datum_b >> 32 ? ~0ull : ~0u;
	}
	nr = seccomp_syscall_resolve_name(word);
	if (nr == __NR_SCMP_ERROR)
		return -ENOENT;
	return seccomp_rule_add_array(f, SCMP_ACT_ERRNO((unsigned)(error < 0 ?
				      EPERM : error)), nr, op ? 1 : 0, &cmp);
}

/* a pseudo-call's ERRNO is that of each of its calls */
static int refuse_word(scmp_filter_ctx f, const char *word)
{
	size_t len = strcspn(word, "=");
	int error = -1, rc = 0;
	char one[128];

	for (const struct pseudo *p = pseudo; p->name; p++) {
		if (strncmp(word, p->name, len) || p->name[len])
			continue;
		if (word[len])
			error = errno_of(word + len + 1);
		if (word[len] && error < 0)
			return -EINVAL;
		for (int i = 0; i < WORDS && p->word[i] && !rc; i++) {
			snprintf(one, sizeof(one), "%s", p->word[i]);
			rc = refuse(f, one, error);
		}
		return rc;
	}
	if (strlen(word) >= sizeof(one))
		return -ENOENT;
	strcpy(one, word);
	return refuse(f, one, -1);
}

int main(int argc, char **argv)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int i, rc = f ? 0 : -ENOMEM;

	for (i = 1; rc == 0 && i < argc && strcmp(argv[i], "--"); i++) {
		rc = refuse_word(f, argv[i]);
		if (rc < 0)
			fprintf(stderr, "deny: '%s': %s\n", argv[i],
				rc == -ENOENT ? "no such call" : strerror(-rc));
	}
	if (rc < 0)
		return 2;
	if (i < 2 || i + 1 >= argc) {
		fprintf(stderr, "usage: deny CALL[=ERRNO]... -- "
			"COMMAND [ARG...]\n");
		return 2;
	}
	rc = seccomp_load(f);
	seccomp_release(f);
	if (rc < 0) {
		fprintf(stderr, "deny: cannot load the filter: %s\n",
			strerror(-rc));
		return 2;
	}
	execvp(argv[i + 1], argv + i + 1);
	fprintf(stderr, "deny: cannot run '%s': %s\n", argv[i + 1],
		strerror(errno));
	return 127;
}
