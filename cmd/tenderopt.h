/*
 * cmd/tenderopt.h - which tender serve, invoke and bake's trial take
 */
#ifndef CMD_TENDEROPT_H
#define CMD_TENDEROPT_H

#include "conf/conf.h"
#include "conf/err.h"
#include "vmm/tender/tender.h"

/*
 * The tender: option (NULL: none), else the configuration's, else that of
 * USETL_TENDER in the environment; auto is resolved.  note, "" at first, is
 * one line to show when isolation is weaker than it could be.  hope: what the
 * host may refuse is not asked for, see choose_hope().
 */
int tenderopt_resolve(const char *option, const struct conf *c, int hope,
		      enum tender_kind *out, struct err *note, struct err *err);

/* -EINVAL where an option (NULL: none) names no tender, for the usage */
int tenderopt_check(const char *option, struct err *err);

/* 1, and a line that says by what, when a debugger traces this process */
int tenderopt_traced(struct err *note);

#endif
