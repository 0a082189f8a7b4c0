/* blob_data.S - the guest's files, embedded */
#define BLOB(sym, file) \
	.global sym; .global sym##_end; \
	.balign 4096; sym: .incbin file; sym##_end: .byte 0

	.section .rodata
BLOB(blob_libos_data, "unikernel/libos.elf")
BLOB(blob_vdso_data, "unikernel/vdso.so")
BLOB(blob_stub_data, "vmm/stub.elf")
BLOB(blob_gdb_py, "cmd/gdb.py")

/* blob_python[]: a struct blob for each file that the Makefile lists */
#define PYTHON(name, file) \
	.pushsection .rodata; \
	1: .asciz name; 2: .incbin file; 3: .byte 0; \
	.popsection; \
	.quad 1b, 2b, 3b

	.section .data.rel.ro, "aw"
	.balign 8
	.global blob_python
	.type blob_python, @object
blob_python:
#include "vmm/blob_python.inc"
	.quad 0, 0, 0
	.size blob_python, . - blob_python
	.section .note.GNU-stack, "", @progbits
