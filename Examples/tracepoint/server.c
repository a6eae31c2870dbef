/* The code that is traced. */
#include "server.h"

#include "trace.h"

DEFINE_STATIC_CALL_NULL(trace_request, void(int id, long size));
DEFINE_STATIC_CALL_NULL(trace_failure, void(int id, const char *reason));

long serve(int id, long size) {
  TRACE(request, id, size);
  if (size > 9000) {
    TRACE(failure, id, "too large");
    return -1;
  }
  return size * 2;
}
