#define _GNU_SOURCE
#include "engine_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int engine_send(const char* socket_path, const char* method, const char* target, int seconds) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(socket_path) >= sizeof address.sun_path) {
    fprintf(stderr, "%s: too long for a Unix socket\n", socket_path);
    return -1;
  }
  strcpy(address.sun_path, socket_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address) != 0) {
    perror(socket_path);
    if (fd >= 0) close(fd);
    return -1;
  }
  if (seconds > 0) {
    struct timeval limit = {.tv_sec = seconds};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  char request[2048];
  int length =
      snprintf(request, sizeof request,
               "%s %s HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n", method, target);
  if (length < 0 || (size_t)length >= sizeof request ||
      send(fd, request, (size_t)length, MSG_NOSIGNAL) != length) {
    perror("send");
    close(fd);
    return -1;
  }
  return fd;
}

int engine_request(const char* socket_path, const char* method, const char* target, int seconds,
                   char* body, size_t size) {
  int fd = engine_send(socket_path, method, target, seconds);
  if (fd < 0) return -1;
  size_t have = 0;
  for (;;) {
    char rest[4096]; /* read and dropped once `body` is full, so that the Engine can finish its
                        answer */
    char* to = have + 1 < size ? body + have : rest;
    ssize_t got = read(fd, to, to == rest ? sizeof rest : size - 1 - have);
    if (got <= 0) break;
    if (to != rest) have += (size_t)got;
  }
  close(fd);
  body[have] = '\0';
  if (have < 12 || memcmp(body, "HTTP/1.", 7) != 0) return -1;
  int status = atoi(body + 9);
  char* end = strstr(body, "\r\n\r\n");
  if (!end) return -1;
  memmove(body, end + 4, strlen(end + 4) + 1);
  return status;
}
