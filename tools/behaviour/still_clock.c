#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
static time_t fixed(void) { const char *t = getenv("STILL_CLOCK"); return t ? (time_t)atoll(t) : 0; }
int clock_gettime(clockid_t id, struct timespec *out) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  if ((id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) && fixed()) { out->tv_sec = fixed(); out->tv_nsec = 0; return 0; }
  return real(id, out);
}
int gettimeofday(struct timeval *out, void *zone) { (void)zone; struct timespec s; clock_gettime(CLOCK_REALTIME, &s); out->tv_sec = s.tv_sec; out->tv_usec = s.tv_nsec / 1000; return 0; }
time_t time(time_t *out) { struct timespec s; clock_gettime(CLOCK_REALTIME, &s); if (out) *out = s.tv_sec; return s.tv_sec; }
int adjtimex(struct timex *x) { (void)x; return 0; }
