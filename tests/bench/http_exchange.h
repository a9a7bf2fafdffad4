#ifndef SENTINEL_BENCH_HTTP_EXCHANGE_H
#define SENTINEL_BENCH_HTTP_EXCHANGE_H

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the programs of `bench probes` share: where the targets are, and the clock. */

enum { first_target = 0x7f100001, max_targets = 65536 }; /* 127.16.0.1 and up: one address each */

static inline struct sockaddr_in target_address(unsigned number, uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(first_target + number);
  return address;
}

static inline int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* A whole number from..to, or the usage and the end of the program. */
static inline unsigned argument(const char* text, unsigned from, unsigned to, const char* usage) {
  char* end = NULL;
  unsigned long value = strtoul(text, &end, 10);
  if (end == text || *end != '\0' || value < from || value > to) {
    fprintf(stderr, "usage: %s\n", usage);
    exit(2);
  }
  return (unsigned)value;
}

#endif
