/*
 * kvm_cpu.c - the processor of a virtual machine, as it is for all its life
 *
 * The guest begins and stays at CPL 3, so nothing here is ever its to change.
 */
#include "vmm/tender/kvm_cpu.h"

#include <cpuid.h>
#include <errno.h>
#include <sys/ioctl.h>

#include "vmm/tender/machine.h"
#include "vmm/tender/signature.h"
#include "vmm/tender/tender.h"

#ifndef KVM_VCPU_TSC_CTRL
#define KVM_VCPU_TSC_CTRL	0
#define KVM_VCPU_TSC_OFFSET	0
#endif

#define CR0	0x80050033ull	/* PG AM WP NE ET MP PE */
#define CR4	0x50620ull	/* OSXSAVE FSGSBASE OSXMMEXCPT OSFXSR PAE */
#define EFER	0xd01ull	/* NXE LMA LME SCE */
#define STAR	((0x23ull << 48) | (0x10ull << 32))
/* cleared on a system call: NT, which iretq refuses, TF, AC, DF */
#define SFMASK	((1u << 14) | (1u << 8) | (1u << 18) | (1u << 10))
#define MSR_STAR	0xc0000081u
#define MSR_LSTAR	0xc0000082u
#define MSR_SFMASK	0xc0000084u
#define MSR_TSC		0x10u

#define CPUIDS	256

static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[CPUIDS];
} cpuid;

static int xioctl(int fd, unsigned long req, void *arg)
{
	int rc = ioctl(fd, req, arg);

	return rc < 0 ? -errno : rc;
}

/*
 * What CPUID says of guests otherwise than of the host: in a leaf, of a
 * register, the bits of mask are value.  Intel SDM 2A (CPUID), AMD APM 3,
 * appendix E.
 */
enum { EAX, EBX, ECX, EDX };
#define BIT(n)	(1u << (n))
static const struct cpuid_row {
	uint32_t leaf, index;
	unsigned reg;
	uint32_t mask, value;
	const char *name;
} cpuid_rows[] = {
	/* what a guest has no device, or no level of its own, for */
	{ 1, 0, ECX, BIT(5), 0, "vmx" },
	{ 1, 0, ECX, BIT(21), 0, "x2apic" },
	{ 1, 0, ECX, BIT(24), 0, "tsc_deadline" },
	/* as CR4 has it */
	{ 1, 0, ECX, BIT(27), BIT(27), "osxsave" },
	/* state beyond XCR0, or a bit of CR4 that is not set */
	{ 7, 0, EBX, BIT(14), 0, "mpx" },
	{ 7, 0, EBX, BIT(16), 0, "avx512f" },
	{ 7, 0, EBX, BIT(17), 0, "avx512dq" },
	{ 7, 0, EBX, BIT(21), 0, "avx512ifma" },
	{ 7, 0, EBX, BIT(26), 0, "avx512pf" },
	{ 7, 0, EBX, BIT(27), 0, "avx512er" },
	{ 7, 0, EBX, BIT(28), 0, "avx512cd" },
	{ 7, 0, EBX, BIT(30), 0, "avx512bw" },
	{ 7, 0, EBX, BIT(31), 0, "avx512vl" },
	{ 7, 0, ECX, BIT(1), 0, "avx512vbmi" },
	{ 7, 0, ECX, BIT(3), 0, "pku" },
	{ 7, 0, ECX, BIT(4), 0, "ospke" },
	{ 7, 0, ECX, BIT(6), 0, "avx512_vbmi2" },
	{ 7, 0, ECX, BIT(7), 0, "cet_ss" },
	{ 7, 0, ECX, BIT(11), 0, "avx512_vnni" },
	{ 7, 0, ECX, BIT(12), 0, "avx512_bitalg" },
	{ 7, 0, ECX, BIT(14), 0, "avx512_vpopcntdq" },
	{ 7, 0, EDX, BIT(2), 0, "avx512_4vnniw" },
	{ 7, 0, EDX, BIT(3), 0, "avx512_4fmaps" },
	{ 7, 0, EDX, BIT(8), 0, "avx512_vp2intersect" },
	{ 7, 0, EDX, BIT(20), 0, "cet_ibt" },
	{ 7, 0, EDX, BIT(22), 0, "amx_bf16" },
	{ 7, 0, EDX, BIT(23), 0, "avx512_fp16" },
	{ 7, 0, EDX, BIT(24), 0, "amx_tile" },
	{ 7, 0, EDX, BIT(25), 0, "amx_int8" },
	{ 7, 1, EAX, BIT(5), 0, "avx512_bf16" },
	{ 7, 1, EDX, BIT(19), 0, "avx10" },
	{ 0xd, 1, EAX, ~BIT(0), 0, "all ways to save but xsaveopt" },
	{ 0xd, 1, EBX, ~0u, 0, "size of the compacted area" },
	{ 0xd, 1, ECX, ~0u, 0, "xss" },
	{ 0xd, 1, EDX, ~0u, 0, "xss, upper half" },
};
#define CPUID_ROWS (sizeof(cpuid_rows) / sizeof(cpuid_rows[0]))

static void entry_filter(struct kvm_cpuid_entry2 *e)
{
	uint32_t *const reg[] = { &e->eax, &e->ebx, &e->ecx, &e->edx };

	for (size_t i = 0; i < CPUID_ROWS; i++) {
		const struct cpuid_row *r = &cpuid_rows[i];

		if (r->leaf == e->function && r->index == e->index)
			*reg[r->reg] = (*reg[r->reg] & ~r->mask) | r->value;
	}
}

/* the area that xsave writes, and its components */
static void entry_xstate(struct kvm_cpuid_entry2 *e)
{
	if (e->index == 0) {
		e->eax = (uint32_t)tender_cpu.xcr0;
		e->edx = 0;
		e->ebx = e->ecx = tender_cpu.xsave_size;
	} else if (e->index > 2) {
		e->eax = e->ebx = e->ecx = e->edx = 0;
	}
}

/* the guest's processor: the host's without what XCR0 or CR4 leave out */
static void cpuid_filter(void)
{
	uint64_t xcr0 = 3;

	for (unsigned i = 0; i < cpuid.head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid.entry[i];

		if (e->function == 1 && (e->ecx & bit_AVX))
			xcr0 |= 4;
	}
	tender_cpu.xcr0 = xcr0;
	/* legacy area and header, then the upper halves of the ymm registers */
	tender_cpu.xsave_size = xcr0 & 4 ? 576 + 256 : 576;
	for (unsigned i = 0; i < cpuid.head.nent; i++) {
		entry_filter(&cpuid.entry[i]);
		if (cpuid.entry[i].function == 0xd)
			entry_xstate(&cpuid.entry[i]);
	}
}

static void cpuid_sign(void)
{
	tender_cpu.signature = SIGNATURE_NONE;
	for (unsigned i = 0; i < cpuid.head.nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid.entry[i];

		signature_add(&tender_cpu.signature, e->function, e->index,
			      (uint32_t[4]){ e->eax, e->ebx, e->ecx, e->edx });
	}
}

int kvm_cpu_learn(int kvm)
{
	int rc;

	cpuid.head.nent = CPUIDS;
	rc = xioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
	if (rc == 0) {
		cpuid_filter();
		cpuid_sign();
	}
	return rc;
}

static int msrs_set(int vcpu)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[3];
	} m = {
		.head.nmsrs = 3,
		.e = {
			{ .index = MSR_STAR, .data = STAR },
			{ .index = MSR_LSTAR, .data = UK_BOUNCE },
			{ .index = MSR_SFMASK, .data = SFMASK },
		},
	};
	int rc = xioctl(vcpu, KVM_SET_MSRS, &m);

	return rc < 0 ? rc : rc == 3 ? 0 : -EIO;
}

/* the guest's TSC is the host's, so that one clock page serves all clones */
static void tsc_set(int vcpu)
{
	uint64_t zero = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&zero,
	};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[1];
	} m = { .head.nmsrs = 1, .e = { { .index = MSR_TSC } } };

	if (!tender_cpu.tsc_khz)
		tender_cpu.tsc_khz = (uint64_t)ioctl(vcpu, KVM_GET_TSC_KHZ,
						     0);
	if (ioctl(vcpu, KVM_SET_DEVICE_ATTR, &attr) == 0)
		return;
	/* kernels before 5.16: good to some microseconds */
	m.e[0].data = __builtin_ia32_rdtsc();
	ioctl(vcpu, KVM_SET_MSRS, &m);
}

static void sregs_init(struct kvm_sregs *s)
{
	struct kvm_segment cs = {
		.limit = 0xffffffff, .selector = 0x33, .present = 1,
		.type = 11, .dpl = 3, .s = 1, .l = 1, .g = 1,
	};
	struct kvm_segment ss = cs, none = { .unusable = 1 };

	ss.type = 3;
	ss.selector = 0x2b;
	ss.db = 1;
	ss.l = 0;
	s->cs = cs;
	s->ss = ss;
	s->ds = s->es = s->fs = s->gs = none;
	s->ldt = none;
	s->tr = (struct kvm_segment){
		.base = UK_TSS, .limit = 0x68 + 0x2000 - 1, .selector = 0x40,
		.type = 11, .present = 1,
	};
	s->gdt.base = UK_GDT;
	s->gdt.limit = 10 * 8 - 1;
	s->idt.base = UK_IDT;
	s->idt.limit = 32 * 16 - 1;
	s->cr0 = CR0;
	s->cr3 = UK_PML4;
	s->cr4 = CR4;
	s->efer = EFER;
}

int kvm_cpu_init(int vcpu, struct kvm_sregs *sregs)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1 };
	int rc;

	rc = xioctl(vcpu, KVM_SET_CPUID2, &cpuid);
	if (rc == 0)
		rc = xioctl(vcpu, KVM_GET_SREGS, sregs);
	if (rc < 0)
		return rc;
	sregs_init(sregs);
	rc = xioctl(vcpu, KVM_SET_SREGS, sregs);
	xcrs.xcrs[0].value = tender_cpu.xcr0;
	if (rc == 0)
		rc = xioctl(vcpu, KVM_SET_XCRS, &xcrs);
	if (rc == 0)
		rc = msrs_set(vcpu);
	tsc_set(vcpu);
	return rc;
}
