/*
 * machine.c - page tables, descriptor tables, stubs and images of a new guest
 *
 * Intel SDM volume 3, chapters 3 to 7; AMD APM volume 2 says the same.
 */
#include "vmm/tender/machine.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/tender/blob.h"
#include "vmm/tender/tender.h"

#define PTE_P	0x001ull
#define PTE_W	0x002ull
#define PTE_U	0x004ull
#define PTE_A	0x020ull
#define PTE_D	0x040ull
#define PTE_PS	0x080ull
#define PTE_NX	(1ull << 63)
#define PTE_AD	(PTE_A | PTE_D)

#define GB	(1ull << 30)

extern const uint8_t stub_bounce[], stub_bounce_frame[], stub_bounce_end[];
extern const uint8_t stub_gates[], stub_gates_end[];
extern const uint8_t stub_user[], stub_user_end[], stub_touch[];

const struct uk_header *machine_header(void)
{
	const Elf64_Ehdr *eh = (const void *)blob_libos.data;
	const Elf64_Phdr *ph = (const void *)(blob_libos.data + eh->e_phoff);

	for (int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_vaddr <= UK_LIBOS &&
		    UK_LIBOS - ph[i].p_vaddr < ph[i].p_filesz)
			return (const void *)(blob_libos.data + ph[i].p_offset +
					      (UK_LIBOS - ph[i].p_vaddr));
	return NULL;
}

/* [base, base + len) in 2 MB pages */
static void map_big(struct ram *ram, uint64_t base, uint64_t len,
		    uint64_t rights)
{
	for (uint64_t a = base & ~(uint64_t)(UK_BIG - 1); a < base + len;
	     a += UK_BIG) {
		uint64_t *pd = ram_sys(ram, UK_PD + (a / GB) * UK_PAGE);

		pd[(a % GB) / UK_BIG] = a | rights | PTE_P | PTE_AD | PTE_PS;
	}
}

/* [base, base + len) inside SYS in 4 KB pages */
static void map_sys(struct ram *ram, uint64_t base, uint64_t len,
		    uint64_t rights)
{
	uint64_t *pt = ram_sys(ram, UK_PT);

	for (uint64_t a = base; a < base + len; a += UK_PAGE)
		pt[(a - UK_SYS_BASE) / UK_PAGE] = a | rights | PTE_P | PTE_AD;
}

void machine_map_layer(struct ram *ram, const struct uk_layer *layer)
{
	map_big(ram, layer->addr, layer->size, PTE_U | PTE_NX);
}

static void tables_setup(struct ram *ram)
{
	uint64_t *pml4 = ram_sys(ram, UK_PML4), *pdpt = ram_sys(ram, UK_PDPT);
	uint64_t dir = PTE_P | PTE_W | PTE_U | PTE_A, *pd;
	uint64_t rw = PTE_U | PTE_W | PTE_NX;

	pml4[0] = UK_PDPT | dir;
	for (uint64_t i = 0; i < UK_END / GB; i++)
		pdpt[i] = (UK_PD + i * UK_PAGE) | dir;
	map_big(ram, UK_EXEC_BASE, UK_EXEC_END - UK_EXEC_BASE, PTE_U | PTE_W);
	map_big(ram, UK_STACK_BASE, UK_STACK_END - UK_STACK_BASE, rw);
	map_big(ram, UK_HEAP_BASE, UK_HEAP_END - UK_HEAP_BASE, rw);
	map_big(ram, UK_DATA_BASE, UK_DATA_END - UK_DATA_BASE, rw);
	map_big(ram, UK_USF_BASE, UK_USF_END - UK_USF_BASE, rw);
	for (int i = 0; i < UK_LAYERS; i++)
		machine_map_layer(ram, &ram->layer[i]);
	map_big(ram, UK_HOST_BASE, UK_HOST_END - UK_HOST_BASE,
		PTE_U | PTE_NX);

	pd = ram_sys(ram, UK_PD + (UK_SYS_BASE / GB) * UK_PAGE);
	for (uint64_t i = 0; i < 4; i++)
		pd[(UK_SYS_BASE % GB) / UK_BIG + i] =
			(UK_PT + i * UK_PAGE) | dir;
	/* supervisor pages: tables are read by the processor's walks only */
	map_sys(ram, UK_GDT, UK_SUPSTACK - UK_GDT, PTE_W | PTE_NX);
	map_sys(ram, UK_SUPSTACK, UK_PAGE, PTE_W | PTE_NX);
	map_sys(ram, UK_SUPTEXT, UK_PAGE, 0);
	map_sys(ram, UK_STUB, UK_PAGE, PTE_U);
	map_sys(ram, UK_BOUNCE, UK_PAGE, PTE_U);
	map_sys(ram, UK_VDSO, 2 * UK_PAGE, PTE_U);
	map_sys(ram, UK_CLOCK, UK_PAGE, PTE_U | PTE_NX);
	map_sys(ram, UK_CTL, UK_CTL_PAGES * UK_PAGE, PTE_U | PTE_NX);
	map_sys(ram, UK_OUT, UK_PAGE, rw);
	map_sys(ram, UK_REPORT, UK_REPORT_SIZE, rw);
	map_sys(ram, UK_LOG, UK_LOG_SIZE, rw);
}

struct idt_gate {
	uint16_t off0, sel;
	uint8_t ist, type;
	uint16_t off1;
	uint32_t off2, zero;
};

static void descriptors_setup(struct ram *ram)
{
	uint64_t *gdt = ram_sys(ram, UK_GDT);
	struct idt_gate *idt = ram_sys(ram, UK_IDT);
	uint8_t *tss = ram_sys(ram, UK_TSS);
	uint64_t rsp0 = MACHINE_RSP0, base = UK_TSS, limit = 0x68 + 0x2000 - 1;
	uint16_t bitmap = 0x68;

	/* as Linux lays them out: 0x10 0x18 kernel, 0x23 0x2b 0x33 user */
	gdt[2] = 0x00af9b000000ffffull;
	gdt[3] = 0x00cf93000000ffffull;
	gdt[4] = 0x00cffb000000ffffull;
	gdt[5] = 0x00cff3000000ffffull;
	gdt[6] = 0x00affb000000ffffull;
	gdt[8] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 |
		 (base >> 24 & 0xff) << 56;
	gdt[9] = base >> 32;

	for (unsigned i = 0; i < 32; i++) {
		uint64_t a = MACHINE_GATES + i * 4;

		/* int3 and into may be raised by the program, the rest not */
		idt[i] = (struct idt_gate){
			.off0 = (uint16_t)a, .sel = 0x10,
			.type = i == 3 || i == 4 ? 0xee : 0x8e,
			.off1 = (uint16_t)(a >> 16),
		};
	}

	memcpy(tss + 4, &rsp0, 8);
	memcpy(tss + 0x66, &bitmap, 2);
	memset(tss + 0x68, 0xff, 0x2001);
	/* the doorbell's port only; the gates ring theirs at CPL 0 */
	tss[0x68 + UK_PORT_DB / 8] &= (uint8_t)~(1u << UK_PORT_DB % 8);
}

void machine_stubs(struct ram *ram)
{
	uint64_t entry = machine_header()->syscall;

	memcpy(ram_sys(ram, UK_BOUNCE), stub_bounce,
	       (size_t)(stub_bounce_end - stub_bounce));
	memcpy(ram_sys(ram, UK_BOUNCE +
		       (uint64_t)(stub_bounce_frame - stub_bounce)),
	       &entry, sizeof(entry));
	memcpy(ram_sys(ram, UK_SUPTEXT), stub_gates,
	       (size_t)(stub_gates_end - stub_gates));
	memcpy(ram_sys(ram, UK_STUB), stub_user,
	       (size_t)(stub_user_end - stub_user));
}

uint64_t machine_touch(struct ram *ram, struct cpu_regs *r,
		       const uint32_t *page, size_t n)
{
	uint32_t *list = ram_sys(ram, UK_LOG);
	size_t count = 0;

	for (size_t i = 0; i < n && count < UK_LOG_SIZE / sizeof(*list); i++) {
		uint64_t a = (uint64_t)page[i] * UK_PAGE;

		/* below the libOS are pages that no program can read */
		if (a < UK_SYS_BASE || a >= UK_LIBOS)
			list[count++] = page[i];
	}
	r->rip = UK_STUB + (uint64_t)(stub_touch - stub_user);
	r->rsi = UK_LOG;
	r->rcx = count;
	return count;
}

static int has_error_code(unsigned v)
{
	return v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 ||
	       v == 29 || v == 30;
}

int machine_trap(struct ram *ram, struct cpu_regs *r, unsigned v,
		 struct uk_trap *facts, uint64_t entry, char *why, size_t len)
{
	uint64_t frame[6] = { 0 }, at = r->rsp;
	int skip = has_error_code(v);

	if (at != MACHINE_RSP0 - 40 - (skip ? 8u : 0u)) {
		snprintf(why, len, "exception frame out of place");
		return -EFAULT;
	}
	memcpy(frame, ram_sys(ram, at), sizeof(frame) - (skip ? 0 : 8));
	at += skip ? 8 : 0;
	if (frame[skip + 1] != 0x33) {
		snprintf(why, len, "exception %u inside the stubs at rip "
			 "0x%llx", v, (unsigned long long)frame[skip]);
		return -EFAULT;
	}
	*facts = (struct uk_trap){
		.vector = v, .error = skip ? frame[0] : 0,
		.at = { frame[skip], frame[skip + 3], frame[skip + 2] },
	};
	frame[0] = entry;
	frame[1] = 0x33;
	frame[2] = 0x202;
	frame[3] = 0;
	frame[4] = 0x2b;
	memcpy(ram_sys(ram, at), frame, 40);
	r->rsp = at;
	return 0;
}

static int libos_load(struct ram *ram, struct err *err)
{
	const Elf64_Ehdr *eh = (const void *)blob_libos.data;
	const Elf64_Phdr *ph = (const void *)(blob_libos.data + eh->e_phoff);

	for (int i = 0; i < eh->e_phnum; i++) {
		uint64_t a = ph[i].p_vaddr, rights = PTE_U;

		if (ph[i].p_type != PT_LOAD || ph[i].p_memsz == 0)
			continue;
		if (a < UK_LIBOS || a % UK_PAGE ||
		    a + ph[i].p_memsz > UK_SYS_END)
			return err_set(err, -ENOEXEC,
				       "the libOS image does not fit");
		if (ph[i].p_flags & PF_W)
			rights |= PTE_W;
		if (!(ph[i].p_flags & PF_X))
			rights |= PTE_NX;
		memcpy(ram_sys(ram, a), blob_libos.data + ph[i].p_offset,
		       ph[i].p_filesz);
		map_sys(ram, a, ph[i].p_memsz, rights);
	}
	return 0;
}

int machine_setup(struct ram *ram, struct err *err)
{
	const struct uk_header *h = machine_header();
	size_t vdso = (size_t)(blob_vdso.end - blob_vdso.data);

	if (!h || h->magic != UK_HEADER_MAGIC || h->version != UK_ABI_VERSION)
		return err_set(err, -ENOEXEC, "the embedded libOS is not of "
			       "this version; run make clean && make");
	if (vdso > 2 * UK_PAGE)
		return err_set(err, -ENOEXEC, "the vDSO is too large");
	tables_setup(ram);
	descriptors_setup(ram);
	memcpy(ram_sys(ram, UK_VDSO), blob_vdso.data, vdso);
	return libos_load(ram, err);
}
