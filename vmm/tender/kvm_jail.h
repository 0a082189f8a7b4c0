/*
 * kvm_jail.h - system calls by which a virtual machine is made and run
 */
#ifndef VMM_KVM_JAIL_H
#define VMM_KVM_JAIL_H

#include "vmm/tender/jail_rule.h"

extern const struct tender_jail kvm_jail;

#endif
