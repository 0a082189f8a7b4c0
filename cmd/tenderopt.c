/* cmd/tenderopt.c - which tender serve, invoke and bake's trial take */
#include "cmd/tenderopt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/host/choose.h"

/* the number in a line of /proc/self/status; 0 */
static int tracer(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	int pid = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "TracerPid: %d", &pid) == 1)
			break;
	if (f)
		fclose(f);
	return pid;
}

int tenderopt_traced(struct err *note)
{
	char path[64], name[64] = "a debugger";
	int pid = tracer();
	FILE *f;

	if (pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%63[^\n]", name) != 1)
		strcpy(name, "a debugger");
	if (f)
		fclose(f);
	err_set(note, 0, "%s (pid %d) traces usetl; a guest's signals stop "
		"there when it follows forks, and guests are debugged by "
		"usetl invoke --tender=process --gdb", name, pid);
	return 1;
}

static int resolve(enum tender_kind *out, int hope, struct err *note,
		   struct err *err)
{
	struct err why = { "" };
	int rc = hope ? choose_hope(out, &why, err) :
		 *out == TENDER_AUTO ? choose_auto(out, &why, err) :
		 choose_check(*out, err);

	if (rc == 0 && why.msg[0])
		err_set(note, 0, "functions run as locked processes, which "
			"isolates less than virtual machines, see "
			"usetl-isolation(7): %.800s", why.msg);
	return rc;
}

static int parse(const char *name, enum tender_kind *kind, struct err *err)
{
	int i = words_find(tender_words, name);

	if (i < 0)
		return err_set(err, i, "tender '%s' is none of auto, kvm, "
			       "process", name);
	*kind = i;
	return 0;
}

int tenderopt_check(const char *option, struct err *err)
{
	enum tender_kind kind;

	return option ? parse(option, &kind, err) : 0;
}

int tenderopt_resolve(const char *option, const struct conf *c, int hope,
		      enum tender_kind *out, struct err *note, struct err *err)
{
	const char *env = getenv("USETL_TENDER");
	enum tender_kind kind = c->tender;
	struct err traced, *said;
	size_t len;
	int rc;

	if (!option && kind == TENDER_AUTO && env && *env)
		option = env;
	if (option && parse(option, &kind, err) < 0)
		return -EINVAL;
	note->msg[0] = '\0';
	*out = kind;
	rc = resolve(out, hope, note, err);
	said = rc == 0 ? note : err;
	/* it may be why something did not work */
	if ((rc < 0 || *out == TENDER_PROCESS) && tenderopt_traced(&traced)) {
		len = strlen(said->msg);
		snprintf(said->msg + len, sizeof(said->msg) - len, "%s%s",
			 len ? "; " : "", traced.msg);
	}
	return rc;
}
