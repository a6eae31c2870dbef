#include "checksum.h"

#include <string.h>

DEFINE_STATIC_CALL(checksum, checksum_portable);

uint32_t checksum_portable(uint32_t checksum, const void *data, size_t size) {
  const unsigned char *bytes = data;
  checksum = ~checksum;
  for (size_t i = 0; i < size; i += 1) {
    checksum ^= bytes[i];
    for (int bit = 0; bit < 8; bit += 1) checksum = checksum >> 1 ^ (checksum & 1 ? 0x82f63b78 : 0);
  }
  return ~checksum;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t checksum_fast(uint32_t checksum, const void *data, size_t size) {
  const unsigned char *bytes = data;
  uint64_t value = ~checksum;
  for (; size >= 8; bytes += 8, size -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    value = _mm_crc32_u64(value, word);
  }
  for (; size > 0; bytes += 1, size -= 1) value = _mm_crc32_u8((uint32_t)value, *bytes);
  return ~(uint32_t)value;
}

static const char *name_of_fast(void) { return __builtin_cpu_supports("sse4.2") ? "SSE 4.2" : NULL; }

#else
#include <arm_acle.h>
#include <sys/auxv.h>

#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif

#ifdef __clang__
__attribute__((target("crc")))
#else
__attribute__((target("+crc")))
#endif
static uint32_t checksum_fast(uint32_t checksum, const void *data, size_t size) {
  const unsigned char *bytes = data;
  checksum = ~checksum;
  for (; size >= 8; bytes += 8, size -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    checksum = __crc32cd(checksum, word);
  }
  for (; size > 0; bytes += 1, size -= 1) checksum = __crc32cb(checksum, *bytes);
  return ~checksum;
}

static const char *name_of_fast(void) { return getauxval(AT_HWCAP) & HWCAP_CRC32 ? "the CRC extension" : NULL; }
#endif

const char *checksum_choose(void) {
  const char *name = name_of_fast();
  return name && static_call_update(checksum, checksum_fast) == 0 ? name : NULL;
}
