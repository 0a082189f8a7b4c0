/* tender.c - which tender there is, and what the processor is like in it */
#include "vmm/tender.h"

#include <errno.h>
#include <string.h>

struct tender_cpu tender_cpu;

const struct tender_ops *tender_choose(enum tender_kind t, struct err *err)
{
	struct err kvm = { "" }, process = { "" };

	if (t == TENDER_KVM)
		return &tender_kvm;
	if (t == TENDER_PROCESS)
		return &tender_process;
	if (tender_kvm.check(&kvm) == 0)
		return &tender_kvm;
	if (tender_process.check(&process) == 0)
		return &tender_process;
	err_set(err, -ENOTSUP, "%.300s; nor as a process: %.300s", kvm.msg,
		process.msg);
	return NULL;
}

int tender_check(enum tender_kind t, struct err *err)
{
	const struct tender_ops *ops = tender_choose(t, err);

	return ops ? ops->check(err) : -ENOTSUP;
}

int tender_parse(const char *text, enum tender_kind *out)
{
	static const char *const name[] = {
		[TENDER_AUTO] = "auto",
		[TENDER_KVM] = "kvm",
		[TENDER_PROCESS] = "process",
	};

	for (unsigned i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (!strcmp(text, name[i])) {
			*out = i;
			return 0;
		}
	return -EINVAL;
}
