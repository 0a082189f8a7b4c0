/*
 * jail_rule.h - system calls that a process may make, as lists of rules
 *
 * vmm/jail compiles and locks them, and has those that are every tender's;
 * the type is here because each tender brings its own.  Numbers are
 * SCMP_SYS's, of <seccomp.h>.
 */
#ifndef VMM_JAIL_RULE_H
#define VMM_JAIL_RULE_H

#include <stddef.h>
#include <stdint.h>

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

/* as a value: stands for the process that is named at a clone's lock */
#define JAIL_REMOTE	0x7e5d1a11u

struct jail_list {
	const struct jail_rule *rule;
	size_t n;
};

#define JAIL_LIST(rules) { (rules), sizeof(rules) / sizeof((rules)[0]) }

/* what one tender needs beyond the rules that are every tender's */
struct tender_jail {
	struct jail_list clone;		/* a clone, once it is locked */
	struct jail_list ref;		/* a reference, and setting up clones */
	struct jail_list debug;		/* the same, while tender_debug */
	/*
	 * The reference's filter is also that of a process in which a guest
	 * runs, whose own says TRAP for all that is the libOS's to answer.  Of
	 * two filters the one that kills would win, so the reference's answers
	 * EPERM to what is not in its list.
	 */
	int guest_inherits;
};

#endif
