/* name.c - the order of names in a directory */
#include "etlfs/image/name.h"

#include <string.h>

int etlfs_name_cmp(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int d = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return d ? d : (a_len > b_len) - (a_len < b_len);
}
