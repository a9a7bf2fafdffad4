/* What the benches heal: a container's only program, and its health check.
 *
 *   bench-target run       runs until SIGTERM, which ends it at once; with IGNORE_TERM set it
 * ignores it bench-target check     exit status 1 when /dev/shm/bad exists, once the gate is open
 *
 * /dev/shm belongs to one run of the container. The bench reaches it from outside as
 * /proc/PID/root/dev/shm: it locks `gate`, waits until the checks of all targets say `waiting`,
 * makes `bad`, unlocks: all fail at the same moment.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static void on_term(int number) {
  (void)number;
  _exit(0);
}

static int run(void) {
  int gate = open("/dev/shm/gate", O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  if (gate < 0) {
    perror("/dev/shm/gate");
    return 1;
  }
  close(gate);
  struct sigaction action = {.sa_handler = getenv("IGNORE_TERM") ? SIG_IGN : on_term};
  sigaction(SIGTERM, &action, NULL);
  for (;;) pause();
}

static int check(void) {
  int gate = open("/dev/shm/gate", O_RDONLY | O_CLOEXEC);
  if (gate < 0) return 1;
  if (flock(gate, LOCK_SH | LOCK_NB) != 0) {
    int waiting = open("/dev/shm/waiting", O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    if (waiting >= 0) close(waiting);
    flock(gate, LOCK_SH); /* the Engine's time-out of the check is the limit */
    unlink("/dev/shm/waiting");
  }
  return access("/dev/shm/bad", F_OK) == 0 ? 1 : 0;
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "run") == 0) return run();
  if (argc == 2 && strcmp(argv[1], "check") == 0) return check();
  fprintf(stderr, "usage: bench-target run|check\n");
  return 2;
}
