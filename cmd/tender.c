/* cmd/tender.c - which tender serve, invoke and bake's trial take */
#include "cmd/tender.h"

#include <errno.h>
#include <stdlib.h>

int tender_wanted(const char *option, const struct conf *c,
		  enum tender_kind *out, struct err *note, struct err *err)
{
	static const enum tender_kind of_conf[] = {
		[CONF_AUTO] = TENDER_AUTO,
		[CONF_KVM] = TENDER_KVM,
		[CONF_PROCESS] = TENDER_PROCESS,
	};
	const char *env = getenv("USETL_TENDER");
	enum tender_kind kind = of_conf[c->tender];
	struct err why = { "" };
	int rc;

	if (!option && kind == TENDER_AUTO && env && *env)
		option = env;
	if (option && tender_parse(option, &kind) < 0)
		return err_set(err, -EINVAL, "tender '%s' is none of auto, "
			       "kvm, process", option);
	note->msg[0] = '\0';
	if (kind == TENDER_AUTO) {
		kind = TENDER_KVM;
		if (tender_check(TENDER_KVM, &why) < 0 &&
		    tender_check(TENDER_PROCESS, note) == 0) {
			kind = TENDER_PROCESS;
			err_set(note, 0, "functions run as locked processes, "
				"which isolates less than virtual machines, "
				"see usetl-isolation(7): %.400s", why.msg);
		} else if (why.msg[0]) {
			rc = tender_check(TENDER_AUTO, err);
			return rc < 0 ? rc : -ENOTSUP;
		}
	}
	*out = kind;
	return tender_check(kind, err);
}
