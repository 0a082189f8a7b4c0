/*
 * jail_impl.h - system calls that a process may make, as lists of rules
 */
#ifndef VMM_JAIL_IMPL_H
#define VMM_JAIL_IMPL_H

#include "vmm/jail/jail.h"

/*
 * A call that passes.  With a mask, only when argument arg has value in the
 * bits of mask; several rules of one call: when one of them says so.
 */
struct jail_rule {
	int nr;
	unsigned arg;
	uint64_t mask, value;
};

#define JAIL_CALL(name)	{ SCMP_SYS(name), 0, 0, 0 }
#define JAIL_ARG(name, n, v) { SCMP_SYS(name), (n), UINT64_MAX, (v) }
#define JAIL_BITS(name, n, m, v) { SCMP_SYS(name), (n), (m), (v) }
#define JAIL_COUNT(list) (sizeof(list) / sizeof((list)[0]))


/* into j, which is freed with the process; otherwise is a SCMP_ACT_* */
int jail_compile(struct jail *j, const struct jail_rule *const list[],
		 const size_t count[], unsigned lists, uint32_t otherwise,
		 struct err *err);

#endif
