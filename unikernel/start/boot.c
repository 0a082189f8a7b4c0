/*
 * boot.c - from the first instruction to the program's
 *
 * Loads argv[0] and its interpreter as Linux's execve would, builds the initial
 * stack (System V ABI, AMD64 supplement, 3.4.1) and starts the program.  When
 * it cannot be run the boot ends with one line and status 127.
 *
 * With UK_CTL_FORK_BOOT the reference is frozen before all of that, and each
 * request's clone loads a program of its own.
 */
#include "unikernel/map/elf.h"
#include "unikernel/lib/kabi.h"
#include "unikernel/dev/devices.h"
#include "unikernel/task/crash.h"
#include "unikernel/mem/mem.h"
#include "unikernel/start/syscall.h"
#include "unikernel/task/thread.h"
#include "unikernel/fs/vfs.h"
#include "unikernel/arch/xstate.h"

#define EXIT_CANNOT_RUN	127
#define STACK_VARIETY	256		/* in steps of 16 bytes */
/* rt_sigframe, its alignment, and the end mark of the vector state */
#define SIGFRAME_FIXED	(sizeof(struct k_rt_sigframe) + 64 + 64 + \
			 FP_XSTATE_MAGIC2_SIZE)

/* words to be placed at the bottom of the stack: argc, argv, envp, auxv */
struct stack {
	u64 sp;				/* where the strings end */
	u64 *word;
};

static void __attribute__((noreturn)) cannot_run(const char *path, int err)
{
	const char *why = "not a program for this machine";

	if (err == -ENOENT || err == -ENOTDIR)
		why = "not found";
	else if (err == -ENOMEM)
		why = "more memory is needed than the limit allows";
	else if (err != -ENOEXEC)
		why = NULL;
	if (why)
		log_printf("cannot run '%s': %s\n", path, why);
	else
		log_printf("cannot run '%s': error %d\n", path, -err);
	for (;;)
		doorbell(EXIT_CANNOT_RUN, 0, 0, DB_EXIT);
}

static void load(const char *path, struct elf_image *img)
{
	int rc = 0;
	struct file *f = file_open(path, O_RDONLY, 0, &rc);

	if (!f)
		cannot_run(path, rc);
	rc = elf_load(f, img);
	if (rc < 0)
		cannot_run(path, rc);
	file_put(f);
}

static u32 cpuid_hwcap(void)
{
	u32 a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d;
}

static u64 push_bytes(struct stack *s, const void *p, size_t len)
{
	s->sp -= len;
	memcpy((void *)s->sp, p, len);
	return s->sp;
}

static void aux(struct stack *s, u64 type, u64 value)
{
	*s->word++ = type;
	*s->word++ = value;
}

static void push_auxv(struct stack *s, const struct elf_image *img,
		      const struct elf_image *interp, u64 random, u64 platform,
		      u64 execfn)
{
	aux(s, AT_SYSINFO_EHDR, UK_VDSO);
	aux(s, AT_HWCAP, cpuid_hwcap());
	aux(s, AT_PAGESZ, UK_PAGE);
	aux(s, AT_CLKTCK, USER_HZ);
	aux(s, AT_PHDR, img->phdr);
	aux(s, AT_PHENT, sizeof(struct elf_phdr));
	aux(s, AT_PHNUM, img->phnum);
	aux(s, AT_BASE, interp->base);
	aux(s, AT_FLAGS, 0);
	aux(s, AT_ENTRY, img->entry);
	aux(s, AT_UID, 0);
	aux(s, AT_EUID, 0);
	aux(s, AT_GID, 0);
	aux(s, AT_EGID, 0);
	aux(s, AT_SECURE, 0);
	aux(s, AT_RANDOM, random);
	aux(s, AT_HWCAP2, HWCAP2_FSGSBASE);
	aux(s, AT_EXECFN, execfn);
	aux(s, AT_PLATFORM, platform);
	aux(s, AT_MINSIGSTKSZ, ROUND_UP(SIGFRAME_FIXED + xstate_size(),
					16));
	aux(s, AT_NULL, 0);
}
#define AUXV_WORDS	(21 * 2)

/*
 * Pushes argv or envp: n pointers to the NUL-terminated strings from p on, then
 * NULL.  Returns the string after them.
 */
static const char *push_pointers(struct stack *s, const char *p, u32 n)
{
	while (n--) {
		*s->word++ = (u64)p;
		p += strlen(p) + 1;
	}
	*s->word++ = 0;
	return p;
}

/* whether n NUL-terminated strings end at or before p + len */
static int strings_ok(const char *p, u64 len, u64 n)
{
	u64 one;

	for (; n; n--, p += one, len -= one) {
		one = strnlen(p, len) + 1;
		if (one > len)
			return 0;
	}
	return 1;
}

/* fills the initial stack and returns its pointer */
static u64 build_stack(const struct elf_image *img,
		       const struct elf_image *interp)
{
	u32 argc = uk_ctl->argc, envc = uk_ctl->envc;
	u64 strings_len = uk_ctl->strings_len;
	u64 words = 1 + argc + 1 + envc + 1 + AUXV_WORDS;
	struct stack s = { .sp = UK_STACK_END - 16 };
	u64 random, platform, execfn, args, sp;
	const char *env;
	u8 seed[16], variety;

	random_bytes(&variety, 1);
	s.sp -= variety * 16u;
	execfn = push_bytes(&s, task_program, strlen(task_program) + 1);
	args = push_bytes(&s, (const char *)uk_ctl->strings, strings_len);
	platform = push_bytes(&s, "x86_64", 7);
	random_bytes(seed, sizeof(seed));
	s.sp &= ~15ull;
	random = push_bytes(&s, seed, sizeof(seed));
	sp = (s.sp - words * 8) & ~15ull;
	s.word = (u64 *)sp;
	*s.word++ = argc;
	env = push_pointers(&s, (const char *)args, argc);
	push_pointers(&s, env, envc);
	push_auxv(&s, img, interp, random, platform, execfn);
	return sp;
}

static void check_contract(void)
{
	const u64 room = UK_CTL_PAGES * UK_PAGE - sizeof(*uk_ctl);
	u64 n = (u64)uk_ctl->argc + uk_ctl->envc;

	if (uk_ctl->magic != UK_CTL_MAGIC ||
	    uk_ctl->version != UK_ABI_VERSION)
		panic("libOS: the tender speaks another version");
	if (!uk_ctl->argc || uk_ctl->strings_len > room ||
	    !strings_ok((const char *)uk_ctl->strings, uk_ctl->strings_len, n))
		panic("libOS: broken argument strings");
}

void boot_main(void)
{
	struct elf_image img, interp = { 0 };
	struct regs *r;

	panic_hook = crash_panic;
	check_contract();
	/* the first call starts the count of CPU time */
	now_cpu();
	mem_init();
	thread_init();
	k_snprintf(task_program, sizeof(task_program), "%s",
		   (const char *)uk_ctl->strings);
	vfs_init();
	devfs_init();
	procfs_init();
	usetldev_init();
	if (uk_ctl->flags & UK_CTL_FORK_BOOT)
		usetldev_freeze();
	load(task_program, &img);
	if (img.interp[0])
		load(img.interp, &interp);
	r = current->regs;
	memset(r, 0, sizeof(*r));
	r->orig_rax = -1;
	r->rip = img.interp[0] ? interp.entry : img.entry;
	r->rsp = build_stack(&img, &interp);
	r->rflags = 0x202;
	leave_start(r);
}
