/*
 * kvm_cpu.h - the processor of a virtual machine, as it is for all its life
 *
 * Linux Documentation/virt/kvm/api.rst; AMD64 APM 2 for what is in registers.
 */
#ifndef VMM_KVM_CPU_H
#define VMM_KVM_CPU_H

#include <linux/kvm.h>

/*
 * Once, of /dev/kvm, before any vCPU: which features guests have.  They are
 * the host's without what XCR0 or CR4 leave out.  Sets tender_cpu but for the
 * TSC.  0 or -errno.
 */
int kvm_cpu_learn(int kvm);
/*
 * Of a new vCPU: features, XCR0, MSRs, TSC and special registers, which are
 * left in *sregs.  General registers and vectors are not touched.  0 or -errno.
 */
int kvm_cpu_init(int vcpu, struct kvm_sregs *sregs);

#endif
