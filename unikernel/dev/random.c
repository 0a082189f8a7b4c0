/*
 * random.c - /dev/random, /dev/urandom and getrandom(2), which are alike
 */
#include "unikernel/dev/devices.h"
#include "unikernel/dev/draws.h"
#include "unikernel/fs/vfs.h"
#include "unikernel/ipc/syspoll.h"
#include "unikernel/task/task.h"

#define GETRANDOM_MAX	0x1ffffff	/* as Linux: one call's limit */

static long random_read(struct file *f, void *buf, size_t len, u64 pos)
{
	random_bytes(buf, len);
	draws_note();
	return (long)len;
}

/* what is written is not taken as entropy: the tender's is enough */
static long random_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	return (long)len;
}

static int random_poll(struct file *f)
{
	return POLLIN | POLLOUT;
}

static void random_close(struct file *f)
{
}

const struct file_ops devrandom_ops = {
	.name = "random",
	.read = random_read,
	.write = random_write,
	.poll = random_poll,
	.close = random_close,
	.seekable = 1,
};

long sys_getrandom(void *buf, size_t len, unsigned flags)
{
	if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if ((flags & GRND_RANDOM) && (flags & GRND_INSECURE))
		return -EINVAL;
	len = MIN(len, GETRANDOM_MAX);
	if (!user_ok(buf, len, 1))
		return -EFAULT;
	random_bytes(buf, len);
	draws_note();
	return len;
}
