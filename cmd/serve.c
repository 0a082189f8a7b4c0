/* serve.c - usetl serve: its options */
#include <getopt.h>
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/http.h"
#include "cmd/server.h"
#include "cmd/serverlog.h"
#include "cmd/tenderopt.h"

static void usage(FILE *to)
{
	fprintf(to, "usage: usetl serve [-c CONF] [-l ADDR:PORT] [--tender HOW] "
		"[--store DIR]\n"
		"                   [--control PATH] [IMAGE]...\n"
		"  -c CONF       read usetl.conf(5); again at SIGHUP\n"
		"  -l ADDR:PORT  listen there (127.0.0.1:8080; port 0: any)\n"
		"  --tender HOW  auto, kvm or process (auto)\n"
		"  --store DIR   keep there what booted, for the next start\n"
		"  --control PATH  where usetl-ctl(1) finds it\n"
		"POST /function/NAME runs a function; see usetl-serve(8)\n");
}

int cmd_serve(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "tender", required_argument, NULL, 'T' },
		{ "store", required_argument, NULL, 'S' },
		{ "control", required_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct server_opts o = { NULL };
	struct err err;
	int c;

	argv[0] = "usetl serve";	/* for getopt's own messages */
	while ((c = getopt_long(argc, argv, "c:l:h", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o.conf_path = optarg;
			break;
		case 'l':
			o.listen = optarg;
			break;
		case 'T':
			o.tender = optarg;
			break;
		case 'S':
			o.store = optarg;
			break;
		case 'C':
			o.control = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if ((o.listen && http_listen_check(o.listen, &err) < 0) ||
	    tenderopt_check(o.tender, &err) < 0) {
		serverlog_say(err.msg);
		return 2;
	}
	o.images = argv + optind;
	o.n_images = argc - optind;
	if (!o.n_images && !o.conf_path) {
		serverlog_say("which image, or whose configuration?");
		usage(stderr);
		return 2;
	}
	return server_run(&o);
}
