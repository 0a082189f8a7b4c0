/*
 * nolibc.h - between libc's headers and the libOS's, where a unit test has both
 *
 * kabi.h has Linux's names, and of those below libc's headers spell the value
 * in another way: it is the same one (t/kabi.sh).
 */
#ifndef T_UNIT_NOLIBC_H
#define T_UNIT_NOLIBC_H

#undef RENAME_NOREPLACE
#undef RENAME_EXCHANGE
#undef RENAME_WHITEOUT
#undef MFD_CLOEXEC
#undef MFD_ALLOW_SEALING
#undef CLOSE_RANGE_UNSHARE
#undef CLOSE_RANGE_CLOEXEC
#undef PROT_NONE
#undef PROT_READ
#undef PROT_WRITE
#undef PROT_EXEC
#undef MAP_SHARED
#undef MAP_PRIVATE
#undef MAP_SHARED_VALIDATE
#undef MAP_TYPE
#undef MAP_DENYWRITE
#undef MLOCK_ONFAULT
#undef WNOHANG
#undef WUNTRACED
#undef WSTOPPED
#undef WEXITED
#undef WCONTINUED

#endif
