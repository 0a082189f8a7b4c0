/*
 * tree.h - the guest's root file system while it is being put together
 *
 * Nodes are numbered in the order in which they were made and never move:
 * a number stays good, a pointer does not outlive the next tree_add_*().
 * Node 0 is the root.  A file's bytes are either a host file or a range of
 * the spool, an unlinked temporary file that also holds what was generated
 * and unpacked, so that nothing unpacked ever touches the host's own tree.
 *
 * Layers are filled in order, and none changes what is in one below it.  A
 * directory is in each layer that has something in it, or that it was added to.
 * A file of an upper layer takes the name of a lower one's, which stays in its
 * own layer, under it.
 */
#ifndef ETLFS_TREE_H
#define ETLFS_TREE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/err.h"
#include "etlfs/format.h"

#define TREE_PATH_MAX	4096		/* bytes of a path, with its NUL */
#define TREE_LINKS_MAX	40		/* symlinks in one resolution */

struct tree_node {
	char *name;
	uint32_t parent;
	uint32_t mode;			/* S_IFREG, S_IFDIR or S_IFLNK + bits */
	uint16_t layer;			/* ETLFS_LAYER_* of a file or symlink */
	uint16_t in;			/* of a directory: a bit for each */
	uint32_t under;			/* a lower layer's of this name, or 0 */
	int64_t mtime;
	uint64_t size;			/* of a file */
	char *host;			/* file: its bytes; NULL: spooled */
	uint64_t off;			/* spooled: where */
	uint64_t layer_off;		/* where in its layer */
	char *target;			/* of a symlink */
	uint32_t *child;		/* of a directory, sorted by name */
	uint32_t children, room;
	uint32_t loader;		/* library: who needed it first, or 0 */
	int stored;			/* file: its bytes are the layer's */
	uint32_t number[ETLFS_LAYERS];	/* in the layers' indices */
};

/*
 * What is looked at on the host, told before it is: whoever remembers what the
 * tree was made from can look again.
 */
enum tree_look {
	TREE_SAW_PATH,			/* a file, or where a symlink leads and
					   what is there, or that there is none;
					   of a folder only that it is one */
	TREE_SAW_FOLDER,		/* which names there are in it */
	TREE_SAW_REAL,			/* its path without symlinks */
	TREE_SAW_UNKNOWN,		/* something that cannot be named */
};

/* a layer that is in a file by now, from its first byte to its last */
struct tree_stored {
	int fd;				/* the tree's; -1: it is not */
	char digest[65];
	uint64_t len, index_off;	/* as in struct image_layer */
	uint32_t files, nodes;
};

struct tree {
	struct tree_node *node;
	uint32_t nodes, room;
	int spool;
	uint64_t spool_len;
	struct tree_stored stored[ETLFS_LAYERS];
	/* each may be NULL */
	void (*warn)(void *arg, const char *line);	/* no line feed */
	int (*tick)(void *arg);		/* per file; -errno stops the work */
	int (*wait)(void *arg);		/* while a tool runs; likewise */
	/* the last lines of a tool that failed, when there are several */
	void (*said)(void *arg, const char *text);
	void (*saw)(void *arg, const char *path, enum tree_look how);
	void *arg;
};

struct tree_file {
	uint16_t layer;
	uint32_t mode;			/* permission bits */
	int64_t mtime;
	uint64_t size;
	const char *host;		/* or NULL and off in the spool */
	uint64_t off;
};

int tree_create(struct tree **out, struct err *err);
void tree_destroy(struct tree *t);

/*
 * Paths are absolute, in the guest.  Missing directories are made; symlinks
 * that are in the tree already are followed on the way, not at the end.
 * A file or symlink takes the place of one that is there, which stays under it
 * when it is of a lower layer; unless it is the same one, of which there is no
 * second; a directory's place it does not take (-EEXIST).  The node's number,
 * or -errno with err set.
 */
int64_t tree_add_dir(struct tree *t, const char *path, uint16_t layer,
		     struct err *err);
int64_t tree_add_file(struct tree *t, const char *path,
		      const struct tree_file *f, struct err *err);
int64_t tree_add_link(struct tree *t, const char *path, const char *target,
		      uint16_t layer, struct err *err);
/* a generated file: mode 0644, mtime 0 */
int64_t tree_add_data(struct tree *t, const char *path, const void *data,
		      size_t len, uint16_t layer, struct err *err);

/* node for a path, or -ENOENT, -ELOOP; the last component followed if asked */
int64_t tree_find(const struct tree *t, const char *path, int follow);
/* what a layer has by the name of a node: its node, or -ENOENT */
int64_t tree_in_layer(const struct tree *t, uint32_t node, uint16_t layer);
/* NUL-terminated absolute path; 0 or -ENAMETOOLONG */
int tree_path(const struct tree *t, uint32_t node, char *buf, size_t len);

/* bytes to the end of the spool; their offset, or -errno */
int64_t tree_spool(struct tree *t, const void *data, size_t len);
/* opens a file's bytes for reading: fd and where they begin; fd or -errno */
int tree_open(const struct tree *t, uint32_t node, uint64_t *off);
/* len bytes of a file from pos; how many, or -errno */
ssize_t tree_read(const struct tree *t, uint32_t node, void *buf, size_t len,
		  uint64_t pos);

void tree_warn(struct tree *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* a path of the host */
void tree_saw(struct tree *t, const char *path, enum tree_look how);

/*
 * tree_layer.c: puts a layer's files, which are in t->stored[layer], into the
 * tree as they were when it was made.  index: its index, len bytes.  host()
 * says where node i of the index came from on the host, NULL when it was
 * generated.  map: the tree's number of each, the caller's.  0 or -errno,
 * -EBADMSG for an index that is none.
 */
int tree_add_layer(struct tree *t, uint16_t layer, const void *index,
		   size_t len, const char *(*host)(void *arg, uint32_t i,
						   const char *path),
		   void *arg, uint32_t **map, struct err *err);

/*
 * tree_host.c: taking files over from the host.
 *
 * tree_add_host: path as it is there, to the same place: every symlink on
 * the way, and what it leads to.  A folder comes without its content.  The
 * node of the end of the chain, or -errno.
 */
int64_t tree_add_host(struct tree *t, const char *path, uint16_t layer,
		      struct err *err);

/*
 * A folder's content.  keep() is asked with the path below the folder and
 * may be NULL.  Where host and guest are the same path, symlinks stay and
 * what they lead to comes along; elsewhere those that lead out of the folder
 * become copies.  Sockets, devices and dangling links are warned about.
 */
struct tree_folder {
	const char *host, *guest;
	uint16_t layer;
	int no_times;			/* mtimes are accidents: write 0 */
	int (*keep)(void *arg, const char *rel, int is_dir);
	void *arg;
};
int tree_add_folder(struct tree *t, const struct tree_folder *f,
		    struct err *err);

/*
 * tree_archive.c: the content of a zip or tar, to below guest.  Member names
 * that leave the archive are errors.  place() says where a member of that name
 * belongs, which is an end of the name, or NULL when it is left out; without it
 * names stay.  is_file: a regular file, and no link.
 */
struct tree_archive {
	const char *file, *guest;
	uint16_t layer;
	const char *(*place)(const char *file, const char *name, int is_file);
};
int tree_add_archive(struct tree *t, const struct tree_archive *from,
		     struct err *err);

#endif
