/* Asks a blackbox exporter for one target after the other, as a Prometheus with that many targets
 * would, over connections that stay open. A due target waits for a free connection; nothing is
 * made up for, so that the exporter is never asked faster than it answers.
 *
 *   bench-http-scraper TARGETS INTERVAL_MS TARGET_PORT EXPORTER_PORT CONNECTIONS
 *
 * SIGUSR1 forgets what was counted so far; SIGTERM prints it and ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_exchange.h"

enum { max_answer = 64 * 1024, max_connections = 256 };

struct connection {
  int fd;
  int busy;
  unsigned have;
  char answer[max_answer];
};

static volatile sig_atomic_t reset, stop;
static uint64_t passed, failed;

static void on_signal(int number) {
  if (number == SIGUSR1) {
    reset = 1;
  } else {
    stop = 1;
  }
}

static void fatal(const char* what) {
  perror(what);
  exit(1);
}

static void ask(struct connection* c, unsigned target, uint16_t port) {
  struct sockaddr_in address = target_address(target, port);
  char host[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
  char request[256];
  int size = snprintf(request, sizeof request,
                      "GET /probe?module=http&target=http://%s:%u/health HTTP/1.1\r\n"
                      "Host: localhost\r\n\r\n",
                      host, port);
  if (send(c->fd, request, (size_t)size, MSG_NOSIGNAL) != size) fatal("send");
  c->busy = 1;
  c->have = 0;
}

/* Of a chunked answer the last chunk, of another as many bytes as announced. */
static int complete(struct connection* c) {
  c->answer[c->have] = '\0';
  char* body = strstr(c->answer, "\r\n\r\n");
  if (!body) return 0;
  char* length = strstr(c->answer, "Content-Length: ");
  if (length && length < body)
    return c->have >= (size_t)(body + 4 - c->answer) + strtoul(length + 16, NULL, 10);
  return c->have > 5 && memcmp(c->answer + c->have - 5, "0\r\n\r\n", 5) == 0;
}

static void take(struct connection* c) {
  ssize_t got = recv(c->fd, c->answer + c->have, max_answer - 1 - c->have, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) fatal("the exporter's answer");
  c->have += (unsigned)got;
  if (!complete(c)) return;
  c->busy = 0;
  if (strstr(c->answer, "\nprobe_success 1\n")) {
    ++passed;
  } else {
    ++failed;
  }
}

int main(int argc, char** argv) {
  const char* usage =
      "bench-http-scraper TARGETS INTERVAL_MS TARGET_PORT EXPORTER_PORT CONNECTIONS";
  unsigned targets = argument(argc == 6 ? argv[1] : "", 1, max_targets, usage);
  unsigned interval_ms = argument(argv[2], 1, 60000, usage);
  uint16_t target_port = (uint16_t)argument(argv[3], 1, 65535, usage);
  uint16_t exporter_port = (uint16_t)argument(argv[4], 1, 65535, usage);
  unsigned connections = argument(argv[5], 1, max_connections, usage);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct connection* all = calloc(connections, sizeof *all);
  if (!all || poll < 0) return 1;
  for (unsigned i = 0; i < connections; ++i) {
    struct sockaddr_in exporter = {.sin_family = AF_INET, .sin_port = htons(exporter_port)};
    exporter.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    all[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(all[i].fd, (struct sockaddr*)&exporter, sizeof exporter) != 0) fatal("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
    epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event);
  }
  double step = interval_ms * 1e6 / targets;
  double due = (double)now_ns();
  unsigned target = 0;
  while (!stop) {
    double now = (double)now_ns();
    if (due < now - 10e6) due = now; /* what could not be asked in time is not made up for */
    for (unsigned i = 0; i < connections && due <= now; ++i) {
      if (all[i].busy) continue;
      ask(&all[i], target, target_port);
      target = (target + 1) % targets;
      due += step;
    }
    struct epoll_event events[max_connections];
    int count = epoll_wait(poll, events, max_connections, 1);
    for (int i = 0; i < count; ++i) take(events[i].data.ptr);
    if (reset) {
      reset = 0;
      passed = failed = 0;
    }
  }
  printf("{\"done\": %llu, \"failed\": %llu}\n", (unsigned long long)passed,
         (unsigned long long)failed);
  return 0;
}
