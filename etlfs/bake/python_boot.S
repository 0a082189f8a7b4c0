/* python_boot.S - a struct runtime_file for each one that the Makefile lists */
#define PYTHON(path, file) \
	.pushsection .rodata; \
	1: .asciz path; 2: .incbin file; 3: .byte 0; \
	.popsection; \
	.quad 1b, 2b, 3b

	.section .data.rel.ro, "aw"
	.balign 8
	.global python_boot
	.type python_boot, @object
python_boot:
#include "etlfs/bake/python_boot.inc"
	.quad 0, 0, 0
	.size python_boot, . - python_boot
	.section .note.GNU-stack, "", @progbits
