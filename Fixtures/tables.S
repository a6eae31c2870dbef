/*
 * Tables in forms that annotate does not write, for Scripts/mutants.py: calls in COMDAT groups whose entries are members of the same group, and
 * with ORDERED the tables of user space, each tied to its code (SHF_LINK_ORDER). With SPARE some entries stand there twice, as
 * linked images may have them.
 */
#if defined(__x86_64__)
#define CALL call
#define JUMP jmp
#elif defined(__aarch64__)
#define CALL bl
#define JUMP b
#endif

#ifdef ORDERED
#define TABLE(function) .section static_call_sites,"ao",%progbits,function
#define GROUPED(function) .section static_call_sites,"aGo",%progbits,function,function,comdat
#else
#define TABLE(function) .section .static_call_sites,"aw",%progbits
#define GROUPED(function) .section .static_call_sites,"awG",%progbits,function,comdat
#endif

  .text
  .globl plain
  .type plain, %function
plain:
  nop
11:
  CALL __SCT__add
  nop
12:
  JUMP __SCT__tick
  .size plain, . - plain

  .type stays, %function
stays:
  nop
  ret
  .size stays, . - stays

  TABLE(plain)
  .p2align 2
  .long 11b - ., __SCK__add - .
  .long 12b - ., __SCK__tick - . + 1
#ifdef SPARE
  .rept 8
  .long 11b - ., __SCK__add - .
  .endr
#endif

  .section .text.other,"ax",%progbits
  .globl other_plain
  .type other_plain, %function
other_plain:
  nop
13:
  CALL __SCT__tick
  ret
  .size other_plain, . - other_plain

  TABLE(other_plain)
  .p2align 2
  .long 13b - ., __SCK__tick - .

  .section .text.first,"axG",%progbits,first,comdat
  .weak first
  .type first, %function
first:
  nop
14:
  CALL __SCT__add
15:
  CALL __SCT__tick
  ret
  .size first, . - first

  GROUPED(first)
  .p2align 2
  .long 14b - ., __SCK__add - .
  .long 15b - ., __SCK__tick - .

  .section .text.second,"axG",%progbits,second,comdat
  .weak second
  .type second, %function
second:
  nop
16:
  CALL __SCT__tick
17:
  JUMP __SCT__add
  .size second, . - second

  GROUPED(second)
  .p2align 2
  .long 16b - ., __SCK__tick - .
  .long 17b - ., __SCK__add - . + 1

  .section .note.GNU-stack,"",%progbits
