/*
 * A program with two static calls, as `make demo` compiles it: a tracepoint that is off most of the time, and a way to send
 * packets that depends on the hardware. The code calls trampolines; the table tells a patcher where.
 */
struct static_call_key {
  void *func;
};

#define DECLARE_STATIC_CALL(name, result, ...)              \
  extern struct static_call_key __SCK__##name;              \
  extern result __SCT__##name(__VA_ARGS__);                 \
  /* Puts the key into the object's symbol table. */        \
  static void *const use_##name                             \
      __attribute__((used, section(".discard.addressable"))) = &__SCK__##name

#define static_call(name) __SCT__##name

DECLARE_STATIC_CALL(trace, void, const char *event, int value);
DECLARE_STATIC_CALL(send, int, const void *packet, unsigned length);

int transmit(const void *packet, unsigned length) {
  static_call(trace)("transmit", (int)length);
  return static_call(send)(packet, length); /* a tail call */
}

int flood(const void *packet, unsigned length, int count) {
  int failures = 0;
  for (int i = 0; i < count; i++)
    failures += static_call(send)(packet, length) != 0;
  if (failures != 0)
    static_call(trace)("failures", failures);
  return failures;
}
