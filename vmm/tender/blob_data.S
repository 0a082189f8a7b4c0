/* blob_data.S - the guest's files, embedded */
#define BLOB(sym, file) \
	.global sym; .global sym##_end; \
	.balign 4096; sym: .incbin file; sym##_end: .byte 0

	.section .rodata
BLOB(blob_libos_data, "unikernel/libos.elf")
BLOB(blob_vdso_data, "unikernel/vdso.so")
BLOB(blob_stub_data, "vmm/stub.elf")
	.section .note.GNU-stack, "", @progbits
