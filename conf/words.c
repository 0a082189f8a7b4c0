/* words.c - what usetl.conf(5) and options say by a word */
#include "conf/words.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

const char *const yesno_words[] = { [NO] = "no", [YES] = "yes", NULL };

const char *const fork_words[] = {
	[FORK_FUNCTION] = "function",
	[FORK_PACKAGES] = "packages",
	[FORK_INTERPRETER] = "interpreter",
	[FORK_BOOT] = "boot",
	NULL
};

const char *const recycle_words[] = {
	[RECYCLE_ROLLBACK] = "rollback",
	[RECYCLE_FORK] = "fork",
	[RECYCLE_KEEP] = "keep",
	NULL
};

const char *const tender_words[] = {
	[TENDER_AUTO] = "auto",
	[TENDER_KVM] = "kvm",
	[TENDER_PROCESS] = "process",
	NULL
};

int words_find(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], word))
			return i;
	return -EINVAL;
}
