/* choose.c - which tender there is, and what it wants of the processor */
#include "vmm/host/choose.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

#include "vmm/host/probe.h"

#define HWCAP2_FSGSBASE_BIT	(1ul << 1)

static const struct tender_ops *ops_of(enum tender_kind t)
{
	return t == TENDER_KVM ? &tender_kvm : &tender_process;
}

/* what guests use of the processor, whoever runs them */
static int cpu_check(struct err *err)
{
	unsigned a, b, c = 0, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return err_set(err, -ENOTSUP, "the processor has no xsave; "
			       "Intel since 2008 and AMD since 2011 have it");
	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT))
		return err_set(err, -ENOTSUP, "the processor has no fsgsbase, "
			       "which Intel since Ivy Bridge and AMD since "
			       "Steamroller have, with kernel 5.9 or newer");
	return 0;
}

int choose_check(enum tender_kind t, struct err *err)
{
	int rc = cpu_check(err);

	if (rc == 0)
		rc = ops_of(t)->check(err);
	return rc < 0 ? rc : probe_check(t, NULL, err);
}

int choose_auto(enum tender_kind *t, struct err *why, struct err *err)
{
	struct err process = { "" }, lacks;

	why->msg[0] = '\0';
	if (cpu_check(err) < 0)
		return -ENOTSUP;
	*t = TENDER_KVM;
	if (choose_check(*t, why) == 0)
		return 0;
	*t = TENDER_PROCESS;
	if (choose_check(*t, &process) == 0)
		return 0;
	/* what processes lack either way is what there is to mend */
	if (tender_kvm.check(&lacks) == 0)
		return err_set(err, -ENOTSUP, "%s", why->msg);
	return err_set(err, -ENOTSUP, "%.450s; nor as processes: %.450s",
		       why->msg, process.msg);
}

int choose_hope(enum tender_kind *t, struct err *why, struct err *err)
{
	int rc = cpu_check(err);

	why->msg[0] = '\0';
	if (rc == 0)
		rc = probe_files(err);
	if (rc < 0 || *t != TENDER_AUTO)
		return rc;
	*t = TENDER_KVM;
	if (tender_kvm.check(why) == 0)
		return 0;
	*t = TENDER_AUTO;
	return choose_auto(t, why, err);
}

const struct tender_ops *choose_ops(enum tender_kind t, struct err *err)
{
	struct err why;

	if (t == TENDER_AUTO && choose_auto(&t, &why, err) < 0)
		return NULL;
	return ops_of(t);
}
