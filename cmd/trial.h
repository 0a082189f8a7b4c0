/*
 * trial.h - boots an image once, so that bake can say what is wrong with it
 */
#ifndef CMD_TRIAL_H
#define CMD_TRIAL_H

#include "conf/err.h"

/*
 * 0 when the function of the image got as far as READY; else -errno, and err
 * says why, and *log, which the caller frees, is the end of what the
 * interpreter said: whole lines, or NULL.
 */
int trial_boot(const char *image, char **log, struct err *err);

#endif
