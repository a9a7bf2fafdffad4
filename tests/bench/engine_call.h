#ifndef SENTINEL_BENCH_ENGINE_CALL_H
#define SENTINEL_BENCH_ENGINE_CALL_H

#include <stddef.h>

/* The least that a client of the Engine can do: HTTP/1.0, one connection per request, so that an
 * answer ends where the connection ends. */

/* A connected socket on which the request was sent, or -1 (said on stderr). Reads give up after
 * `seconds`; 0: never. */
int engine_send(const char* socket_path, const char* method, const char* target, int seconds);

/* The answer's status, with its body in `body` as a string; a body that does not fit is cut. -1
 * when there is none. */
int engine_request(const char* socket_path, const char* method, const char* target, int seconds,
                   char* body, size_t size);

#endif
