// Trampolines in their callers' own section: the assembler resolves the branches, and they have no relocation. Those with a
// 32-bit displacement are sites (N); short and counting forms are not (E).
  .section .static_call.text,"ax",@progbits
  .type __SCT__near, @function
__SCT__near:
  jmp target
  ud1 %esp, %ecx                          // the trampoline's mark; decoders get its length wrong
  .size __SCT__near, . - __SCT__near

  .type caller, @function
caller:
  call __SCT__near                        // N call
  .byte 0xf2                              // N at the e8
  call __SCT__near
  .byte 0x0f, 0x85                        // N cond-tail, longer than an assembler makes it
  .long __SCT__near - . - 4
  call __SCT__near + 1                    // not listed
  call caller                             // not listed
  jne __SCT__near                         // E, 75
  jrcxz __SCT__near                       // E, e3
  loop __SCT__near                        // E, e2
  .byte 0xe9                              // N tail, longer than an assembler makes it
  .long __SCT__near - . - 4
  .size caller, . - caller

  .type short, @function
short:
  jmp __SCT__near                         // E, eb
  .size short, . - short

  // With a relocation, and too short all the same.
  .text
  .type counting, @function
counting:
  jrcxz __SCT__far                        // E, R_X86_64_PC8
  loop __SCT__far                         // E, R_X86_64_PC8
  jmp __SCT__near                         // X2
  .size counting, . - counting
