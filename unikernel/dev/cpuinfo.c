/*
 * cpuinfo.c - /proc/cpuinfo, from the processor itself
 *
 * Names of features are Linux's (arch/x86/include/asm/cpufeatures.h), those
 * that programs look for.
 */
#include "unikernel/dev/procfs.h"
#include "unikernel/dev/proctext.h"
#include "unikernel/ipc/syspoll.h"

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

enum reg { EAX, EBX, ECX, EDX };

static const struct feature {
	u32 leaf;
	u8 reg, bit;
	const char *name;
} features[] = {
	{ 1, EDX, 0, "fpu" }, { 1, EDX, 4, "tsc" }, { 1, EDX, 5, "msr" },
	{ 1, EDX, 6, "pae" }, { 1, EDX, 8, "cx8" }, { 1, EDX, 9, "apic" },
	{ 1, EDX, 11, "sep" }, { 1, EDX, 15, "cmov" }, { 1, EDX, 16, "pat" },
	{ 1, EDX, 19, "clflush" }, { 1, EDX, 23, "mmx" },
	{ 1, EDX, 24, "fxsr" }, { 1, EDX, 25, "sse" }, { 1, EDX, 26, "sse2" },
	{ 1, EDX, 28, "ht" },
	{ 0x80000001, EDX, 11, "syscall" }, { 0x80000001, EDX, 20, "nx" },
	{ 0x80000001, EDX, 26, "pdpe1gb" }, { 0x80000001, EDX, 27, "rdtscp" },
	{ 0x80000001, EDX, 29, "lm" },
	{ 1, ECX, 0, "pni" }, { 1, ECX, 1, "pclmulqdq" },
	{ 1, ECX, 9, "ssse3" }, { 1, ECX, 12, "fma" }, { 1, ECX, 13, "cx16" },
	{ 1, ECX, 17, "pcid" }, { 1, ECX, 19, "sse4_1" },
	{ 1, ECX, 20, "sse4_2" }, { 1, ECX, 21, "x2apic" },
	{ 1, ECX, 22, "movbe" }, { 1, ECX, 23, "popcnt" },
	{ 1, ECX, 25, "aes" }, { 1, ECX, 26, "xsave" }, { 1, ECX, 28, "avx" },
	{ 1, ECX, 29, "f16c" }, { 1, ECX, 30, "rdrand" },
	{ 1, ECX, 31, "hypervisor" },
	{ 0x80000001, ECX, 0, "lahf_lm" }, { 0x80000001, ECX, 5, "abm" },
	{ 0x80000001, ECX, 6, "sse4a" }, { 0x80000001, ECX, 8,
	  "3dnowprefetch" },
	{ 7, EBX, 0, "fsgsbase" }, { 7, EBX, 3, "bmi1" },
	{ 7, EBX, 5, "avx2" }, { 7, EBX, 7, "smep" }, { 7, EBX, 8, "bmi2" },
	{ 7, EBX, 9, "erms" }, { 7, EBX, 16, "avx512f" },
	{ 7, EBX, 17, "avx512dq" }, { 7, EBX, 18, "rdseed" },
	{ 7, EBX, 19, "adx" }, { 7, EBX, 20, "smap" },
	{ 7, EBX, 21, "avx512ifma" }, { 7, EBX, 23, "clflushopt" },
	{ 7, EBX, 24, "clwb" }, { 7, EBX, 28, "avx512cd" },
	{ 7, EBX, 29, "sha_ni" }, { 7, EBX, 30, "avx512bw" },
	{ 7, EBX, 31, "avx512vl" },
	{ 7, ECX, 1, "avx512vbmi" }, { 7, ECX, 3, "pku" },
	{ 7, ECX, 6, "avx512_vbmi2" }, { 7, ECX, 8, "gfni" },
	{ 7, ECX, 9, "vaes" }, { 7, ECX, 10, "vpclmulqdq" },
	{ 7, ECX, 11, "avx512_vnni" }, { 7, ECX, 12, "avx512_bitalg" },
	{ 7, ECX, 14, "avx512_vpopcntdq" }, { 7, ECX, 22, "rdpid" },
	{ 7, EDX, 4, "fsrm" }, { 7, EDX, 22, "amx_bf16" },
	{ 7, EDX, 23, "avx512_fp16" }, { 7, EDX, 24, "amx_tile" },
	{ 7, EDX, 25, "amx_int8" },
};

static struct cpuid cpuid(u32 leaf)
{
	struct cpuid c;

	asm volatile("cpuid" : "=a" (c.eax), "=b" (c.ebx), "=c" (c.ecx),
		     "=d" (c.edx) : "a" (leaf), "c" (0));
	return c;
}

static u32 cpuid_reg(const struct cpuid *c, int reg)
{
	switch (reg) {
	case EAX: return c->eax;
	case EBX: return c->ebx;
	case ECX: return c->ecx;
	default: return c->edx;
	}
}

/* what the processor lets a program use, which it asks the same way */
static u64 vector_state(void)
{
	u32 lo, hi;

	if (!(cpuid(1).ecx >> 27 & 1))
		return 0;
	asm volatile("xgetbv" : "=a" (lo), "=d" (hi) : "c" (0));
	return (u64)hi << 32 | lo;
}

/* what needs vector state that is off is not there */
static int usable(const struct feature *f, u64 xcr0)
{
	if (strncmp(f->name, "avx512", 6) == 0)
		return (xcr0 & 0xe6) == 0xe6;
	if (strncmp(f->name, "amx", 3) == 0)
		return (xcr0 & 0x60000) == 0x60000;
	if (strncmp(f->name, "avx", 3) == 0)
		return (xcr0 & 6) == 6;
	return 1;
}

static void flags_text(struct proctext *t, u32 leaves, u32 extended)
{
	struct cpuid c = { 0, 0, 0, 0 };
	u64 xcr0 = vector_state();
	u32 leaf = 0;
	size_t i;

	proctext_printf(t, "flags\t\t:");
	for (i = 0; i < ARRAY_LEN(features); i++) {
		const struct feature *f = &features[i];

		if (f->leaf > (f->leaf >> 31 ? extended : leaves))
			continue;
		if (f->leaf != leaf)
			c = cpuid(leaf = f->leaf);
		if ((cpuid_reg(&c, f->reg) >> f->bit & 1) && usable(f, xcr0))
			proctext_printf(t, " %s", f->name);
	}
	proctext_printf(t, "\n");
}

static void model_text(struct proctext *t, u32 extended)
{
	char name[3 * sizeof(struct cpuid) + 1] = "unknown";
	struct cpuid c;
	u32 i;

	if (extended >= 0x80000004) {
		for (i = 0; i < 3; i++) {
			c = cpuid(0x80000002 + i);
			memcpy(name + i * sizeof(c), &c, sizeof(c));
		}
		name[sizeof(name) - 1] = 0;
	}
	proctext_printf(t, "model name\t: %s\n", name);
}

/* the clock page says how many ns a tick is: ns = ticks * mult >> shift */
static u64 tsc_khz(void)
{
	const volatile struct uk_clock *k = (void *)UK_CLOCK;
	u64 mult = k->mult;
	u32 shift = k->shift;

	if (!mult || shift > 43)
		return 0;
	return (1000000ull << shift) / mult;
}

void cpuinfo_text(struct proctext *t)
{
	struct cpuid c = cpuid(0), v = cpuid(1);
	u32 leaves = c.eax, extended = cpuid(0x80000000).eax;
	u32 family = v.eax >> 8 & 0xf, model = v.eax >> 4 & 0xf;
	u64 khz = tsc_khz();
	char vendor[13];

	memcpy(vendor, &c.ebx, 4);
	memcpy(vendor + 4, &c.edx, 4);
	memcpy(vendor + 8, &c.ecx, 4);
	vendor[12] = 0;
	/* the extended fields, as the SDM has it under CPUID leaf 1 */
	if (family == 6 || family == 15)
		model += v.eax >> 12 & 0xf0;
	if (family == 15)
		family += v.eax >> 20 & 0xff;
	proctext_printf(t, "processor\t: 0\nvendor_id\t: %s\ncpu family\t: %u\n"
			"model\t\t: %u\n", vendor, family, model);
	model_text(t, extended);
	proctext_printf(t, "stepping\t: %u\ncpu MHz\t\t: %lu.%03lu\n"
			"physical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\n"
			"cpu cores\t: 1\nfpu\t\t: yes\ncpuid level\t: %u\n",
			v.eax & 0xf, khz / 1000, khz % 1000, leaves);
	flags_text(t, leaves, extended);
	proctext_printf(
		t,
		"clflush size\t: %u\ncache_alignment\t: 64\n"
		"address sizes\t: 36 bits physical, 48 bits virtual\n\n",
		(v.ebx >> 8 & 0xff) * 8);
}
