// Trampolines in their callers' own section: the assembler resolves the branches, and they have no relocation. `bl` and `b` are
// sites (N); conditional branches are not (E).
  .section .static_call.text,"ax",%progbits
  .type __SCT__near, %function
__SCT__near:
  adrp x16, target
  ldr x16, [x16, :lo12:target]
  br x16
  .size __SCT__near, . - __SCT__near

  .type caller, %function
caller:
  bl __SCT__near                          // N call
  bl __SCT__near + 4                      // not listed
  b.ne __SCT__near                        // E
  cbnz x1, __SCT__near                    // E
  tbz x1, #1, __SCT__near                 // E
  bl caller                               // not listed
  b __SCT__near                           // N tail
  .size caller, . - caller

  // Data among the code is not decoded: this word would be a `bl` to the trampoline.
  .word 0x97fffff6                        // not listed
  .size caller, . - caller

  .text
  .type far, %function
far:
  b __SCT__near                           // A2
  .size far, . - far
