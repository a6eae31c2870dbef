#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include <static_call.h>

/* CRC-32C (Castagnoli), continued from `checksum`. */
uint32_t checksum_portable(uint32_t checksum, const void *data, size_t size);

DECLARE_STATIC_CALL(checksum, checksum_portable);

/* Has `checksum` use what the processor has. Returns the name of that, or null where the portable way stays. */
const char *checksum_choose(void);

#endif
