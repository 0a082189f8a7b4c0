/*
 * process_check.c - can guests lie in processes here, and on what processor?
 *
 * What the kernel must let such processes do is for probe.c to ask.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>

#include "vmm/tender/process_impl.h"
#include "vmm/tender/signature.h"

static const char here[] = "where this program lies";

static unsigned long min_addr(void)
{
	FILE *f = fopen("/proc/sys/vm/mmap_min_addr", "re");
	unsigned long min = 0;

	if (f && fscanf(f, "%lu", &min) != 1)
		min = 0;
	if (f)
		fclose(f);
	return min;
}

int process_check(struct err *err)
{
	unsigned long min = min_addr();

	if ((uintptr_t)here < PROC_LAST_END)
		return err_set(err, -ENOTSUP, "process tender: usetl itself "
			       "lies at 0x%lx, where guests do; build it with "
			       "-fPIE", (unsigned long)(uintptr_t)here);
	/* guests have no capability that could go below it */
	if (min > UK_EXEC_BASE)
		return err_set(err, -ENOTSUP, "process tender: "
			       "vm.mmap_min_addr is %lu, and guests begin at "
			       "%u; sudo sysctl vm.mmap_min_addr=65536", min,
			       (unsigned)UK_EXEC_BASE);
	return 0;
}

static void cpu_learn(void)
{
	unsigned a, b, c, d, lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	/* what unikernel/arch/xstate.c keeps; no AMX */
	tender_cpu.xcr0 = ((uint64_t)hi << 32 | lo) & 0x2e7;
	tender_cpu.xsave_size = 576;
	for (unsigned i = 2; i < 63; i++) {
		if (!(tender_cpu.xcr0 >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		if (a + b > tender_cpu.xsave_size)
			tender_cpu.xsave_size = a + b;
	}
	tender_cpu.signature = signature_here(tender_cpu.xcr0);
}

int process_init(struct err *err)
{
	int rc = process_check(err);

	if (rc < 0)
		return rc;
	cpu_learn();
	return 0;
}
