/* The floor: the least that a healer can do. Reads one event after the other; each `health_status:
 * unhealthy` gets a thread that inspects the container and asks for its restart. No budget, no
 * back-off, no storm, no intent, no log; nothing is noticed when the stream breaks.
 *
 *   bench-floor SOCKET LABEL
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine_call.h"

enum { id_length = 64, restart_seconds = 60, inspect_seconds = 15, max_inspect = 256 * 1024 };
static const char* engine;

static void* heal(void* argument) {
  char* id = argument;
  char target[256];
  char* body = malloc(max_inspect);
  if (body) {
    snprintf(target, sizeof target, "/v1.41/containers/%s/json", id);
    int status = engine_request(engine, "GET", target, inspect_seconds, body, max_inspect);
    if (status == 200 && strstr(body, "\"Running\":true") && strstr(body, "\"Paused\":false") &&
        strstr(body, "\"Status\":\"unhealthy\"")) {
      snprintf(target, sizeof target, "/v1.41/containers/%s/restart", id);
      status = engine_request(engine, "POST", target, restart_seconds, body, max_inspect);
      if (status != 204) fprintf(stderr, "restart of %.12s: %d\n", id, status);
    }
  }
  free(body);
  free(id);
  return NULL;
}

static void on_line(const char* line) {
  if (!strstr(line, "\"health_status: unhealthy\"")) return;
  const char* found = strstr(line, "\"id\":\"");
  if (!found || strlen(found) < 6 + id_length) return;
  char* id = strndup(found + 6, id_length);
  pthread_t thread;
  if (!id || strspn(id, "0123456789abcdef") != id_length ||
      pthread_create(&thread, NULL, heal, id) != 0) {
    fprintf(stderr, "an event was not handled\n");
    free(id);
    return;
  }
  pthread_detach(thread);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: bench-floor SOCKET LABEL\n");
    return 2;
  }
  engine = argv[1];
  char target[1024];
  snprintf(target, sizeof target,
           "/v1.41/"
           "events?filters=%%7B%%22type%%22%%3A%%5B%%22container%%22%%5D%%2C%%22event%%22%%3A%%5B%%"
           "22health_status"
           "%%22%%5D%%2C%%22label%%22%%3A%%5B%%22%s%%22%%5D%%7D",
           argv[2]);
  int fd = engine_send(engine, "GET", target, 0);
  if (fd < 0) return 1;
  static char buffer[64 * 1024];
  size_t have = 0;
  ssize_t got;
  while ((got = read(fd, buffer + have, sizeof buffer - 1 - have)) > 0) {
    have += (size_t)got;
    buffer[have] = '\0';
    char* line = buffer;
    for (char* end; (end = strchr(line, '\n')); line = end + 1) {
      *end = '\0';
      on_line(line);
    }
    have = strlen(line);
    memmove(buffer, line, have);
    if (have == sizeof buffer - 1) have = 0; /* no event is that long */
  }
  fprintf(stderr, "the event stream ended\n");
  return 1;
}
