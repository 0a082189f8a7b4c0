/* kvm_jail.c - system calls of the KVM tender, each with its reason */
#include "vmm/tender/kvm_jail.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <seccomp.h>

static const struct jail_rule clone_rules[] = {
	JAIL_ARG(ioctl, 1, KVM_RUN),	/* run the guest */
	/* DB_GROW, host windows */
	JAIL_ARG(ioctl, 1, KVM_SET_USER_MEMORY_REGION),
	JAIL_ARG(ioctl, 1, KVM_GET_SREGS), /* fault address, verify */
	JAIL_ARG(ioctl, 1, KVM_SET_XSAVE), /* rollback of vector state */
	JAIL_ARG(ioctl, 1, KVM_GET_XSAVE), /* verify */
};

static const struct jail_rule ref_rules[] = {
	/* a virtual machine, and its one processor */
	JAIL_ARG(ioctl, 1, KVM_RUN),
	JAIL_ARG(ioctl, 1, KVM_CREATE_VM),
	JAIL_ARG(ioctl, 1, KVM_SET_USER_MEMORY_REGION),
	JAIL_ARG(ioctl, 1, KVM_CREATE_VCPU),
	JAIL_ARG(ioctl, 1, KVM_SET_CPUID2),
	JAIL_ARG(ioctl, 1, KVM_GET_SREGS),
	JAIL_ARG(ioctl, 1, KVM_SET_SREGS),
	JAIL_ARG(ioctl, 1, KVM_SET_XCRS),
	JAIL_ARG(ioctl, 1, KVM_SET_MSRS),
	JAIL_ARG(ioctl, 1, KVM_GET_TSC_KHZ),
	JAIL_ARG(ioctl, 1, KVM_SET_DEVICE_ATTR), /* the TSC's offset */
	JAIL_ARG(ioctl, 1, KVM_GET_XSAVE),
	JAIL_ARG(ioctl, 1, KVM_SET_XSAVE),
	JAIL_ARG(fcntl, 1, F_SETFD),	/* FD_CLOEXEC on what KVM made */
};

const struct tender_jail kvm_jail = {
	.clone = JAIL_LIST(clone_rules),
	.ref = JAIL_LIST(ref_rules),
};
