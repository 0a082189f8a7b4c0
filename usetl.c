/* usetl.c - the command table and its dispatch, nothing else */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *usage;
} commands[] = {
	{ "bake", cmd_bake, "pack a function into an image" },
	{ "serve", cmd_serve, "serve images over HTTP" },
	{ "invoke", cmd_invoke, "run a function once" },
	{ "inspect", cmd_inspect, "say what is in an image" },
	{ "push", cmd_push, "send an image to a registry" },
	{ "pull", cmd_pull, "get an image from a registry" },
	{ "store", cmd_store, "list, verify or clean up what is kept" },
	{ "ctl", cmd_ctl, "list or snapshot what a server runs" },
	{ "check", cmd_check, "can this host run usetl" },
};

static void usage(FILE *to)
{
	fprintf(to, "usage: usetl COMMAND [OPTION]... [ARGUMENT]...\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-10s %s\n", commands[i].name,
			commands[i].usage);
	fprintf(to, "\n`usetl COMMAND -h` says more, usetl(1) says all\n");
}

int main(int argc, char **argv)
{
	static char help[] = "-h";

	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	/* `usetl help COMMAND` is `usetl COMMAND -h` */
	if (!strcmp(argv[1], "help") && argc == 3) {
		argv[1] = argv[2];
		argv[2] = help;
	}
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") ||
	    !strcmp(argv[1], "help")) {
		usage(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
		printf("usetl %s\n", USETL_VERSION);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].fn(argc - 1, argv + 1);
	fprintf(stderr, "usetl: unknown command '%s'; see `usetl help`\n",
		argv[1]);
	return 2;
}
