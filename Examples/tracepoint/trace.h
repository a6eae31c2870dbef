/*
 * Tracepoints: while nobody looks, a call of a function that does nothing.
 *
 *   TRACE(request, id, size)    where something happens
 *   TRACE_ON(request, probe)    probe(id, size) is called there from now on
 *   TRACE_OFF(request)
 */
#ifndef TRACE_H
#define TRACE_H

#include <static_call.h>

DECLARE_STATIC_CALL(trace_request, void(int id, long size));
DECLARE_STATIC_CALL(trace_failure, void(int id, const char *reason));

#define TRACE(event, ...) static_call(trace_##event)(__VA_ARGS__)
#define TRACE_ON(event, probe) static_call_update(trace_##event, probe)
#define TRACE_OFF(event) static_call_update(trace_##event, NULL)

#endif
