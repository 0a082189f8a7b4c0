/*
 * draws.h - who asked for randomness while a function was loaded
 *
 * What was drawn before READY is the same in every clone, so whoever keeps it
 * has to draw again there, and not every library does.  A trial boot watches:
 * /dev/usetl/draws (dev.h) has a line for each draw.
 */
#ifndef UNIKERNEL_DRAWS_H
#define UNIKERNEL_DRAWS_H

struct file;
struct inode;

/* current's system call draws, by getrandom(2) or from /dev/urandom */
void draws_note(void);
/* READY: nothing is noted any more */
void draws_end(void);
int draws_open(struct inode *ip, struct file *f);

#endif
