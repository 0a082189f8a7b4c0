/*
 * words.h - what usetl.conf(5) and options say by a word
 *
 * Each kind is an enum for all of the tree, and a table of its words, which
 * ends with NULL.
 */
#ifndef CONF_WORDS_H
#define CONF_WORDS_H

/* what becomes of a clone between two requests */
enum recycle { RECYCLE_ROLLBACK, RECYCLE_FORK, RECYCLE_KEEP };
extern const char *const recycle_words[];

/* is it so? */
enum yesno { NO, YES };
extern const char *const yesno_words[];

/* where a request's clone starts: behind the function's module, behind what
   that imports first, behind the interpreter, or before that */
enum fork_point { FORK_FUNCTION, FORK_PACKAGES, FORK_INTERPRETER, FORK_BOOT };
extern const char *const fork_words[];

/* what runs guests; see vmm/tender/tender.h */
enum tender_kind { TENDER_AUTO, TENDER_KVM, TENDER_PROCESS };
extern const char *const tender_words[];

/* the number of a word, or -EINVAL */
int words_find(const char *const *words, const char *word);

#endif
