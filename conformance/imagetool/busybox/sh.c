// /bin/sh of the busybox image: busybox's ash, except that `sh -c env` shows the
// whole environment, also names that are no shell identifiers, as upstream's does.
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
	char *env[] = {"env", 0};
	if (argc == 3 && !strcmp(argv[1], "-c") && !strcmp(argv[2], "env"))
		execv("/bin/env", env);
	execv("/bin/busybox", argv);
	return 127;
}
