/*
 * cmd.h - one function per subcommand; argv[0] is the subcommand's name
 *
 * This folder: the subcommands, which read options and print, and the HTTP side
 * of serve.
 *
 * Exit status: 0 ok, 1 failure, 2 usage.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

int cmd_bake(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_invoke(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_push(int argc, char **argv);
int cmd_pull(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_store(int argc, char **argv);
int cmd_ctl(int argc, char **argv);

#endif
