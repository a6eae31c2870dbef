/* All that differs between the versions of Capstone that the project is built with: 4, 5 and 6. */
#ifndef STATICCALL_CAPSTONE_SHIM_H
#define STATICCALL_CAPSTONE_SHIM_H

/* capstone.pc names the directory of the header itself on some systems and its parent on others. */
#if __has_include(<capstone/capstone.h>)
#include <capstone/capstone.h>
#else
#include <capstone.h>
#endif

/* Version 6 calls ARM64 what it is. */
#if CS_API_MAJOR >= 6
static const cs_arch capstone_aarch64 = CS_ARCH_AARCH64;
#else
static const cs_arch capstone_aarch64 = CS_ARCH_ARM64;
#endif

#endif
