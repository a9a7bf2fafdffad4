/* The floor of `bench probes`: the least that a prober can do. A wheel of due times, one epoll;
 * each probe is a new connection, a request, an answer, a close, with a time-out and a look at the
 * status and the length. Nothing is judged, kept or told.
 *
 *   bench-http-loop TARGETS INTERVAL_MS PORT
 *
 * SIGUSR1 forgets the lags measured so far; SIGTERM prints them and ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_exchange.h"

enum { timeout_ms = 2000, batch = 256, max_answer = 2048, max_lag_us = 2000000 };

struct probe {
  int fd; /* -1: not under way */
  int written;
  unsigned have;
  int64_t started;
  struct probe *next, *previous; /* under way, the oldest first */
  struct probe* in_slot;         /* the next that is due in the same millisecond */
  char answer[max_answer];
};

static volatile sig_atomic_t reset, stop;
static struct probe *oldest, *newest;
static uint64_t done, failed, skipped;
static uint32_t lags[max_lag_us / 10 + 1]; /* in steps of 10 us */
static int poll_fd;

static void on_signal(int number) {
  if (number == SIGUSR1) {
    reset = 1;
  } else {
    stop = 1;
  }
}

static void end(struct probe* p, int good) {
  close(p->fd);
  p->fd = -1;
  *(p->previous ? &p->previous->next : &oldest) = p->next;
  *(p->next ? &p->next->previous : &newest) = p->previous;
  if (good) {
    ++done;
  } else {
    ++failed;
  }
}

static void start(struct probe* p, const struct sockaddr_in* address, int64_t due, int64_t now) {
  if (p->fd >= 0) {
    ++skipped;
    return;
  }
  int64_t lag = (now - due) / 10000;
  ++lags[lag < 0 ? 0 : lag > max_lag_us / 10 ? max_lag_us / 10 : lag];
  p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (p->fd < 0) {
    ++failed;
    return;
  }
  p->written = 0;
  p->have = 0;
  p->started = now;
  p->next = NULL;
  p->previous = newest;
  *(newest ? &newest->next : &oldest) = p;
  newest = p;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = p};
  if ((connect(p->fd, (const struct sockaddr*)address, sizeof *address) != 0 &&
       errno != EINPROGRESS) ||
      epoll_ctl(poll_fd, EPOLL_CTL_ADD, p->fd, &event) != 0)
    end(p, 0);
}

/* 1: complete and 200; 0: more to come; -1: not what was asked for. */
static int judge(struct probe* p) {
  p->answer[p->have] = '\0';
  char* body = strstr(p->answer, "\r\n\r\n");
  if (!body) return p->have + 1 < max_answer ? 0 : -1;
  char* length = strstr(p->answer, "Content-Length: ");
  if (strncmp(p->answer, "HTTP/1.1 200 ", 13) != 0 || !length) return -1;
  size_t wanted = (size_t)(body + 4 - p->answer) + strtoul(length + 16, NULL, 10);
  return p->have >= wanted ? 1 : wanted < max_answer ? 0 : -1;
}

static void advance(struct probe* p, uint32_t events, const struct probe* all, uint16_t port) {
  if (!p->written) {
    char request[256];
    struct sockaddr_in address = target_address((unsigned)(p - all), port);
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
    int size = snprintf(request, sizeof request,
                        "GET /health HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: bench\r\nAccept: "
                        "*/*\r\nConnection: close\r\n\r\n",
                        host, port);
    if ((events & EPOLLERR) || send(p->fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
      end(p, 0);
      return;
    }
    p->written = 1;
    if (!(events & EPOLLIN)) return;
  }
  ssize_t got = recv(p->fd, p->answer + p->have, max_answer - 1 - p->have, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got > 0) p->have += (unsigned)got;
  int found = got > 0 ? judge(p) : -1;
  if (found != 0) end(p, found > 0);
}

static double quantile(double q) {
  uint64_t total = 0, seen = 0;
  for (unsigned i = 0; i <= max_lag_us / 10; ++i) total += lags[i];
  for (unsigned i = 0; i <= max_lag_us / 10; ++i) {
    seen += lags[i];
    if (total && (double)seen >= q * (double)total) return i / 100.0;
  }
  return 0;
}

int main(int argc, char** argv) {
  const char* usage = "bench-http-loop TARGETS INTERVAL_MS PORT";
  unsigned targets = argument(argc == 4 ? argv[1] : "", 1, max_targets, usage);
  unsigned interval_ms = argument(argv[2], 1, 60000, usage);
  uint16_t port = (uint16_t)argument(argv[3], 1, 65535, usage);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct probe* all = calloc(targets, sizeof *all);
  struct probe** slots = calloc(interval_ms, sizeof *slots);
  if (!all || !slots || poll_fd < 0) return 1;
  for (unsigned i = 0; i < targets; ++i) {
    all[i].fd = -1;
    struct probe** slot = &slots[(uint64_t)i * interval_ms / targets];
    all[i].in_slot = *slot;
    *slot = &all[i];
  }
  int64_t began = now_ns();
  for (int64_t slot = 0; !stop;) { /* due at began + slot ms */
    int64_t now = now_ns();
    for (; began + slot * 1000000 <= now; ++slot) {
      for (struct probe* p = slots[slot % interval_ms]; p; p = p->in_slot) {
        struct sockaddr_in address = target_address((unsigned)(p - all), port);
        start(p, &address, began + slot * 1000000, now_ns());
      }
    }
    while (oldest && now - oldest->started > timeout_ms * INT64_C(1000000)) end(oldest, 0);
    struct epoll_event events[batch];
    int count = epoll_wait(poll_fd, events, batch, 1);
    for (int i = 0; i < count; ++i) advance(events[i].data.ptr, events[i].events, all, port);
    if (reset) {
      reset = 0;
      done = failed = skipped = 0;
      memset(lags, 0, sizeof lags);
    }
  }
  printf(
      "{\"done\": %llu, \"failed\": %llu, \"skipped\": %llu, \"lag_p50_ms\": %.2f, "
      "\"lag_p99_ms\": %.2f}\n",
      (unsigned long long)done, (unsigned long long)failed, (unsigned long long)skipped,
      quantile(0.5), quantile(0.99));
  return 0;
}
