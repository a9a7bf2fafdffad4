/* How the usual tools work: every few seconds list what is unhealthy, restart one after the other.
 * In C, so that its memory and CPU time are the least that this way can cost; scripts cost more.
 *
 *   bench-poller SOCKET LABEL SECONDS
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine_call.h"

enum { id_length = 64, list_seconds = 30, restart_seconds = 60, max_list = 1024 * 1024 };

int main(int argc, char** argv) {
  int seconds = argc == 4 ? atoi(argv[3]) : 0;
  if (seconds < 1 || seconds > 3600) {
    fprintf(stderr, "usage: bench-poller SOCKET LABEL SECONDS\n");
    return 2;
  }
  char list[1024];
  snprintf(
      list, sizeof list,
      "/v1.41/containers/"
      "json?filters=%%7B%%22health%%22%%3A%%5B%%22unhealthy%%22%%5D%%2C%%22label%%22%%3A%%5B%%22%s"
      "%%22%%5D%%7D",
      argv[2]);
  static char body[max_list];
  static char answer[64 * 1024];
  for (;;) {
    int status = engine_request(argv[1], "GET", list, list_seconds, body, sizeof body);
    if (status != 200) fprintf(stderr, "list: %d\n", status);
    for (char* at = status == 200 ? body : NULL; at && (at = strstr(at, "\"Id\":\"")); at += 6) {
      char id[id_length + 1] = "";
      strncat(id, at + 6, id_length);
      if (strspn(id, "0123456789abcdef") != id_length) continue;
      char target[256];
      snprintf(target, sizeof target, "/v1.41/containers/%s/restart", id);
      status = engine_request(argv[1], "POST", target, restart_seconds, answer, sizeof answer);
      if (status != 204) fprintf(stderr, "restart of %.12s: %d\n", id, status);
    }
    nanosleep(&(struct timespec){.tv_sec = seconds}, NULL);
  }
}
