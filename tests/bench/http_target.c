/* What `bench probes` probes: answers every request with a health document and closes, on all of
 * 127.0.0.0/8. The number of answers so far is kept in a file that the bench maps: a witness that
 * belongs to none of the contestants.
 *
 *   bench-http-target PORT COUNTER_FILE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_exchange.h"

enum { batch = 256 };

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/health+json\r\nContent-Length: 17\r\n"
    "Connection: close\r\n\r\n{\"status\":\"pass\"}";

static int listen_on(uint16_t port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(listener, (struct sockaddr*)&address, sizeof address) != 0 ||
      listen(listener, 65535) != 0) {
    perror("listen");
    exit(1);
  }
  return listener;
}

static _Atomic uint64_t* map_counter(const char* path) {
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  void* place = MAP_FAILED;
  if (file >= 0 && ftruncate(file, 8) == 0)
    place = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (place == MAP_FAILED) {
    perror(path);
    exit(1);
  }
  return place;
}

static void accept_all(int listener, int poll) {
  for (;;) {
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = client};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, client, &event) != 0) close(client);
  }
}

int main(int argc, char** argv) {
  const char* usage = "bench-http-target PORT COUNTER_FILE";
  uint16_t port = (uint16_t)argument(argc == 3 ? argv[1] : "", 1, 65535, usage);
  _Atomic uint64_t* answers = map_counter(argv[2]);
  int listener = listen_on(port);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    struct epoll_event events[batch];
    int count = epoll_wait(poll, events, batch, -1);
    for (int i = 0; i < count; ++i) {
      int client = events[i].data.fd;
      if (client == listener) {
        accept_all(listener, poll);
        continue;
      }
      /* Requests of the bench fit into one segment. */
      char request[4096];
      ssize_t got = recv(client, request, sizeof request, 0);
      if (got < 0 && errno == EAGAIN) continue;
      if (got > 0 && send(client, answer, sizeof answer - 1, MSG_NOSIGNAL) > 0)
        atomic_fetch_add_explicit(answers, 1, memory_order_relaxed);
      close(client);
    }
  }
}
