/* gdb_py.S - gdb.py, embedded, as gdb_files.c writes it out */
	.section .rodata
	.global gdb_py; .global gdb_py_end
gdb_py: .incbin "cmd/gdb.py"
gdb_py_end: .byte 0
	.section .note.GNU-stack, "", @progbits
