/*
 * jail_impl.h - what both filters are made by
 */
#ifndef VMM_JAIL_IMPL_H
#define VMM_JAIL_IMPL_H

#include "vmm/jail/jail.h"

/* into j, which is freed with the process; otherwise is a SCMP_ACT_* */
int jail_compile(struct jail *j, const struct jail_list list[], unsigned lists,
		 uint32_t otherwise, struct err *err);

#endif
