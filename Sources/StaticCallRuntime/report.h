#ifndef STATIC_CALL_REPORT_H
#define STATIC_CALL_REPORT_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

/* Whether STATIC_CALL_PATCH=0 in the environment forbids to patch. */
bool static_call_is_switched_off(void);

/* Does what STATIC_CALL_STATS in the environment asks for. */
void static_call_print_report(void);

#pragma GCC visibility pop

#endif
